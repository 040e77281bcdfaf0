"""A cell over time."""

from __future__ import annotations

from functools import cache
from typing import Protocol

import torch
from torch import Tensor

from seqapps.cells.cell import Cell, State
from seqapps.cells.lengths import Lengths, reversed_sequences, without_padding
from seqapps.errors import ComponentError, ShapeError
from seqapps.registry import registry

__all__ = ["Kernel", "kernels_named", "unroll", "unroll_steps"]


class Kernel(Protocol):
    """A fast way to run some cells over time; `step` is the specification that it is held to.

    `supports` must verify the *rule* that the cell computes, not just a base class: a subclass may compute another one.
    """

    def supports(self, cell: Cell, x: Tensor) -> bool:
        """Can this kernel run `cell` on `x`, exactly as its steps would?"""
        ...

    def unroll(self, cell: Cell, x: Tensor, state: State, lengths: Lengths, final: bool) -> tuple[Tensor, State | None]:
        """As `unroll_steps`, from the first step to the last. Outputs on padding may be anything finite."""
        ...


def unroll(
    cell: Cell,
    x: Tensor,
    state: State | None,
    lengths: Tensor | Lengths,
    *,
    reverse: bool = False,
    kernels: str = "auto",
    final: bool = True,
) -> tuple[Tensor, State | None]:
    """Run `cell` over time, each sequence to its own length.

    Outputs on padding are zero, and what x holds there, NaN included, matters neither to values nor to gradients. A
    final state is the one after a sequence's last token. With `reverse` each sequence is read from its last token to
    its first, and outputs[t] still belongs to x[t].

    Args:
        x: (T, B, E) float, time first.
        state: as `cell.initial_state(B)`; None = that.
        lengths: (B,) int64, 1 <= lengths[b] <= T.
        kernels: "reference" = step by step; "auto" = the first registered kernel that supports the cell; else a
            kernel's name.
        final: False if the final state is not needed, which can save time; it is then None.

    Returns:
        outputs (T, B, output_size) and the final state.

    Raises:
        ShapeError: a length is 0 or exceeds T, or x has another feature size than the cell.
        ComponentError: a kernel named in `kernels` does not support the cell.
    """
    if x.dim() != 3 or x.size(-1) != cell.input_size:
        raise ShapeError(f"{type(cell).__name__}: x has shape {tuple(x.shape)}, expected (T, B, {cell.input_size})")
    lengths = Lengths.of(lengths, x.size(0), x.device)
    cell = cell.begin(x.size(1))
    if state is None:
        state = cell.initial_state(x.size(1))
    x = without_padding(x, lengths)
    if reverse:
        x = reversed_sequences(x, lengths)
    kernel = next((k for k in kernels_named(kernels) if k.supports(cell, x)), None)
    if kernel is None and kernels not in ("auto", "reference"):
        raise ComponentError(f"kernel {kernels!r} does not support {type(cell).__name__}; use auto or reference")
    run = unroll_steps if kernel is None else kernel.unroll
    outputs, last = run(cell, x, state, lengths, final)
    outputs = without_padding(outputs, lengths)
    if reverse:
        outputs = reversed_sequences(outputs, lengths)
    return outputs, last


def unroll_steps(cell: Cell, x: Tensor, state: State, lengths: Lengths, final: bool) -> tuple[Tensor, State]:
    """The specification: `step` after `step`, a sequence's state kept as it is from its end on."""
    outputs = []
    for t, projected in enumerate(cell.project(x).unbind(0)):
        output, new = cell.step(projected, state)
        if lengths.equal:
            state = new
        else:
            state = tuple(_keep(lengths.mask[t], after, before) for after, before in zip(new, state, strict=True))
        outputs.append(output)
    return torch.stack(outputs), state


def _keep(real: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(real.view(-1, *[1] * (new.dim() - 1)), new, old)


@cache
def kernels_named(name: str) -> tuple[Kernel, ...]:
    """The kernels to be tried for a value of `training.kernels`, in order. ComponentError for an unknown name."""
    known = registry("kernels")
    if name == "reference":
        return ()
    return tuple(known.load(kernel)() for kernel in ([*known.names()] if name == "auto" else [name]))
