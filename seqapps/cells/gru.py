"""Gated recurrent unit, in its published conventions."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from seqapps.cells.cell import PointwiseCell, State
from seqapps.cells.layer_norm import BlockNorm, normalized_projection, start_norms

__all__ = ["GRU"]


class GRU(PointwiseCell):
    """Gated recurrent unit (Cho et al. 2014, arXiv 1406.1078).

        r_t = sigmoid(W_r x_t + b_r + U_r h_{t-1} + d_r)                 reset
        z_t = sigmoid(W_z x_t + b_z + U_z h_{t-1} + d_z)                 update
        n_t = tanh(W_n x_t + b_n + r_t * (U_n h_{t-1} + d_n))            the candidate; `reset: after`
        n_t = tanh(W_n x_t + b_n + U_n (r_t * h_{t-1}) + d_n)            the candidate; `reset: before`
        h_t = z_t * h_{t-1} + (1 - z_t) * n_t                            `update_gate: keep`
        h_t = (1 - z_t) * h_{t-1} + z_t * n_t                            `update_gate: write`

    The output is h_t. Gate order r z n, that of torch.nn.GRU, whose weight_ih_l0, bias_ih_l0, weight_hh_l0 and
    bias_hh_l0 are `input_projection` and `recurrent` of the default, after and keep (as in cuDNN).

    The reset gate before the product is that of the paper from its third version on, after the product that of its
    first; they are two models, and only the second is pointwise. Before, `recurrent` holds U_r, U_z and `candidate`
    U_n. The paper's update gate keeps; that of Chung et al. 2014 (arXiv 1412.3555) writes. These two are one model:
    negate W_z, b_z, U_z and d_z, as sigmoid(-a) = 1 - sigmoid(a).

    `layer_norm` (Ba, Kiros and Hinton 2016, arXiv 1607.06450, supplementary material) replaces the products, r and z
    together and n apart: W x_t + b becomes LN(W x_t) + b, and U h_{t-1} + d becomes LN(U h_{t-1}), with gains and, in
    place of d, offsets in the second (b takes those of the first). With reset before, LN(U_n (r_t * h_{t-1})). With
    hidden_size 1 both normalised parts of n are constant.

    Fields:
        reset: after or before the recurrent product.
        update_gate: keep or write, what an open update gate does.
        layer_norm: whether to normalise.
        bias: whether there are b, d and offsets.
    """

    gates = 3
    gate_names = ("reset", "update")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        /,
        *,
        reset: Literal["after", "before"] = "after",
        update_gate: Literal["keep", "write"] = "keep",
        layer_norm: bool = False,
        bias: bool = True,
    ):
        self.reset, self.update_gate, self.layer_norm = reset, update_gate, layer_norm
        self.keep_gates, self.write_gates = ((1,), ()) if update_gate == "keep" else ((), (1,))
        self.elementwise = reset == "after" and not layer_norm
        super().__init__(input_size, hidden_size, bias=bias)
        gates = 2 * hidden_size
        blocks = (gates, hidden_size) if reset == "after" else (gates,)
        if not self.elementwise:
            self.recurrent = nn.Linear(hidden_size, sum(blocks), bias=bias and not layer_norm)
        if reset == "before":
            self.candidate = nn.Linear(hidden_size, hidden_size, bias=bias and not layer_norm)
        if layer_norm:
            self.input_norm = BlockNorm(gates, hidden_size, bias=False)
            self.recurrent_norm = BlockNorm(*blocks, bias=bias)
            if reset == "before":
                self.candidate_norm = BlockNorm(hidden_size, bias=bias)
        if not self.elementwise:
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """As every cell, with gains of 1 and offsets of 0."""
        super().reset_parameters()
        start_norms(self)

    def project(self, x: Tensor) -> Tensor:
        return normalized_projection(self, self.input_norm, x) if self.layer_norm else super().project(x)

    @property
    def plain(self) -> bool:
        """Is it exactly torch's?"""
        return self.reset == "after" and self.update_gate == "keep" and not self.layer_norm

    def pointwise(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        (h,) = state
        if self.layer_norm:
            recurrent = self.recurrent_norm(recurrent)
        x_r, x_z, x_n = projected.chunk(3, -1)
        h_r, h_z, *h_n = recurrent.chunk(3 if self.reset == "after" else 2, -1)
        r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
        n = torch.tanh(x_n + (r * h_n[0] if h_n else self._candidate(r * h)))
        h = z * h + (1 - z) * n if self.update_gate == "keep" else (1 - z) * h + z * n
        return h, (h,)

    def _candidate(self, h: Tensor) -> Tensor:
        """U_n h + d_n, or its normalised form."""
        product = self.candidate(h)
        return self.candidate_norm(product) if self.layer_norm else product
