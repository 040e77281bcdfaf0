"""Minimal gated unit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqapps.cells.cell import PointwiseCell, State

__all__ = ["MinimalGatedUnit"]


class MinimalGatedUnit(PointwiseCell):
    """Minimal gated unit (Zhou, Wu, Zhang and Zhou 2016, arXiv 1603.09420): a GRU with one gate for both.

        f_t = sigmoid(W_f x_t + b_f + U_f h_{t-1} + d_f)
        n_t = tanh(W_n x_t + b_n + U_n (f_t * h_{t-1}) + d_n)            the candidate, h~ in the paper
        h_t = (1 - f_t) * h_{t-1} + f_t * n_t

    The output is h_t. Gate order f n. W, b are `input_projection`, U_f, d_f `recurrent`, U_n, d_n `candidate`; the
    paper writes one matrix on [h, x], and one bias in place of b and d. It calls f_t the forget gate: open, it forgets
    h_{t-1} and writes n_t, the other sense than in an LSTM. torch.nn has no counterpart.

    Fields:
        bias: whether there are b and d.
    """

    gates = 2
    gate_names = ("forget",)
    write_gates = (0,)
    elementwise = False

    def __init__(self, input_size: int, hidden_size: int, /, *, bias: bool = True):
        super().__init__(input_size, hidden_size, bias=bias)
        self.recurrent = nn.Linear(hidden_size, hidden_size, bias=bias)
        self.candidate = nn.Linear(hidden_size, hidden_size, bias=bias)
        self.reset_parameters()

    def pointwise(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        (h,) = state
        x_f, x_n = projected.chunk(2, -1)
        f = torch.sigmoid(x_f + recurrent)
        n = torch.tanh(x_n + self.candidate(f * h))
        h = (1 - f) * h + f * n
        return h, (h,)
