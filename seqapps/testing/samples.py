"""Cells that no recipe names, to try kernels on: one for each thing that a kernel may overlook."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from seqapps.cells import Cell, LinearCell, PointwiseCell, State

__all__ = ["SAMPLES", "variants"]


class PeepholeSample(PointwiseCell):
    """Two states, parameters per hidden unit, a rule in which one gate looks at a new state."""

    gates, states = 3, 2

    def __init__(self, input_size: int, hidden_size: int, /, *, bias: bool = True):
        super().__init__(input_size, hidden_size, bias=bias)
        self.peephole = nn.Parameter(torch.randn(2, hidden_size))

    def pointwise(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        h, c = state
        f, g, o = (projected + recurrent).chunk(3, -1)
        f = torch.sigmoid(f + self.peephole[0] * c)
        c = f * c + (1 - f) * torch.tanh(g)
        h = torch.sigmoid(o + self.peephole[1] * c) * c + 0.1 * h
        return h, (h, c)


class ProductSample(PointwiseCell):
    """Projected and recurrent input are multiplied, not added; the output is no state."""

    gates = 2

    def pointwise(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        x, y = projected.chunk(2, -1)
        u, v = recurrent.chunk(2, -1)
        h = torch.tanh(x * u + y) + 0.5 * state[0] * torch.sigmoid(v)
        return h.square(), (h,)


class NormalizedSample(PointwiseCell):
    """The rule mixes hidden units."""

    elementwise = False

    def pointwise(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        h = torch.tanh(projected + nn.functional.layer_norm(recurrent, recurrent.shape[-1:]))
        return h, (h,)


class UnconnectedSample(PointwiseCell):
    """No recurrent matrix; the old state goes through the non-linearity."""

    has_recurrent = False

    def pointwise(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        h = torch.tanh(projected - 0.8 * state[0])
        return h, (h,)


class ReadoutSample(LinearCell):
    """A linear recurrence whose output is not its state, and whose a has either sign."""

    gates = 3

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        a, b, _ = projected.chunk(3, -1)
        return torch.tanh(a), b

    def readout(self, projected: Tensor, state: Tensor) -> Tensor:
        return torch.sigmoid(projected.chunk(3, -1)[2]) * torch.tanh(state)


class MatrixSample(Cell):
    """A state (B, H, H), written by an outer product and read by a query."""

    gates = 3

    def initial_state(self, batch_size: int) -> State:
        return (self.input_projection.weight.new_zeros(batch_size, self.hidden_size, self.hidden_size),)

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        key, value, query = projected.chunk(3, -1)
        memory = 0.9 * state[0] + torch.tanh(value)[:, :, None] * torch.tanh(key)[:, None, :]
        return (memory @ query[:, :, None])[:, :, 0], (memory,)


SAMPLES: tuple[type[Cell], ...] = (
    PeepholeSample,
    ProductSample,
    NormalizedSample,
    UnconnectedSample,
    ReadoutSample,
    MatrixSample,
)


def variants(cell_class: type[Cell]) -> list[type[Cell]]:
    """Subclasses that compute something else than `cell_class`, one for each method that they may override.

    A kernel that goes by the class it knows takes them for it.
    """
    rules = {"project": _halved, "step": _damped}
    if issubclass(cell_class, PointwiseCell):
        rules["pointwise"] = _damped
    if issubclass(cell_class, LinearCell):
        rules["coefficients"] = rules["readout"] = _halved
    return [
        type(f"{cell_class.__name__}WithAnother{name.title()}", (cell_class,), {name: _around(cell_class, name, rule)})
        for name, rule in rules.items()
    ]


def _around(cell_class: type[Cell], name: str, rule: Any) -> Any:
    original = getattr(cell_class, name)

    def method(self: Cell, *arguments: Any) -> Any:
        return rule(original(self, *arguments))

    return method


def _halved(result: Any) -> Any:
    return tuple(0.5 * tensor for tensor in result) if isinstance(result, tuple) else 0.5 * result


def _damped(result: tuple[Tensor, State]) -> tuple[Tensor, State]:
    output, state = result
    return 0.9 * output, tuple(0.8 * s for s in state)
