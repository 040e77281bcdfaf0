"""What a recurrent cell is.

A cell is written once, as one step. `seqapps.cells.unroll` runs it over time, to every sequence's own length, in either
direction, with a fast kernel where one supports it; encoders make it deep and bidirectional; decoders call its step.
"""

from __future__ import annotations

import abc
from typing import TypeAlias

import torch
from torch import Tensor, nn

__all__ = ["Cell", "PointwiseCell", "State"]

State: TypeAlias = tuple[Tensor, ...]


class Cell(nn.Module, abc.ABC):
    """One step of a recurrent layer: state in, state out; nothing is remembered in the cell.

    A subclass sets `gates` (blocks of `hidden_size` that the input is projected to) and `states` (tensors in its
    state), and writes `step`. Options may change them per instance: set them before calling `super().__init__`. Recipe
    fields are keyword-only parameters of the constructor; `bias` is one that every cell passes on.

        class MinimalGatedUnit(Cell):
            gates = 2

            def __init__(self, input_size, hidden_size, /, *, bias: bool = True):
                super().__init__(input_size, hidden_size, bias=bias)
                self.forget = nn.Linear(hidden_size, hidden_size, bias=False)
                self.candidate = nn.Linear(hidden_size, hidden_size, bias=False)
                self.reset_parameters()

            def step(self, projected, state):
                (h,) = state
                x_f, x_c = projected.chunk(2, -1)
                f = torch.sigmoid(x_f + self.forget(h))
                h = (1 - f) * h + f * torch.tanh(x_c + self.candidate(f * h))
                return h, (h,)

    Attributes:
        gates: the input projection has gates x hidden_size rows.
        states: how many tensors the state has; the first is what a recurrent product reads.
        output_size: features of an output; hidden_size unless the subclass says otherwise.
    """

    gates: int = 1
    states: int = 1

    def __init__(self, input_size: int, hidden_size: int, /, *, bias: bool = True):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.input_projection = nn.Linear(input_size, self.gates * hidden_size, bias=bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Every parameter uniform in ±1/√H, as torch.nn's recurrent layers."""
        bound = self.hidden_size**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def project(self, x: Tensor) -> Tensor:
        """The part of a step that does not depend on the state, for all steps at once: (..., E) -> (..., gates x H)."""
        return self.input_projection(x)

    @abc.abstractmethod
    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: (B, gates x H) and the state before it -> output (B, output_size) and the state after it."""

    def initial_state(self, batch_size: int) -> State:
        """Zeros. This alone defines the shapes of a state: tensors (batch_size, H) unless a subclass says otherwise."""
        zeros = self.input_projection.weight.new_zeros(batch_size, self.hidden_size)
        return (zeros,) * self.states

    def begin(self, batch_size: int) -> Cell:
        """The cell that is stepped along one batch of sequences: draw here what is constant along a sequence."""
        return self


class PointwiseCell(Cell):
    """A cell whose step is one recurrent matrix and then a pointwise rule.

    `pointwise(projected, recurrent, state)` combines W x + b, U h + d (both (B, gates x H)) and the old state, element
    by element; it must neither mix rows nor hidden units. Per-channel parameters (peepholes, scales) are allowed.
    """

    def __init__(self, input_size: int, hidden_size: int, /, *, bias: bool = True):
        super().__init__(input_size, hidden_size, bias=bias)
        self.recurrent = nn.Linear(hidden_size, self.gates * hidden_size, bias=bias)
        self.reset_parameters()

    @abc.abstractmethod
    def pointwise(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        """The rule: output and new state."""

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        return self.pointwise(projected, self.recurrent(state[0]), state)


def gate_slice(cell: Cell, gate: int) -> slice:
    """Rows of a projection that belong to gate number `gate`."""
    return slice(gate * cell.hidden_size, (gate + 1) * cell.hidden_size)


def set_gate_bias(cell: PointwiseCell, gate: int, value: float) -> None:
    """Let the sum of both biases of a gate be `value`."""
    with torch.no_grad():
        cell.input_projection.bias[gate_slice(cell, gate)] = value
        cell.recurrent.bias[gate_slice(cell, gate)] = 0.0
