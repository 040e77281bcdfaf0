"""The independent values: sequences cut out by plain slicing and stepped one at a time in a plain loop.

Nothing here uses `seqapps.cells.unroll`. A run is a mapping from what a value is called to the value: outputs, final
states and the gradients of one fixed random combination of them with respect to everything that goes in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seqapps.cells import Cell, State

__all__ = [
    "EQUAL",
    "RAGGED",
    "alone",
    "in_batch",
    "measured",
    "padded_with",
    "reached",
    "sample",
    "stepped",
    "unused_parameters",
]

RAGGED = (5, 1, 3, 4)  # lengths; one that is the padded length, one that is 1
EQUAL = (5, 5, 5, 5)

Run = Mapping[str, Tensor]
Forward = Callable[[Tensor, State], tuple[Tensor, State]]


def sample(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Normal random numbers, the same for the same shape and seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def padded_with(x: Tensor, lengths: Sequence[int], value: float) -> Tensor:
    """x (T, B, ...) with `value` behind every sequence's end."""
    x = x.clone()
    for b, n in enumerate(lengths):
        x[n:, b] = value
    return x


def stepped(cell: Cell, x: Tensor, state: State) -> tuple[Tensor, State]:
    """`step` after `step` over x (T, B, E), each position projected by itself."""
    cell = cell.begin(x.size(1))
    outputs = []
    for t in range(len(x)):
        output, state = cell.step(cell.project(x[t]), state)
        outputs.append(output)
    return torch.stack(outputs), state


def alone(cell: Cell, x: Tensor, state: State, lengths: Sequence[int], reverse: bool = False) -> tuple[Tensor, State]:
    """Each sequence of x (T, B, E) cut out and run by itself: outputs, zero on padding, and final states."""
    outputs, finals = [], []
    for b, n in enumerate(lengths):
        order = list(range(n - 1, -1, -1) if reverse else range(n))
        output, final = stepped(cell, x[order, b : b + 1], tuple(s[b : b + 1] for s in state))
        output = output[order]  # back in reading order
        outputs.append(torch.cat([output, output.new_zeros(len(x) - n, *output.shape[1:])]))
        finals.append(final)
    return torch.cat(outputs, 1), tuple(torch.cat(tensors) for tensors in zip(*finals, strict=True))


def in_batch(cell: Cell, x: Tensor, state: State, lengths: Sequence[int]) -> tuple[Tensor, State]:
    """`step` after `step` to the end of the padded batch, each final state picked at its sequence's end.

    For a cell that `begin` has returned: what it has drawn belongs to rows of the batch, which cannot be cut out.
    """
    outputs, states = [], []
    for projected in cell.project(x):
        output, state = cell.step(projected, state)
        outputs.append(output)
        states.append(state)
    picked = [[states[n - 1][i][b] for b, n in enumerate(lengths)] for i in range(len(state))]
    return torch.stack(outputs), tuple(torch.stack(rows) for rows in picked)


def reached(cell: Cell, batch_size: int) -> State:
    """A state that the cell itself gets to, so that it is one that the cell can be in."""
    with torch.no_grad():
        x = sample(3, batch_size, cell.input_size, seed=5).to(next(cell.parameters()))
        return tuple(s.detach().clone() for s in stepped(cell, x, cell.initial_state(batch_size))[1])


def measured(module: nn.Module, x: Tensor, state: State | None, forward: Forward) -> Run:
    """Values and gradients of `forward(x, state)`, which returns outputs (T, B, F) and a tuple of final states."""
    x = x.detach().clone().requires_grad_()
    given = [s.detach().clone().requires_grad_() for s in state or ()]
    outputs, final = forward(x, tuple(given) if state is not None else None)  # type: ignore[arg-type]
    named = {"outputs": outputs, **{f"final state {i + 1} of {len(final)}": s for i, s in enumerate(final)}}
    return {**named, **gradients(module, weighed(named.values()), x, given)}


def weighed(values: Iterable[Tensor]) -> Tensor:
    """A fixed random combination of all their numbers."""
    parts = [(v * sample(*v.shape, seed=7 + i).to(v)).sum() for i, v in enumerate(values)]
    return torch.stack(parts).sum()


def gradients(module: nn.Module, loss: Tensor, x: Tensor, state: Sequence[Tensor]) -> dict[str, Tensor]:
    """Of the loss with respect to x, initial states and parameters, by name; zero where nothing depends on it."""
    wanted: dict[str, Any] = {"the gradient of x": x}
    wanted.update({f"the gradient of initial state {i + 1}": s for i, s in enumerate(state)})
    wanted.update({f"the gradient of parameter {name!r}": p for name, p in module.named_parameters()})
    found = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True)
    return {
        name: torch.zeros_like(tensor) if gradient is None else gradient
        for (name, tensor), gradient in zip(wanted.items(), found, strict=True)
    }


def unused_parameters(module: nn.Module, run: Run) -> list[str]:
    """Names of parameters whose gradient is zero everywhere."""
    named = ((name, run[f"the gradient of parameter {name!r}"]) for name, _ in module.named_parameters())
    return [name for name, gradient in named if not bool(gradient.any())]
