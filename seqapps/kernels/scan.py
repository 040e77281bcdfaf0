"""Linear recurrences, h_t = a_t * h_{t-1} + b_t, without a graph per step.

Coefficients and readout of all steps are computed at once. The recurrence between them is linear, so two neighbouring
steps make one of the same form, (a, b) after (a', b') = (a a', a b' + b), and all states follow from log2 T rounds of
combining (Blelloch 1990, "Prefix sums and their applications"): few large operations, which is what a GPU wants. On a
CPU the steps themselves, each one multiply-add over the batch, are mostly less work. The backward pass is the same
recurrence from the other end: gh_t = gy_t + a_{t+1} * gh_{t+1}; ga_t = gh_t * h_{t-1}; gb_t = gh_t.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqapps.cells.cell import Cell, LinearCell, State
from seqapps.cells.lengths import Lengths, last_repeated
from seqapps.kernels.rule import check_first_derivative

__all__ = ["Scan", "associative_scan", "sequential_scan"]


class Scan:
    """Runs cells that write `coefficients`, on any device."""

    rank = 10

    def refuses(self, cell: Cell, x: Tensor) -> str | None:
        """A cell that is linear in its state, and has not written a rule of its own over it."""
        if not isinstance(cell, LinearCell):
            return "it is no linear recurrence; a LinearCell writes coefficients"
        rule = next(c for c in type(cell).__mro__ if "pointwise" in vars(c) or "step" in vars(c))
        if not rule.__module__.startswith("seqapps.cells."):
            return f"{rule.__name__} writes a rule beside its coefficients"
        return None

    def unroll(self, cell: Cell, x: Tensor, state: State, lengths: Lengths, final: bool) -> tuple[Tensor, State | None]:
        assert isinstance(cell, LinearCell)
        projected = cell.project(last_repeated(x, lengths))
        a, b = cell.coefficients(projected)
        if not lengths.equal:  # an ended sequence keeps its state, and what stands on padding cannot grow
            a, b = torch.where(lengths.padding, 1.0, a), torch.where(lengths.padding, 0.0, b)
        states = _Recurrence.apply(a, b, state[0])
        outputs = cell.readout(projected, states)
        return outputs, (states[-1],) if final else None


class _Recurrence(torch.autograd.Function):
    """a, b (T, B, H) and h_0 (B, H) -> h_1 .. h_T."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, initial: Tensor) -> Tensor:
        a, b = torch.broadcast_tensors(a, b)
        states = _scan(a, b, initial)
        ctx.save_for_backward(a, states, initial)
        return states

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        check_first_derivative()
        a, states, initial = ctx.saved_tensors
        total = _scan_back(a, gradient)
        before = torch.cat([initial[None].to(states.dtype), states[:-1]])
        return total * before, total, a[0] * total[0]


def _scan(a: Tensor, b: Tensor, initial: Tensor) -> Tensor:
    return (sequential_scan if _in_steps(a) else associative_scan)(a, b, initial)


def _in_steps(a: Tensor) -> bool:
    """Are single steps less work than rounds over all of them? On a CPU they are, unless a step is next to nothing."""
    return a.device.type == "cpu" and (a[0].numel() > 1000 or len(a) < 64)


def _scan_back(a: Tensor, gradient: Tensor) -> Tensor:
    """Gradients of all states, from the last to the first; a_{t+1} leads from step t + 1 back to t."""
    if _in_steps(a):
        total = torch.empty_like(gradient, memory_format=torch.contiguous_format)
        steps = [*zip(total.unbind(0), gradient.unbind(0), strict=True)]
        later = steps[-1][0].copy_(steps[-1][1])
        for (g, own), a_next in zip(steps[-2::-1], a[1:].unbind(0)[::-1], strict=True):
            later = torch.addcmul(own, a_next, later, out=g)
        return total
    onwards = torch.cat([a[1:], torch.zeros_like(a[:1])]).flip(0)
    return associative_scan(onwards, gradient.flip(0), torch.zeros_like(a[0])).flip(0)


def sequential_scan(a: Tensor, b: Tensor, initial: Tensor) -> Tensor:
    """h_t = a_t * h_{t-1} + b_t step after step: a, b (T, B, H), initial (B, H) -> (T, B, H)."""
    states = torch.empty_like(b, memory_format=torch.contiguous_format)
    h = initial.to(b.dtype)
    for state, a_t, b_t in zip(states.unbind(0), a.unbind(0), b.unbind(0), strict=True):
        h = torch.addcmul(b_t, a_t, h, out=state)
    return states


def associative_scan(a: Tensor, b: Tensor, initial: Tensor) -> Tensor:
    """The same in about 2 log2 T rounds of operations over all steps."""
    b = torch.cat([torch.addcmul(b[:1], a[:1], initial.to(b.dtype)[None]), b[1:]])
    return _combined(a, b)


def _combined(a: Tensor, b: Tensor) -> Tensor:
    """The states for an initial state of zero."""
    steps = len(a)
    if steps == 1:
        return b
    # Pairs of steps (0 1) (2 3) ... as one step each give the states after every second step.
    first_a, first_b = a[0 : steps - 1 : 2], b[0 : steps - 1 : 2]
    second_a, second_b = a[1::2], b[1::2]
    odd = _combined(second_a * first_a, torch.addcmul(second_b, second_a, first_b))
    states = torch.empty_like(b)
    states[1::2] = odd
    states[0] = b[0]
    if steps > 2:
        states[2::2] = torch.addcmul(b[2::2], a[2::2], odd[: len(b[2::2])])
    return states
