"""A cell over time."""

from __future__ import annotations

import logging
from functools import cache
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from seqapps.cells.cell import Cell, PointwiseCell, State
from seqapps.cells.lengths import Lengths, last_repeated, reversed_sequences, without_padding
from seqapps.errors import ComponentError, ShapeError
from seqapps.registry import registry

__all__ = ["Choice", "Kernel", "choose", "kernel_for", "kernel_name", "kernels_named", "unroll", "unroll_steps"]


class Kernel(Protocol):
    """A fast way to run some cells over time; `step` is the specification that it is held to.

    Attributes:
        rank: `auto` tries kernels from the lowest rank up, and takes the first that does not refuse.

    A kernel may have a method `defers(cell, x)` as well: is another one known to be faster here? If it says so, `auto`
    tries the kernel last, and who names it still gets it.
    """

    rank: int

    def refuses(self, cell: Cell, x: Tensor) -> str | None:
        """Why this kernel cannot run `cell` on `x` exactly as its steps would, in a clause; None = it can.

        What counts is the *rule* that the cell computes, not a base class: a subclass may compute another one.
        """
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
        kernels: "reference" = step by step; "auto" = the first registered kernel that can run the cell; else a
            kernel's name.
        final: False if the final state is not needed, which can save time; it is then None.

    Returns:
        outputs (T, B, output_size) and the final state.

    Raises:
        ShapeError: a length is 0 or exceeds T, or x or the state does not fit the cell.
        ComponentError: a kernel named in `kernels` cannot run the cell, or the cell breaks its contract; the message
            says how.
    """
    lengths = Lengths.of(lengths, x.size(0), x.device)
    _check_input(cell, x, state, lengths)
    cell = cell.begin(x.size(1))
    if state is None:
        state = cell.initial_state(x.size(1))
    x = without_padding(x, lengths)
    if reverse:
        x = reversed_sequences(x, lengths)
    kernel = kernel_for(kernels, cell, x)
    outputs, last = (unroll_steps if kernel is None else kernel.unroll)(cell, x, state, lengths, final)
    outputs = without_padding(outputs, lengths)
    if reverse:
        outputs = reversed_sequences(outputs, lengths)
    return outputs, last


def unroll_steps(cell: Cell, x: Tensor, state: State, lengths: Lengths, final: bool) -> tuple[Tensor, State]:
    """The specification: `step` after `step`, a sequence's state kept as it is from its end on."""
    outputs = []
    for t, projected in enumerate(cell.project(last_repeated(x, lengths)).unbind(0)):
        output, new = cell.step(projected, state) if t else _checked_step(cell, projected, state)
        if lengths.equal:
            state = new
        else:
            state = tuple(_keep(lengths.mask[t], after, before) for after, before in zip(new, state, strict=True))
        outputs.append(output)
    return torch.stack(outputs), state


def _check_input(cell: Cell, x: Tensor, state: State | None, lengths: Lengths) -> None:
    name, weight = type(cell).__name__, cell.input_projection.weight
    if x.dim() != 3 or x.size(-1) != cell.input_size:
        raise ShapeError(f"{name}: x has shape {tuple(x.shape)}, expected (T, B, {cell.input_size})")
    if len(lengths) != x.size(1):
        raise ShapeError(f"{name}: {len(lengths)} lengths for {x.size(1)} sequences; give one for each")
    if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
        raise ShapeError(f"{name}: x is {x.dtype}, its parameters {weight.dtype}; convert one of them")
    if state is not None:
        expected = _shapes(cell.initial_state(x.size(1)))
        if _shapes(state) != expected:
            raise ShapeError(f"{name}: the state has shapes {_shapes(state)}, expected {expected}")


def _checked_step(cell: Cell, projected: Tensor, state: State) -> tuple[Tensor, State]:
    """A step of a cell whose author may have slipped: later steps then fit, too, without being looked at."""
    name, held = type(cell).__name__, _tensors(cell)
    versions = [_version(s) for s in state]
    result = cell.step(projected, state)
    if versions != [_version(s) for s in state]:
        raise ComponentError(
            f"{name}: step changes the old state in place; make a new tensor, h = a * h, not h.mul_(a)"
        )
    kept = next((key for key, value in _tensors(cell).items() if held.get(key) is not value), None)
    if kept is not None:
        raise ComponentError(
            f"{name}: step sets self.{kept}, but a cell remembers nothing; return it as one more tensor of the state,"
            " count it in `states`, and give its shape in `initial_state`"
        )
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], tuple)):
        raise ComponentError(
            f"{name}: step returns no pair of the output and the tuple of new states; write 'return h, (h,)'"
        )
    output, new = result
    if output.shape != (len(projected), cell.output_size):
        raise ComponentError(
            f"{name}: step returns an output of shape {tuple(output.shape)}, expected"
            f" {(len(projected), cell.output_size)}; set `output_size` if it is not hidden_size"
        )
    if _shapes(new) != _shapes(state):
        raise ComponentError(
            f"{name}: step turns states of shapes {_shapes(state)} into {_shapes(new)}; return as many as came, shaped"
            " alike, or say in `states` and `initial_state` what they are"
        )
    return output, new


def _version(tensor: Tensor) -> int:
    """How often a tensor was written in place; what is made in inference mode does not count it."""
    return 0 if tensor.is_inference() else tensor._version


def _shapes(state: State) -> list[tuple[int, ...]]:
    return [tuple(s.shape) for s in state]


def _tensors(cell: Cell) -> dict[str, Tensor]:
    """Tensors that a cell holds and does not learn."""
    return {name: held for name, held in [*vars(cell).items(), *cell._buffers.items()] if isinstance(held, Tensor)}


def _keep(real: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(real.view(-1, *[1] * (new.dim() - 1)), new, old)


class Choice(NamedTuple):
    """Which kernel runs a cell.

    Attributes:
        kernel: None = step by step.
        refused: why kernels that come before it in order do not, by their names.
    """

    kernel: Kernel | None
    refused: dict[str, str]


def choose(name: str, cell: Cell, x: Tensor) -> Choice:
    """The first kernel of `kernels_named(name)` that can run a cell, begun, on x."""
    refused: dict[str, str] = {}
    for kernel in sorted(kernels_named(name), key=lambda kernel: _defers(kernel, cell, x)):
        reason = kernel.refuses(cell, x)
        if reason is None:
            return Choice(kernel, refused)
        refused[kernel_name(type(kernel))] = reason
    return Choice(None, refused)


def _defers(kernel: Kernel, cell: Cell, x: Tensor) -> bool:
    return hasattr(kernel, "defers") and kernel.defers(cell, x)


def kernel_for(name: str, cell: Cell, x: Tensor) -> Kernel | None:
    """The kernel that runs a cell, begun, on x where `name` is asked for; None = step by step.

    Raises ComponentError if a kernel that is named cannot run it, saying why.
    """
    kernel, refused = choose(name, cell, x)
    if kernel is None and refused:
        if name != "auto":
            (reason,) = refused.values()
            raise ComponentError(f"kernel {name!r} cannot run {type(cell).__name__}: {reason}; use auto or reference")
        if isinstance(cell, PointwiseCell) and cell.elementwise:
            _say_once(type(cell).__name__, "; ".join(f"{other}: {reason}" for other, reason in refused.items()))
    return kernel


@cache
def kernel_name(kind: type[Kernel]) -> str:
    """What a class of kernels is registered as."""
    known = registry("kernels")
    return next((name for name in known.names() if known.load(name) is kind), kind.__name__)


@cache
def _say_once(cell: str, reasons: str) -> None:
    """That a cell whose author expects a generated kernel has none."""
    logging.getLogger("seqapps").warning("%s runs step by step, which is slower: %s", cell, reasons)


@cache
def kernels_named(name: str) -> tuple[Kernel, ...]:
    """The kernels to be tried for a value of `training.kernels`, in order. ComponentError for an unknown name."""
    known = registry("kernels")
    if name == "reference":
        return ()
    loaded = [known.load(kernel)() for kernel in (known.names() if name == "auto" else [name])]
    return tuple(sorted(loaded, key=lambda kernel: kernel.rank))
