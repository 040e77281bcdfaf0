"""Every cell of an encoder run step by step, and what it does noted."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from seqapps.cells import Cell, Lengths, State
from seqapps.cells.lengths import reversed_sequences, without_padding
from seqapps.engine.model import Model
from seqapps.errors import ComponentError

__all__ = ["Place", "Step", "Unrolled", "recording", "recurrent_cells"]

_SIGMOIDS = {torch.sigmoid, torch.sigmoid_, torch.special.expit, Tensor.sigmoid, Tensor.sigmoid_}
_STATE_NAMES = ("h", "c")


class Place(NamedTuple):
    """Where a cell stands in an encoder, both from 0; direction 1 reads backward."""

    layer: int
    direction: int

    @property
    def reading(self) -> str:
        """forward or backward."""
        return "backward" if self.direction else "forward"


class Step(NamedTuple):
    """One call of `cell.step`: rows of a batch, some of which may be past their end.

    Attributes:
        projected: (B, gates x H).
        before, after: the state.
        output: (B, output_size).
        gates: name -> (B, ...), what the sigmoids of the step gave, other than a new state itself.
    """

    projected: Tensor
    before: State
    after: State
    output: Tensor
    gates: dict[str, Tensor]


@dataclass
class Unrolled:
    """A cell's way along one batch of sequences; steps are counted as the cell reads, from a backward one's last token.

    Attributes:
        cell: what was stepped, without the recording.
    """

    place: Place
    cell: Cell
    steps: list[Step] = field(default_factory=list)

    @property
    def state_names(self) -> tuple[str, ...]:
        """h, c, state2, state3, ..."""
        count = len(self.steps[0].after)
        return (*_STATE_NAMES[:count], *(f"state{number}" for number in range(2, count)))

    def states(self, number: int) -> Tensor:
        """(T, B, ...): state number `number` after each step."""
        return torch.stack([step.after[number] for step in self.steps])

    def gates(self) -> dict[str, Tensor]:
        """Name -> (T, B, ...)."""
        return {name: torch.stack([step.gates[name] for step in self.steps]) for name in self.steps[0].gates}

    def in_reading_order(self, values: Tensor, lengths: Lengths) -> Tensor:
        """Steps (T, B, ...) as positions: values[t] belongs to token t. Zero on padding."""
        values = without_padding(values, lengths)
        return reversed_sequences(values, lengths) if self.place.direction else values


def recurrent_cells(encoder: nn.Module) -> dict[Place, Cell]:
    """The cells of an encoder's layers. ComponentError if it is not made of any."""
    cells: dict[Place, Cell] = {}
    layers = getattr(encoder, "layers", None)
    for number, layer in enumerate(layers if isinstance(layers, nn.ModuleList) else ()):
        for direction, cell in enumerate(layer if isinstance(layer, nn.ModuleList) else ()):
            if isinstance(cell, Cell):
                cells[Place(number, direction)] = cell
    if not cells:
        raise ComponentError(
            f"{type(encoder).__name__}: this encoder has no recurrent cells, so there are no steps to look into; "
            "give a run whose model.encoder is recurrent"
        )
    return cells


@contextmanager
def recording(model: Model) -> Iterator[Mapping[Place, Unrolled]]:
    """While it lasts, the model's encoder notes every step of every cell; the newest batch replaces the one before.

    All modules run by the reference loop. What is noted is part of the graph, if there is one. Sigmoids that a step
    computes otherwise than through `torch.sigmoid` are not seen.
    """
    noted: dict[Place, Unrolled] = {}
    cells = recurrent_cells(model.encoder)
    kernels: list[tuple[Any, str]] = [(m, m.kernels) for m in model.modules() if hasattr(m, "kernels")]  # type: ignore[misc]
    for module, _ in kernels:
        module.kernels = "reference"
    for place, cell in cells.items():
        cell.__dict__["begin"] = partial(_begin, cell, place, noted)
    try:
        yield noted
    finally:
        for cell in cells.values():
            del cell.__dict__["begin"]
        for module, before in kernels:
            module.kernels = before


def _begin(cell: Cell, place: Place, noted: dict[Place, Unrolled], batch_size: int) -> Cell:
    """What `cell.begin` gives, but for a `step` that takes notes."""
    drawn = type(cell).begin(cell, batch_size)
    unrolled = noted[place] = Unrolled(place, drawn)
    noting = copy.copy(drawn)
    noting.__dict__["step"] = partial(_step, drawn, unrolled)
    return noting


def _step(cell: Cell, unrolled: Unrolled, projected: Tensor, state: State) -> tuple[Tensor, State]:
    with _Sigmoids() as sigmoids:
        output, new = cell.step(projected, state)
    # A logistic unit's new state is a sigmoid too, but no gate.
    gates = [value for value in sigmoids.values if all(value is not shown for shown in (output, *new))]
    unrolled.steps.append(Step(projected, state, new, output, named_gates(cell, gates)))
    return output, new


class _Sigmoids(TorchFunctionMode):
    """Keeps what sigmoids give, in the order in which they are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[Tensor] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in _SIGMOIDS:
            self.values.append(result)
        return result


def named_gates(cell: Cell, values: list[Tensor]) -> dict[str, Tensor]:
    """The sigmoids of a step under the cell's `gate_names`; gate1, gate2, ... where there is another number of them.

    One sigmoid over several gates side by side counts as that many.
    """
    names, size = cell.gate_names, cell.hidden_size
    if len(values) != len(names):
        parts = [
            part for value in values for part in (value.split(size, -1) if value.size(-1) % size == 0 else [value])
        ]
        values = parts if len(parts) == len(names) else values
    if len(values) != len(names):
        names = tuple(f"gate{number}" for number in range(1, len(values) + 1))
    return dict(zip(names, values, strict=True))
