"""The simple recurrent network."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from seqapps.cells.cell import PointwiseCell, State

__all__ = ["RNN"]


class RNN(PointwiseCell):
    """Simple recurrent network (Elman 1990, "Finding structure in time").

        h_t = tanh(W x_t + b + U h_{t-1} + d)        or relu in place of tanh

    The output is h_t. W, b are `input_projection`, U, d are `recurrent`: torch.nn.RNN's weight_ih_l0, bias_ih_l0,
    weight_hh_l0, bias_hh_l0. Elman's hidden units are logistic; tanh is today's custom. relu' at 0 is 0.

    Fields:
        nonlinearity: tanh or relu.
        bias: whether there are b and d.
    """

    plain = True  # is it exactly torch's?

    def __init__(
        self, input_size: int, hidden_size: int, /, *, nonlinearity: Literal["tanh", "relu"] = "tanh", bias: bool = True
    ):
        super().__init__(input_size, hidden_size, bias=bias)
        self.nonlinearity = nonlinearity

    def pointwise(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        activate = torch.tanh if self.nonlinearity == "tanh" else torch.relu
        h = activate(projected + recurrent)
        return h, (h,)
