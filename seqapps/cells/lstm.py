"""Long short-term memory."""

from __future__ import annotations

import torch
from torch import Tensor

from seqapps.cells.cell import PointwiseCell, State

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
        bias: whether there are b and d; b_f + d_f starts as 1 (Jozefowicz, Zaremba and Sutskever 2015).
    """

    gates, states = 4, 2
    gate_names = ("input", "forget", "output")
    keep_gates, write_gates = (1,), (0,)
    plain = True  # is it exactly torch's?

    def reset_parameters(self) -> None:
        """As every cell, with a forget bias of 1."""
        super().reset_parameters()
        if self.input_projection.bias is not None:
            self.set_memory_bias(1.0)

    def pointwise(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        _, c = state
        i, f, g, o = (projected + recurrent).chunk(4, -1)
        i, f, o = torch.sigmoid(i), torch.sigmoid(f), torch.sigmoid(o)
        c = f * c + i * torch.tanh(g)
        h = o * torch.tanh(c)
        return h, (h, c)
