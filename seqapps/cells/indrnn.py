"""Independently recurrent network."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from seqapps.cells.cell import PointwiseCell, State
from seqapps.cells.rnn import ACTIVATIONS

__all__ = ["IndRNN"]


class IndRNN(PointwiseCell):
    """Independently recurrent network (Li, Li, Cook, Zhu and Gao 2018, arXiv 1803.04831, equation 2).

        h_t = g(W x_t + u * h_{t-1} + b)

    The output is h_t. W, b are `input_projection`; u, a vector (H,), is `recurrent_weight`: each unit sees its own past
    only, and layers above mix them. torch.nn has no counterpart.

    The paper bounds |u| by 2^(1/T) for sequences of T steps, so that with relu a gradient grows at most twofold. Here u
    starts uniform in 0 to 1, which is within the bound for every T, and is not held there during training. relu' at 0
    is 0.

    Fields:
        nonlinearity: g, one of relu, tanh, sigmoid.
        bias: whether there is b.
    """

    has_recurrent = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        /,
        *,
        nonlinearity: Literal["relu", "tanh", "sigmoid"] = "relu",
        bias: bool = True,
    ):
        self.nonlinearity = nonlinearity
        super().__init__(input_size, hidden_size, bias=bias)
        self.recurrent_weight = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As every cell, with u uniform in 0 to 1."""
        super().reset_parameters()
        if hasattr(self, "recurrent_weight"):
            nn.init.uniform_(self.recurrent_weight)

    def pointwise(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        (h,) = state
        h = ACTIVATIONS[self.nonlinearity](projected + self.recurrent_weight * h)
        return h, (h,)
