"""What a cell says about itself must be so: diagnostics, initialisation, regularisers and kernels go by it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from seqapps.cells import Cell, LinearCell, PointwiseCell, State
from seqapps.testing.runs import reached, sample
from seqapps.testing.subject import Subject

__all__ = ["DECLARATIONS"]

BATCH = 4
SIGMOIDS = (torch.sigmoid, torch.sigmoid_, torch.Tensor.sigmoid, torch.Tensor.sigmoid_, torch.special.expit)


def a_step_is_the_pointwise_rule(subject: Subject) -> None:
    cell = subject.make()
    if not isinstance(cell, PointwiseCell):
        return
    projected, state = cell.project(sample(BATCH, cell.input_size)), reached(cell, BATCH)
    recurrent = cell.recurrent(state[0]) if cell.has_recurrent else None
    stepped, ruled = cell.step(projected, state), cell.pointwise(projected, recurrent, state)  # type: ignore[arg-type]
    subject.compare(
        _named(stepped),
        _named(ruled),
        "{} of step is not what pointwise makes of the recurrent product",
        "leave step as PointwiseCell has it, or derive from Cell",
        1e-10,
    )


def a_pointwise_rule_keeps_hidden_units_apart(subject: Subject) -> None:
    """Other values for one unit, in all that goes in, may change only that unit."""
    cell = subject.make()
    if not isinstance(cell, PointwiseCell) or not cell.elementwise:
        return
    H = cell.hidden_size
    projected, state = cell.project(sample(BATCH, cell.input_size)), reached(cell, BATCH)
    recurrent = cell.recurrent(state[0]) if cell.has_recurrent else None
    before = _named(cell.pointwise(projected, recurrent, state))  # type: ignore[arg-type]
    way_out = "set elementwise = False where the rule mixes hidden units"
    for name, tensor in before.items():
        subject.require(tensor.shape == (BATCH, H), f"elementwise, but {name} is {tuple(tensor.shape)}", way_out)
    for unit in range(H):
        changed = [_other_unit(tensor, unit, H) for tensor in (projected, *state)]
        product = None if recurrent is None else _other_unit(recurrent, unit, H)
        after = _named(cell.pointwise(changed[0], product, tuple(changed[1:])))  # type: ignore[arg-type]
        others = [j for j in range(H) if j != unit]
        subject.compare(
            {name: tensor[:, others] for name, tensor in after.items()},
            {name: tensor[:, others] for name, tensor in before.items()},
            f"elementwise, but {{}} of other hidden units changes with unit {unit}",
            way_out,
            1e-12,
        )


def _other_unit(tensor: Tensor, unit: int, size: int) -> Tensor:
    """(B, k H) with other numbers in channel `unit` of every block."""
    tensor = tensor.detach().clone()
    tensor[:, unit::size] += 0.5 + sample(*tensor[:, unit::size].shape, seed=unit)
    return tensor


def a_linear_cell_is_linear_in_its_state(subject: Subject) -> None:
    cell = subject.make()
    if not isinstance(cell, LinearCell):
        return
    projected = cell.project(sample(3, BATCH, cell.input_size))
    a, b = cell.coefficients(projected)
    subject.require(
        not cell.has_recurrent and cell.states == 1,
        "it is a LinearCell with a recurrent matrix or more than one state",
        "derive from PointwiseCell",
    )
    for t, size in enumerate((1.0, -2.0, 5.0)):
        h = size * sample(BATCH, cell.hidden_size, seed=t)
        output, new = cell.step(projected[t], (h,))
        expected = a[t] * h + b[t]
        subject.compare(
            {"the new state": new[0], "the output": output},
            {"the new state": expected, "the output": cell.readout(projected[t], expected)},
            "{} of step is not what coefficients and readout say, h_t = a_t * h_(t-1) + b_t",
            "write coefficients and readout only, or derive from PointwiseCell",
        )


class _CountedSigmoids(TorchFunctionMode):
    """How many sigmoids are computed; one over several gates side by side counts as that many."""

    def __init__(self, size: int):
        super().__init__()
        self.size, self.count = size, 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func in SIGMOIDS:
            self.count += max(1, result.size(-1) // self.size)
        return result


def gates_have_as_many_names_as_sigmoids(subject: Subject) -> None:
    cell = subject.make()
    if not cell.gate_names:
        return
    projected, state = cell.project(sample(BATCH, cell.input_size)), reached(cell, BATCH)
    with _CountedSigmoids(cell.hidden_size) as sigmoids:
        cell.step(projected, state)
    names = ", ".join(cell.gate_names)
    subject.require(
        sigmoids.count == len(cell.gate_names),
        f"gate_names name the sigmoids {names}, but a step computes {sigmoids.count} of them",
        "name every sigmoid of a step in the order in which it is computed, or none",
    )


def gates_that_keep_do_keep_and_gates_that_write_do_write(subject: Subject) -> None:
    cell = subject.make()
    for declared, gates, sign in (("keep_gates", cell.keep_gates, 1), ("write_gates", cell.write_gates, -1)):
        for gate in gates:
            subject.require(
                gate in range(cell.gates), f"{declared} names block {gate} of {cell.gates}", "count blocks from 0"
            )
            projected = cell.project(sample(BATCH, cell.input_size)).detach()
            block = slice(gate * cell.hidden_size, (gate + 1) * cell.hidden_size)
            shares = []
            for value in (-8.0, 8.0):
                moved = projected.clone()
                moved[:, block] += value
                shares.append(_kept_shares(cell, moved, block))
            change = _largest_change(*shares)
            told = "keep more" if sign > 0 else "overwrite more"
            subject.require(
                sign * change > 0.05,
                f"{declared} names block {gate}, but raising it does not {told} of the old state"
                f" (the share that is kept changes by {change:.2g})",
                "name the blocks in the order in which the rule takes them from the projection",
            )


def the_memory_bias_makes_it_remember(subject: Subject) -> None:
    cell = subject.make()
    if cell.input_projection.bias is None or not (cell.keep_gates or cell.write_gates):
        return
    shares = []
    for value in (-8.0, 8.0):
        other = copy.deepcopy(cell)
        other.set_memory_bias(torch.full((cell.hidden_size,), value, dtype=torch.float64))
        shares.append(_kept_shares(other, other.project(sample(BATCH, cell.input_size)).detach(), slice(0, 0)))
    change = _largest_change(*shares)
    subject.require(
        change > 0.05,
        f"set_memory_bias does not make it keep more of the old state (the share kept changes by {change:.2g})",
        "let keep_gates and write_gates name the right blocks, and the bias act where the gate is computed",
    )


def _kept_shares(cell: Cell, projected: Tensor, leave_out: slice) -> list[float]:
    """For each state, how much of the new one comes from the same place of the old one, the rest from the input.

    Derivatives d/(d + e), d with respect to the old state and e to the projected input except some of its channels.
    """
    projected = projected.requires_grad_()
    state = tuple(s.requires_grad_() for s in reached(cell, len(projected)))
    _, new = cell.step(projected, state)
    shares = []
    for after, before in zip(new, state, strict=True):
        old = written = 1e-9
        for unit in range(after[0].numel()):
            gradients = torch.autograd.grad(
                after.flatten(1)[:, unit].sum(), (before, projected), retain_graph=True, allow_unused=True
            )
            if gradients[0] is not None:
                old += float(gradients[0].flatten(1)[:, unit].abs().sum())
            if gradients[1] is not None:
                gradients[1][:, leave_out] = 0.0
                written += float(gradients[1].abs().sum())
        shares.append(old / (old + written))
    return shares


def _largest_change(low: list[float], high: list[float]) -> float:
    return max((after - before for before, after in zip(low, high, strict=True)), key=abs)


def _named(result: tuple[Tensor, State]) -> dict[str, Tensor]:
    output, state = result
    return {"the output": output, **{f"new state {i + 1}": s for i, s in enumerate(state)}}


DECLARATIONS = (
    a_step_is_the_pointwise_rule,
    a_linear_cell_is_linear_in_its_state,
    a_pointwise_rule_keeps_hidden_units_apart,
    gates_have_as_many_names_as_sigmoids,
    gates_that_keep_do_keep_and_gates_that_write_do_write,
    the_memory_bias_makes_it_remember,
)
