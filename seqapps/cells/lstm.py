"""Long short-term memory, with the variations that compose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqapps.cells.cell import PointwiseCell, State
from seqapps.cells.layer_norm import BlockNorm, normalized_projection, start_norms

__all__ = ["LSTM"]


class LSTM(PointwiseCell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997) with a forget gate (Gers, Schmidhuber and Cummins 2000).

        i_t = sigmoid(W_i x_t + b_i + U_i h_{t-1} + d_i)       what is written
        f_t = sigmoid(W_f x_t + b_f + U_f h_{t-1} + d_f)       what is kept
        g_t = tanh(W_g x_t + b_g + U_g h_{t-1} + d_g)          the candidate
        o_t = sigmoid(W_o x_t + b_o + U_o h_{t-1} + d_o)       what is shown
        c_t = f_t * c_{t-1} + i_t * g_t
        h_t = o_t * tanh(c_t)

    State (h, c), output h. Gate order i f g o, that of torch.nn.LSTM, whose weight_ih_l0, bias_ih_l0, weight_hh_l0 and
    bias_hh_l0 are `input_projection` and `recurrent`. Every gate, the output gate too, reads x_t, not x_{t-1} as some
    teaching texts print.

    The options compose freely. What each changes:

    `peephole` (Gers, Schraudolph and Schmidhuber 2002) lets the gates see the cell: p_i * c_{t-1} is added inside the
    sigmoid of i, p_f * c_{t-1} in that of f, and p_o * c_t in that of o, which looks at the new cell. Diagonal, each p
    is a vector (H,), as published; full, a matrix (H, H), as Graves 2013 (arXiv 1308.0850) reads to those who miss that
    his are diagonal.

    `coupled` (Greff et al. 2017, arXiv 1503.04069, variant CIFG) has no input gate of its own: i_t = 1 - f_t, so

        c_t = f_t * c_{t-1} + (1 - f_t) * g_t

    which defines c_t, not h_t. Gate order f g o; the forget bias acts on f. f_t = 1 - i_t is the same model with the
    gate's weights and biases negated, as sigmoid(-a) = 1 - sigmoid(a).

    `layer_norm` (Ba, Kiros and Hinton 2016, arXiv 1607.06450, equations 20 to 22) replaces W x_t + b by LN(W x_t) + b,
    U h_{t-1} + d by LN(U h_{t-1}), and tanh(c_t) by tanh(LN(c_t)). The first two normalise the whole vector of all
    gates, each with gains and, in place of d, the second with offsets (b takes those of the first); the cell that is
    carried on stays as it is. Peepholes see that cell, and are added outside LN. With hidden_size 1, LN(c_t) is
    constant.

    `projection` (Sak, Senior and Beaufays 2014, arXiv 1402.1128) makes h_t = P (o_t * tanh(c_t)) with a matrix P
    (R, H), torch's weight_hr_l0; h, the output and what U reads then have R features. No further projection beside
    (Sak et al.'s p_t) and, as in torch, no bias.

    Recurrent dropout, weight drop and recurrent initialisations act on U only.

    Fields:
        peephole: none, diagonal or full.
        coupled: whether the input gate is 1 - f_t.
        layer_norm: whether to normalise.
        projection: R, features of h_t; null = hidden_size, without P.
        bias: whether there are b, d and offsets; b_f + d_f starts as 1 (Jozefowicz, Zaremba and Sutskever 2015).
    """

    states = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        /,
        *,
        peephole: Literal["none", "diagonal", "full"] = "none",
        coupled: bool = False,
        layer_norm: bool = False,
        projection: int | None = None,
        bias: bool = True,
    ):
        self.peephole, self.coupled, self.layer_norm = peephole, coupled, layer_norm
        self.gates = 3 if coupled else 4
        self.gate_names = ("forget", "output") if coupled else ("input", "forget", "output")
        self.keep_gates, self.write_gates = ((0,), ()) if coupled else ((1,), (0,))
        self.elementwise = peephole != "full" and not layer_norm and projection is None
        super().__init__(input_size, hidden_size, bias=bias)
        shape = {"none": None, "diagonal": (hidden_size,), "full": (hidden_size, hidden_size)}[peephole]
        self.peephole_i = None if shape is None or coupled else nn.Parameter(torch.empty(shape))
        self.peephole_f = None if shape is None else nn.Parameter(torch.empty(shape))
        self.peephole_o = None if shape is None else nn.Parameter(torch.empty(shape))
        self.output_size = projection or hidden_size
        rows = self.gates * hidden_size
        if layer_norm:
            self.input_norm, self.recurrent_norm = BlockNorm(rows, bias=False), BlockNorm(rows, bias=bias)
            self.cell_norm = BlockNorm(hidden_size, bias=bias)
        if layer_norm or projection is not None:
            self.recurrent = nn.Linear(self.output_size, rows, bias=bias and not layer_norm)
        self.projection = None if projection is None else nn.Linear(hidden_size, projection, bias=False)
        if not self.plain:
            self.reset_parameters()

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """A projection has at least one feature."""
        size = fields["projection"]
        return [("projection", f"projection is {size}, expected 1 or more")] if size is not None and size < 1 else []

    def reset_parameters(self) -> None:
        """As every cell, with a forget bias of 1, gains of 1 and offsets of 0."""
        super().reset_parameters()
        start_norms(self)
        if self.input_projection.bias is not None:
            self.set_memory_bias(1.0)

    @property
    def plain(self) -> bool:
        """Is it exactly torch's?"""
        return self.peephole == "none" and not self.coupled and not self.layer_norm and self.projection is None

    def recurrent_names(self) -> tuple[str, ...]:
        """U; not P, which multiplies no old state."""
        return ("recurrent",)

    def initial_state(self, batch_size: int) -> State:
        """Zeros: h (batch_size, R) and c (batch_size, H)."""
        zeros = self.input_projection.weight.new_zeros
        return zeros(batch_size, self.output_size), zeros(batch_size, self.hidden_size)

    def project(self, x: Tensor) -> Tensor:
        return normalized_projection(self, self.input_norm, x) if self.layer_norm else super().project(x)

    def pointwise(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        _, c = state
        if self.layer_norm:
            recurrent = self.recurrent_norm(recurrent)
        if self.coupled:
            f, g, o = (projected + recurrent).chunk(3, -1)
            f = torch.sigmoid(_with_peephole(f, self.peephole_f, c))
            i = 1 - f
        else:
            i, f, g, o = (projected + recurrent).chunk(4, -1)
            i = torch.sigmoid(_with_peephole(i, self.peephole_i, c))
            f = torch.sigmoid(_with_peephole(f, self.peephole_f, c))
        c = f * c + i * torch.tanh(g)
        o = torch.sigmoid(_with_peephole(o, self.peephole_o, c))
        h = o * torch.tanh(self.cell_norm(c) if self.layer_norm else c)
        if self.projection is not None:
            h = self.projection(h)
        return h, (h, c)


def _with_peephole(gate: Tensor, weight: Tensor | None, c: Tensor) -> Tensor:
    """What goes into a gate's sigmoid, with what the gate sees of the cell."""
    if weight is None:
        return gate
    return gate + (weight * c if weight.dim() == 1 else F.linear(c, weight))
