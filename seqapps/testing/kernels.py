"""The contract of kernels: `step` is the specification."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

from seqapps.cells import Cell, Lengths, State
from seqapps.cells.regularizers import Regularizers, check_regularizers
from seqapps.cells.unroll import Kernel
from seqapps.errors import ComponentError
from seqapps.registry import registry
from seqapps.testing.runs import EQUAL, RAGGED, Run, in_batch, measured, padded_with, reached, sample
from seqapps.testing.samples import SAMPLES, variants
from seqapps.testing.subject import Subject, description, seeded

__all__ = ["check_kernel"]

BATCH, STEPS = len(RAGGED), max(RAGGED)
TOLERANCES = {torch.float64: 1e-8, torch.float32: 1e-3}


def check_kernel(
    kernel: Kernel | type[Kernel],
    cells: Iterable[type[Cell] | tuple[type[Cell], dict[str, Any]]] | None = None,
    /,
    *,
    device: str = "cpu",
) -> list[str]:
    """Raises AssertionError, in one sentence, unless a kernel computes what the steps of every cell it takes compute.

    Compared are outputs, final states and all gradients, from states that are not zero, on ragged and on equal lengths.
    Each cell is tried as it is, with every regulariser drawn, and in subclasses that compute something else.

    Args:
        cells: classes, or pairs of class and fields; None = all registered ones, as by default.
        device: what the kernel runs on; the steps run on a CPU.

    Returns:
        What the cells are called that the kernel took; a kernel that refuses all of them keeps the contract, too.
    """
    one: Kernel = kernel() if isinstance(kernel, type) else kernel
    name = type(one).__name__
    Subject(name, lambda: one).run([a_kernel_says_what_it_is], one)
    if cells is None:
        cells = [registry("cells").load(known) for known in registry("cells")]
    taken: list[str] = []
    for given in [*cells, *SAMPLES]:
        cell_class, fields = given if isinstance(given, tuple) else (given, {})
        told = description(cell_class, fields)
        subject = _subject(name, cell_class, fields)
        subject.run([outputs_states_and_gradients_are_those_of_the_steps], one, device, taken, told)
        for kind in variants(cell_class):
            _subject(name, kind, fields).run([a_subclass_is_refused_or_computed_by_its_own_steps], one, device)
        subject.run([regularizers_are_refused_or_computed_as_by_the_steps], one, device)
    return list(dict.fromkeys(taken))


def _subject(kernel: str, cell_class: type[Cell], fields: dict[str, Any]) -> Subject:
    return Subject(f"{kernel} on {description(cell_class, fields)}", lambda: cell_class(3, 4, **fields))


def a_kernel_says_what_it_is(subject: Subject, kernel: Kernel) -> None:
    subject.require(isinstance(getattr(kernel, "rank", None), int), "it has no rank", "set 'rank', a whole number")
    for method in ("refuses", "unroll"):
        subject.require(
            callable(getattr(kernel, method, None)), f"it has no method {method}", "see seqapps.cells.unroll"
        )


def outputs_states_and_gradients_are_those_of_the_steps(
    subject: Subject, kernel: Kernel, device: str, taken: list[str], told: str
) -> None:
    cell = subject.make()
    for dtype, lengths in product(TOLERANCES, (RAGGED, EQUAL)):
        typed = copy.deepcopy(cell).to(dtype).to(device)
        if _takes(subject, kernel, typed, device):
            taken.append(told)
            _same_as_steps(subject, kernel, typed, lengths, "")


def a_subclass_is_refused_or_computed_by_its_own_steps(subject: Subject, kernel: Kernel, device: str) -> None:
    cell = subject.make().to(device)
    if _takes(subject, kernel, cell, device):
        _same_as_steps(subject, kernel, cell, RAGGED, ", a subclass with a rule of its own")


def regularizers_are_refused_or_computed_as_by_the_steps(subject: Subject, kernel: Kernel, device: str) -> None:
    for name in Regularizers._fields:
        cell = subject.make().to(device).train()
        cell.regularizers = Regularizers(**{name: 0.5})
        try:
            check_regularizers(cell)
        except ComponentError:
            continue  # nothing for it to act on
        if _takes(subject, kernel, cell.begin(BATCH), device):
            _same_as_steps(subject, kernel, cell, RAGGED, f" with {name}")


def _takes(subject: Subject, kernel: Kernel, cell: Cell, device: str) -> bool:
    dtype = next(cell.parameters()).dtype
    reason = kernel.refuses(cell, sample(STEPS, BATCH, cell.input_size, dtype=dtype).to(device))
    subject.require(
        reason is None or (isinstance(reason, str) and bool(reason.strip())),
        f"refuses returns {reason!r}",
        "return None, or a clause that says why it cannot run the cell",
    )
    return reason is None


def _same_as_steps(subject: Subject, kernel: Kernel, cell: Cell, lengths: Sequence[int], told: str) -> None:
    weight = next(cell.parameters())
    x = padded_with(sample(STEPS, BATCH, cell.input_size), lengths, 0.0).to(weight)
    training = cell.training
    state = reached(cell.eval(), BATCH)
    cell.train(training)
    own = Lengths(torch.tensor(lengths), STEPS, weight.device)

    def by_kernel(x: Tensor, state: State, final: bool = True) -> tuple[Tensor, State]:
        outputs, last = kernel.unroll(begun, x, state, own, final)
        finite = bool(outputs.isfinite().all())
        subject.require(finite, "outputs on padding are not finite", "return anything finite there")
        return outputs.masked_fill(own.padding, 0.0), (last or ()) if final else ()

    def by_steps(x: Tensor, state: State) -> tuple[Tensor, State]:
        outputs, last = in_batch(begun, x, state, lengths)
        return outputs.masked_fill(own.padding, 0.0), last

    runs: list[Run] = []
    for forward in (by_steps, by_kernel, lambda x, s: by_kernel(x, s, final=False)):
        with seeded(3):
            begun = cell.begin(BATCH)
            runs.append(measured(cell, x, state, forward))
    lengths_told = ", ".join(map(str, lengths))
    situation = f"{told} (lengths {lengths_told}, {weight.dtype})"
    way_out = "mend the kernel, or let it refuse the cell"
    tolerance = TOLERANCES[weight.dtype]
    subject.compare(runs[1], runs[0], f"{{}} is not that of the steps{situation}", way_out, tolerance)
    outputs = {"outputs": runs[0]["outputs"]}
    subject.compare(
        runs[2], outputs, f"{{}} with final=False are not those of the steps{situation}", way_out, tolerance
    )
