"""The minimal LSTM that a scan can run."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from seqapps.cells.cell import LinearCell
from seqapps.cells.mingru import candidate_activation

__all__ = ["MinLSTM"]


class MinLSTM(LinearCell):
    """minLSTM (Feng, Tung, Ahmed, Bengio and Hajimirsadeghi 2024, "Were RNNs all we needed?", arXiv 2410.01201).

        f_t = sigmoid(W_f x_t + b_f)
        i_t = sigmoid(W_i x_t + b_i)
        n_t = W_n x_t + b_n                                     the candidate, h~ in the paper
        f'_t = f_t / (f_t + i_t),    i'_t = i_t / (f_t + i_t)
        h_t = f'_t * h_{t-1} + i'_t * n_t

    An LSTM whose gates and candidate do not look at h_{t-1}, without output gate, tanh and separate cell, and with
    gates that add up to 1: h_t = a_t * h_{t-1} + b_t with a = f' and b = i' * n. The output is h_t. Gate order f i n,
    all `input_projection`; torch.nn has no counterpart.

    f' is computed as sigmoid(log f - log i), so two gates that are shut do not give 0 / 0. With `candidate: positive`,
    n_t = g(W_n x_t + b_n), where g(v) = v + 0.5 from 0 on and sigmoid(v) below: the form that the paper computes with
    logarithms (its appendix). The scan here needs no positive states; h_0 is 0 in both.

    Fields:
        candidate: linear or positive.
        bias: whether there is b; b_f starts as 1, as in an LSTM.
    """

    gates = 3
    gate_names = ("forget",)
    keep_gates, write_gates = (0,), (1,)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        /,
        *,
        candidate: Literal["linear", "positive"] = "linear",
        bias: bool = True,
    ):
        self.candidate = candidate
        super().__init__(input_size, hidden_size, bias=bias)

    def reset_parameters(self) -> None:
        """As every cell, with a forget bias of 1."""
        super().reset_parameters()
        if self.input_projection.bias is not None:
            self.set_memory_bias(1.0)

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        f, i, n = projected.chunk(3, -1)
        keep = torch.sigmoid(F.softplus(-i) - F.softplus(-f))  # log sigmoid(v) = -softplus(-v)
        return keep, (1 - keep) * candidate_activation(n, self.candidate)
