"""The minimal GRU that a scan can run."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from seqapps.cells.cell import LinearCell

__all__ = ["MinGRU", "candidate_activation"]


class MinGRU(LinearCell):
    """minGRU (Feng, Tung, Ahmed, Bengio and Hajimirsadeghi 2024, "Were RNNs all we needed?", arXiv 2410.01201).

        z_t = sigmoid(W_z x_t + b_z)
        n_t = W_n x_t + b_n                                     the candidate, h~ in the paper
        h_t = (1 - z_t) * h_{t-1} + z_t * n_t

    A GRU whose gate and candidate do not look at h_{t-1}, without reset gate and tanh: h_t = a_t * h_{t-1} + b_t with
    a = 1 - z and b = z * n. The output is h_t. Gate order z n, both `input_projection`; torch.nn has no counterpart.

    With `candidate: positive`, n_t = g(W_n x_t + b_n), where g(v) = v + 0.5 from 0 on and sigmoid(v) below: the form
    that the paper computes with logarithms (its appendix). The scan here needs no positive states; h_0 is 0 in both.

    Fields:
        candidate: linear or positive.
        bias: whether there is b.
    """

    gates = 2
    gate_names = ("update",)
    write_gates = (0,)

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

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        z, n = projected.chunk(2, -1)
        z = torch.sigmoid(z)
        return 1 - z, z * candidate_activation(n, self.candidate)


def candidate_activation(v: Tensor, candidate: str) -> Tensor:
    """v itself, or g(v) = v + 0.5 where v >= 0, else sigmoid(v), which is positive and continuous."""
    if candidate == "linear":
        return v
    e = torch.exp(v.clamp(max=0))
    return torch.where(v >= 0, v + 0.5, e / (1 + e))  # torch.sigmoid is kept for gates: diagnostics look at those
