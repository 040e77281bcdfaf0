"""What a recurrent cell is.

A cell is written once, as one step. `seqapps.cells.unroll` runs it over time, to every sequence's own length, in either
direction, with a fast kernel where one supports it; encoders make it deep and bidirectional; decoders call its step.

    Cell            writes `step`
    PointwiseCell   has one recurrent matrix and writes `pointwise`: fast kernels are generated from that
    LinearCell      has no recurrent matrix and writes `coefficients`: run by a scan
"""

from __future__ import annotations

import abc
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor, nn

from seqapps.cells.regularizers import NO_REGULARIZERS, Regularizers, drawn

__all__ = ["Cell", "LinearCell", "PointwiseCell", "State"]

State: TypeAlias = tuple[Tensor, ...]


class Cell(nn.Module, abc.ABC):
    """One step of a recurrent layer: state in, state out; nothing is remembered in the cell.

    A subclass sets `gates` (blocks of `hidden_size` that the input is projected to) and `states` (tensors in its
    state), and writes `step`. Options may change any of the attributes below per instance: set `gates` and `states`
    before calling `super().__init__`. Recipe fields are keyword-only parameters of the constructor; `bias` is one that
    every cell passes on. Matrices that multiply the old state are `nn.Linear` children: the regularisers of a recurrent
    layer act on them.

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
        gate_names: what the sigmoids of a step are, in the order in which `step` computes them; diagnostics show them
            by these names.
        keep_gates: numbers of the blocks of the projection whose higher bias keeps more of the old state (a forget
            gate).
        write_gates: numbers of those whose higher bias overwrites more of it (an input gate).
        regularizers: what a recurrent layer asks for; see `seqapps.cells.regularizers`.
    """

    gates: int = 1
    states: int = 1
    gate_names: tuple[str, ...] = ()
    keep_gates: tuple[int, ...] = ()
    write_gates: tuple[int, ...] = ()
    regularizers: Regularizers = NO_REGULARIZERS

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
        """One step: (B, gates x H) and the state before it -> output (B, output_size) and the state after it.

        Where the output is a state, return the same tensor for both: zoneout then acts on both.
        """

    def initial_state(self, batch_size: int) -> State:
        """Zeros. This alone defines the shapes of a state: tensors (batch_size, H) unless a subclass says otherwise."""
        zeros = self.input_projection.weight.new_zeros(batch_size, self.hidden_size)
        return (zeros,) * self.states

    def begin(self, batch_size: int) -> Cell:
        """The cell that is stepped along one batch of sequences, with what is constant along a sequence drawn.

        Itself where nothing is drawn; else a shallow copy that shares every parameter.
        """
        return drawn(self, batch_size)

    def recurrent_names(self) -> tuple[str, ...]:
        """Names of the linear children that multiply the old state: all but the input projection."""
        return tuple(
            name for name, child in self.named_children() if isinstance(child, nn.Linear) and name != "input_projection"
        )

    def set_memory_bias(self, value: float | Tensor) -> None:
        """Let the gates that decide what is remembered start with this bias: `value` to keep, -`value` to overwrite.

        A single number is the bias of gates that keep, and of the others only in a cell that has none that keeps: an
        LSTM's forget bias leaves its input gate alone. A tensor (H,) is set in all of them (chrono initialisation).
        """
        for gate in self.keep_gates:
            set_gate_bias(self, gate, value)
        if isinstance(value, Tensor) or not self.keep_gates:
            for gate in self.write_gates:
                set_gate_bias(self, gate, -value)


class PointwiseCell(Cell):
    """A cell whose step is one recurrent matrix on the first state and then a rule.

    `pointwise(projected, recurrent, state)` combines W x + b, U h + d (both (B, gates x H)) and the old state. It must
    keep the rows of a batch apart. Where it also keeps hidden units apart, element by element, fast kernels are
    generated from it; per-channel parameters (peepholes, scales) are allowed. A rule that mixes hidden units (layer
    normalisation, a further matrix) says `elementwise = False`.

        class PeepholeLSTM(PointwiseCell):
            gates, states = 4, 2
            ...
            def pointwise(self, projected, recurrent, state):
                _, c = state
                i, f, g, o = (projected + recurrent).chunk(4, -1)
                ...
                return h, (h, c)

    Attributes:
        recurrent: the linear module on the first state, or None for a cell without one; `pointwise` then gets None.
        elementwise: does the rule keep hidden units apart?
        has_recurrent: class attribute; False = there is no recurrent matrix.
    """

    elementwise: bool = True
    has_recurrent: ClassVar[bool] = True

    def __init__(self, input_size: int, hidden_size: int, /, *, bias: bool = True):
        super().__init__(input_size, hidden_size, bias=bias)
        size = self.gates * hidden_size
        self.recurrent: nn.Linear = (
            nn.Linear(hidden_size, size, bias=bias) if self.has_recurrent else None  # type: ignore[assignment]
        )
        self.reset_parameters()

    @abc.abstractmethod
    def pointwise(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        """The rule: output and new state."""

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        recurrent = self.recurrent(state[0]) if self.has_recurrent else None
        return self.pointwise(projected, recurrent, state)  # type: ignore[arg-type]


class LinearCell(PointwiseCell):
    """A cell whose state is a linear recurrence: h_t = a_t * h_{t-1} + b_t, where a and b depend on the input only.

    All steps can then be computed at once, by a scan. The subclass writes `coefficients`, and `readout` where the
    output is not the state itself. It has one state, (B, H).
    """

    has_recurrent = False

    @abc.abstractmethod
    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """a and b, both (..., H), from (..., gates x H)."""

    def readout(self, projected: Tensor, state: Tensor) -> Tensor:
        """The outputs (..., output_size) that go with the states (..., H)."""
        return state

    def pointwise(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        a, b = self.coefficients(projected)
        h = a * state[0] + b
        return self.readout(projected, h), (h,)


def gate_slice(cell: Cell, gate: int) -> slice:
    """Rows of a projection that belong to gate number `gate`."""
    return slice(gate * cell.hidden_size, (gate + 1) * cell.hidden_size)


def set_gate_bias(cell: Cell, gate: int, value: float | Tensor) -> None:
    """Let all biases of a gate add up to `value`: the input projection's is set, the recurrent one zeroed."""
    rows = gate_slice(cell, gate)
    with torch.no_grad():
        cell.input_projection.bias[rows] = value
        recurrent = getattr(cell, "recurrent", None)
        if recurrent is not None and recurrent.bias is not None and len(recurrent.bias) >= rows.stop:
            recurrent.bias[rows] = 0.0
