"""Connections that let a layer's input pass it by."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from seqapps.errors import ShapeError

__all__ = ["Connection", "Highway", "Residual", "connection"]

Connection = Literal["none", "residual", "highway"]


class Residual(nn.Module):
    """y + x, for a layer's input x and output y (He et al. 2015, arXiv 1512.03385)."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class Highway(nn.Module):
    """t * y + (1 - t) * x, with t = sigmoid(W x + b) (Srivastava, Greff and Schmidhuber 2015, arXiv 1505.00387).

    b starts at -1, so at first most of x is carried past the layer. He et al. 2017, "Deep semantic role labeling",
    put such gates inside an LSTM, where t reads h_{t-1} too; here it reads the layer's input only and stays outside the
    recurrence.
    """

    def __init__(self, size: int):
        super().__init__()
        self.gate = nn.Linear(size, size)
        nn.init.constant_(self.gate.bias, -1.0)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        t = torch.sigmoid(self.gate(x))
        return t * y + (1 - t) * x


def connection(kind: Literal["residual", "highway"], layer: int, input_size: int, output_size: int) -> nn.Module:
    """The connection past layer number `layer`, counted from 1. ShapeError if the layer changes the size."""
    if input_size != output_size:
        raise ShapeError(
            f"connections: {kind} needs layers as wide as their input, but layer {layer} reads {input_size} features"
            f" and returns {output_size}; choose equal sizes, or 'connections: none'"
        )
    return Residual() if kind == "residual" else Highway(input_size)
