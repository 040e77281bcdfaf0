"""The simple recurrent network."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from seqapps.cells.cell import PointwiseCell, State

__all__ = ["RNN"]

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}


class RNN(PointwiseCell):
    """Simple recurrent network (Elman 1990, "Finding structure in time").

        h_t = g(W x_t + b + U h_{t-1} + d)

    The output is h_t. W, b are `input_projection`, U, d are `recurrent`: torch.nn.RNN's weight_ih_l0, bias_ih_l0,
    weight_hh_l0, bias_hh_l0.

    Elman's hidden units are logistic (sigmoid), which torch.nn.RNN does not have; tanh is today's custom. relu has no
    derivative at 0; torch takes 0 there, so a unit that is exactly at 0 passes no gradient. Its derivative is bounded
    by 1, that of tanh too, but that of the sigmoid by 1/4: gradients then vanish unless the weights make up for it.

    Fields:
        nonlinearity: g, one of tanh, relu, sigmoid.
        bias: whether there are b and d.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        /,
        *,
        nonlinearity: Literal["tanh", "relu", "sigmoid"] = "tanh",
        bias: bool = True,
    ):
        self.nonlinearity = nonlinearity
        super().__init__(input_size, hidden_size, bias=bias)

    @property
    def plain(self) -> bool:
        """Is it exactly torch's?"""
        return self.nonlinearity in ("tanh", "relu")

    def pointwise(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        h = ACTIVATIONS[self.nonlinearity](projected + recurrent)
        return h, (h,)
