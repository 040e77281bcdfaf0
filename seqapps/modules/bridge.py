"""From an encoded source to the state that a decoder starts in."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from seqapps.cells import Cell, State
from seqapps.errors import ComponentError
from seqapps.modules.encoded import Encoded

__all__ = ["Bridge", "BridgeKind"]

BridgeKind = Literal["summary", "final", "zero"]


class Bridge(nn.Module):
    """The initial state of each of a decoder's layers, whatever the shapes of its cells' states.

    summary   tanh(W s + b) for each tensor of each state, s = `Encoded.summary`, which every encoder has
    final     the encoder's final states, layer by layer, those of its directions side by side
    zero      the cells' own initial states: nothing but attention then knows the source
    """

    layers: Any  # nn.ModuleList, [layer][tensor of the state] -> linear map

    def __init__(self, kind: BridgeKind, summary_size: int, cells: Iterable[Cell]):
        super().__init__()
        self.kind = kind
        self.shapes = [[tuple(state.shape[1:]) for state in cell.initial_state(1)] for cell in cells]
        if kind == "summary":
            self.layers = nn.ModuleList(
                nn.ModuleList(nn.Linear(summary_size, math.prod(shape)) for shape in shapes) for shapes in self.shapes
            )

    def forward(self, encoded: Encoded, cells: Iterable[Cell]) -> tuple[State, ...]:
        """The state of each layer.

        Raises:
            ComponentError: `final`, and the encoder's final states have other shapes than the decoder's.
        """
        if self.kind == "final":
            return self._final(encoded)
        B = len(encoded.summary)
        if self.kind == "zero":
            return tuple(cell.initial_state(B) for cell in cells)
        return tuple(
            tuple(
                torch.tanh(linear(encoded.summary)).view(B, *shape) for linear, shape in zip(layer, shapes, strict=True)
            )
            for layer, shapes in zip(self.layers, self.shapes, strict=True)
        )

    def _final(self, encoded: Encoded) -> tuple[State, ...]:
        found = [_joined(layer) for layer in encoded.final or ()]
        shapes = [[tuple(tensor.shape[1:]) for tensor in layer] for layer in found]
        if shapes != self.shapes:
            raise ComponentError(
                f"bridge final: the layers of the encoder end in states of shapes {shapes}, directions side by side,"
                f" those of the decoder start in {self.shapes}; give both the same cell, depth and sizes, or use"
                " 'bridge: summary'"
            )
        return tuple(found)


def _joined(layer: tuple[State, ...]) -> tuple[Tensor, ...]:
    """The states of a layer's directions, side by side."""
    if len(layer) == 1:
        return layer[0]
    return tuple(torch.cat(tensors, -1) for tensors in zip(*layer, strict=True))
