"""Simple recurrent units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from seqapps.cells.cell import LinearCell, PointwiseCell, State, gate_slice

__all__ = ["SRU", "SRU2"]


class _HighwayCell(PointwiseCell):
    """What both versions share: the projections, the highway past the recurrence, and how parameters start.

    The projected input has four blocks, W x, f, r and what the highway carries: x itself where it has H features, which
    then needs no rows of `input_projection`.
    """

    has_recurrent = False
    gate_names = ("forget", "reset")
    keep_gates = (1,)

    def __init__(self, input_size: int, hidden_size: int, /, *, highway_bias: float, bias: bool):
        self.highway_bias = highway_bias
        self.gates = 3 if input_size == hidden_size else 4
        super().__init__(input_size, hidden_size, bias=bias)

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """A highway bias needs a bias."""
        if fields["bias"] or fields["highway_bias"] == 0:
            return []
        return [("highway_bias", f"highway_bias is {fields['highway_bias']}, but bias is false; set bias: true")]

    def reset_parameters(self) -> None:
        """W uniform in ±sqrt(3 / E), b 0 but for the highway's, all else as in every cell."""
        super().reset_parameters()
        bound = math.sqrt(3 / self.input_size)
        nn.init.uniform_(self.input_projection.weight, -bound, bound)
        if self.input_projection.bias is not None:
            nn.init.zeros_(self.input_projection.bias)
            with torch.no_grad():
                self.input_projection.bias[gate_slice(self, 2)] = self.highway_bias

    def project(self, x: Tensor) -> Tensor:
        projected = super().project(x)
        return torch.cat([projected, x], -1) if self.gates == 3 else projected


class SRU(_HighwayCell, LinearCell):
    """Simple recurrent unit, version 1 (Lei et al. 2017, arXiv 1709.02755v1): gates that see x only.

        f_t = sigmoid(W_f x_t + b_f)
        r_t = sigmoid(W_r x_t + b_r)                            the highway's gate, "reset" in the paper
        c_t = f_t * c_{t-1} + (1 - f_t) * (W x_t + b)
        h_t = r_t * g(c_t) + (1 - r_t) * x_t

    The state is c_t, the output h_t. Gate order W f r, all `input_projection`; torch.nn has no counterpart. Where x has
    not hidden_size features, the highway carries W_x x_t + b_x in place of x_t, a fourth block. The paper has no b and
    b_x.

    W starts uniform in ±sqrt(3 / E), of variance 1 / E for E features of x, b as 0 and b_r as `highway_bias`.

    Fields:
        nonlinearity: g, tanh or identity.
        highway_bias: what b_r starts as; below 0 lets more of x_t pass at first, for deep stacks.
        bias: whether there are biases.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        /,
        *,
        nonlinearity: Literal["tanh", "identity"] = "tanh",
        highway_bias: float = 0.0,
        bias: bool = True,
    ):
        self.nonlinearity = nonlinearity
        super().__init__(input_size, hidden_size, highway_bias=highway_bias, bias=bias)

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        candidate, f, _, _ = projected.chunk(4, -1)
        f = torch.sigmoid(f)
        return f, (1 - f) * candidate

    def readout(self, projected: Tensor, state: Tensor) -> Tensor:
        _, _, r, x = projected.chunk(4, -1)
        r = torch.sigmoid(r)
        return r * (torch.tanh(state) if self.nonlinearity == "tanh" else state) + (1 - r) * x


class SRU2(_HighwayCell):
    """Simple recurrent unit, version 2 (Lei, Zhang, Wang, Dai and Artzi 2018, arXiv 1709.02755v5).

        f_t = sigmoid(W_f x_t + v_f * c_{t-1} + b_f)
        c_t = f_t * c_{t-1} + (1 - f_t) * (W x_t + b)
        r_t = sigmoid(W_r x_t + v_r * c_{t-1} + b_r)            the highway's gate, "reset" in the paper
        h_t = r_t * c_t + (1 - r_t) * alpha * x_t

    Both gates look at the old cell, each unit at its own, so c_t is no longer linear in c_{t-1} and no scan can run it.
    The constant alpha = sqrt(1 + 2 exp(b_r)), with b_r as it starts, lets h_t vary about as much as x_t.

    The state is c_t, the output h_t. Gate order W f r, all `input_projection`; v_f and v_r are vectors (H,); torch.nn
    has no counterpart. Where x has not hidden_size features, the highway carries W_x x_t + b_x in place of x_t, a
    fourth block. The paper has no b and b_x.

    W starts uniform in ±sqrt(3 / E), of variance 1 / E for E features of x, b as 0 and b_r as `highway_bias`; v_f and
    v_r, of which the paper says nothing, uniform in ±1/sqrt(H).

    Fields:
        highway_bias: what b_r starts as; below 0 lets more of x_t pass at first, for deep stacks.
        bias: whether there are biases.
    """

    def __init__(self, input_size: int, hidden_size: int, /, *, highway_bias: float = 0.0, bias: bool = True):
        super().__init__(input_size, hidden_size, highway_bias=highway_bias, bias=bias)
        self.alpha = math.sqrt(1 + 2 * math.exp(highway_bias))
        self.forget_peephole = nn.Parameter(torch.empty(hidden_size))  # v_f
        self.reset_peephole = nn.Parameter(torch.empty(hidden_size))  # v_r
        self.reset_parameters()

    def pointwise(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        (c,) = state
        candidate, f, r, x = projected.chunk(4, -1)
        f = torch.sigmoid(f + self.forget_peephole * c)
        r = torch.sigmoid(r + self.reset_peephole * c)
        c = f * c + (1 - f) * candidate
        return r * c + (1 - r) * self.alpha * x, (c,)
