"""Long short-term memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from seqapps.cells.cell import PointwiseCell, State, set_gate_bias

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
    bias_hh_l0 are `input_projection` and `recurrent`.

    Fields:
        bias: whether there are b and d.
        forget_bias: b_f + d_f at the start; none = 1 (Jozefowicz, Zaremba and Sutskever 2015) where there is a bias.
    """

    gates, states = 4, 2

    def __init__(self, input_size: int, hidden_size: int, /, *, bias: bool = True, forget_bias: float | None = None):
        super().__init__(input_size, hidden_size, bias=bias)
        if bias:
            set_gate_bias(self, 1, 1.0 if forget_bias is None else forget_bias)

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """A forget bias needs a bias."""
        if fields["forget_bias"] is not None and not fields["bias"]:
            return [("forget_bias", "a forget bias needs 'bias: true'")]
        return []

    def pointwise(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        _, c = state
        i, f, g, o = (projected + recurrent).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)
