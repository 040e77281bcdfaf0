"""Regularisers are on in training, do what they say, and are off in evaluation; kernels see the same draws."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from seqapps.cells import Cell, unroll
from seqapps.cells.regularizers import Regularizers, check_regularizers
from seqapps.errors import ComponentError
from seqapps.testing.runs import RAGGED, measured, reached, sample, stepped
from seqapps.testing.sequences import kernels_for
from seqapps.testing.subject import Draws, Subject, seeded

__all__ = ["REGULARIZATION"]

BATCH = 16  # with H units each, enough that a draw without a single one dropped does not happen
RATE = 0.5


def _admitted(subject: Subject) -> Iterator[tuple[str, Cell]]:
    """Each regulariser that the cell admits, and a cell with it."""
    for name in Regularizers._fields:
        cell = subject.make()
        cell.regularizers = Regularizers(**{name: RATE})
        try:
            check_regularizers(cell)
        except ComponentError:
            continue
        yield name, cell


def regularizers_are_on_in_training(subject: Subject) -> None:
    for name, cell in _admitted(subject):
        x, state = sample(5, BATCH, cell.input_size), reached(cell, BATCH)
        with torch.no_grad():
            plain = stepped(cell, x, state)[1]
            runs = []
            for seed in (0, 0, 1):
                with seeded(seed):
                    runs.append(stepped(cell.train(), x, state)[1])
        if name.startswith("zoneout"):
            plain = runs[2]  # zoneout in evaluation has values of its own; what counts is that draws differ
        on = [any(not torch.equal(a, b) for a, b in zip(runs[0], other, strict=True)) for other in (plain, runs[2])]
        subject.require(
            all(on),
            f"{name} does nothing in training",
            "let begin draw it, and multiply the old state by linear modules called as such",
        )
        same = all(torch.equal(a, b) for a, b in zip(runs[0], runs[1], strict=True))
        subject.require(same, f"with {name} the same seed gives other values", "draw with torch's random numbers only")


def regularizers_are_off_in_evaluation(subject: Subject) -> None:
    for name, cell in _admitted(subject):
        x, state = sample(5, BATCH, cell.input_size), reached(cell, BATCH)
        plain = subject.make()
        with torch.no_grad(), Draws() as numbers:
            found, expected = stepped(cell, x, state), stepped(plain, x, state)
        subject.require(
            not numbers.drew, f"with {name} it draws random numbers in evaluation", "let begin ask self.training"
        )
        if not name.startswith("zoneout"):
            subject.require(
                torch.equal(found[0], expected[0]),
                f"{name} changes outputs in evaluation",
                "let begin ask self.training",
            )


def dropped_weights_and_masks_stay_for_a_whole_sequence(subject: Subject) -> None:
    for name, cell in _admitted(subject):
        if name.startswith("zoneout"):
            continue
        begun, state = cell.train().begin(BATCH), reached(subject.make(), BATCH)
        projected = begun.project(sample(BATCH, cell.input_size))
        with Draws() as numbers:
            begun.step(projected, state)
        subject.require(not numbers.drew, f"{name} is drawn anew at every step", "draw it in begin")


def zoneout_keeps_single_units(subject: Subject) -> None:
    """In training a unit of a new state is the old one or the new one; in evaluation the expected value."""
    for name, cell in _admitted(subject):
        if not name.startswith("zoneout"):
            continue
        plain = subject.make()
        x, old = sample(BATCH, cell.input_size), reached(plain, BATCH)
        with torch.no_grad():
            new = plain.step(plain.project(x), old)[1]
            expected = stepped(cell, x[None], old)[1]
            drawn = stepped(cell.train(), x[None], old)[1]
        for number, (before, after, mean, got) in enumerate(zip(old, new, expected, drawn, strict=True)):
            acts = (number > 0) == (name == "zoneout_cell")
            rate = RATE if acts else 0.0
            subject.require(
                torch.allclose(mean, rate * before + (1 - rate) * after, rtol=1e-10, atol=1e-10),
                f"with {name} state {number + 1} in evaluation is not the expected value",
                "let begin, project and step of Cell do zoneout",
            )
            kept, replaced = _same(got, before), _same(got, after)
            holds = bool((kept | replaced).all()) and (not acts or bool((kept & ~replaced).any()))
            subject.require(
                holds if acts else bool(replaced.all()),
                f"with {name} the units of state {number + 1} in training are not each the old or the new one",
                "let begin, project and step of Cell do zoneout",
            )


def _same(a: Tensor, b: Tensor) -> Tensor:
    return torch.isclose(a, b, rtol=1e-10, atol=1e-10)


def kernels_regularize_as_steps_do(subject: Subject) -> None:
    for name, cell in _admitted(subject):
        cell.train()
        batch = len(RAGGED)
        x = sample(max(RAGGED), batch, cell.input_size)
        state = reached(subject.make(), batch)
        runs = []
        for kernel in ("reference", *kernels_for(cell, x)):
            with seeded(0):
                runs.append(
                    measured(
                        cell,
                        x,
                        state,
                        lambda x, s, kernel=kernel: unroll(cell, x, s, torch.tensor(RAGGED), kernels=kernel),  # type: ignore # noqa: B023
                    )
                )
            subject.compare(
                runs[-1],
                runs[0],
                f"{{}} with {name} by kernel {kernel!r} is not that of the steps",
                "let the kernel refuse cells with this regulariser",
            )
        finite = all(bool(value.isfinite().all()) for value in runs[0].values())
        subject.require(finite, f"with {name} a gradient is not finite", "mend the step where units are dropped")


REGULARIZATION = (
    regularizers_are_on_in_training,
    regularizers_are_off_in_evaluation,
    dropped_weights_and_masks_stay_for_a_whole_sequence,
    zoneout_keeps_single_units,
    kernels_regularize_as_steps_do,
)
