"""What a cell does over time: rows and positions apart, nothing remembered, right gradients, each kernel the same."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

from seqapps.cells import Cell, State, unroll
from seqapps.errors import UseError
from seqapps.registry import registry
from seqapps.testing.runs import (
    EQUAL,
    RAGGED,
    Run,
    alone,
    measured,
    padded_with,
    reached,
    sample,
    stepped,
    unused_parameters,
)
from seqapps.testing.subject import Draws, Subject

__all__ = ["SEQUENCES", "fingerprint", "kernels_for"]

STEPS, BATCH = len(EQUAL) + 1, len(RAGGED)


def no_position_is_projected_with_another(subject: Subject) -> None:
    cell = subject.make()
    x = sample(STEPS, BATCH, cell.input_size)
    together = cell.project(x)
    for t in range(STEPS):
        for name, single in (("position", cell.project(x[t])), ("batch", cell.project(x[:, :1])[t])):
            rows = together[t] if name == "position" else together[t, :1]
            subject.require(
                torch.allclose(rows, single, rtol=1e-10, atol=1e-10),
                f"what project returns for a {'position' if name == 'position' else 'sequence'} depends on the others",
                "project every position by itself: other positions may be later ones, or padding",
            )


def the_rows_of_a_batch_are_kept_apart(subject: Subject) -> None:
    way_out = "let every operation of step act on each row of (B, ...) by itself"
    for training in (False, True):
        cell = subject.make().train(training)
        projected = cell.project(sample(BATCH, cell.input_size)).detach().requires_grad_()
        state = tuple(s.requires_grad_() for s in reached(cell, BATCH))
        with Draws() as numbers:
            output, new = cell.step(projected, state)
        if training and numbers.drew:
            return  # what is drawn for a row differs anyway
        for b in range(BATCH):
            single, ended = cell.step(projected[b : b + 1], tuple(s[b : b + 1] for s in state))
            got = {"the output": output[b : b + 1], **{f"new state {i + 1}": s[b : b + 1] for i, s in enumerate(new)}}
            expected = dict(zip(got, (single, *ended), strict=True))
            subject.compare(got, expected, "{} of a sequence depends on the rest of its batch", way_out, 1e-10)
        wanted = (projected, *state)
        whole = sum(tensor[0].sum() for tensor in (output, *new))
        for gradient in torch.autograd.grad(whole, wanted, allow_unused=True):
            subject.require(
                gradient is None or not bool(gradient[1:].any()),
                "a sequence's gradient reaches the other rows of its batch",
                way_out,
            )


def a_step_changes_nothing_that_it_is_given(subject: Subject) -> None:
    cell = subject.make()
    projected, state = cell.project(sample(BATCH, cell.input_size)).detach(), reached(cell, BATCH)
    before = [tensor.clone() for tensor in (projected, *state)]
    with torch.no_grad():
        cell.step(projected, state)
    for number, (old, now) in enumerate(zip(before, (projected, *state), strict=True)):
        subject.require(
            torch.equal(old, now),
            f"step changes {f'state {number}' if number else 'the projected input'} in place",
            "make a new tensor instead",
        )


def nothing_is_remembered_in_the_cell(subject: Subject) -> None:
    cell = subject.make()
    x, state = sample(STEPS, BATCH, cell.input_size), reached(cell, BATCH)
    kept = fingerprint(cell)
    with torch.no_grad(), Draws() as numbers:
        first, _ = stepped(cell, x, state)
        stepped(cell, sample(STEPS + 2, 2, cell.input_size, seed=3), reached(cell, 2))
        again, _ = stepped(cell, x, state)
    subject.require(
        not numbers.drew, "it draws random numbers in evaluation", "draw them only where self.training is true"
    )
    subject.require(
        torch.equal(first, again),
        "the same input gives other outputs after the cell has read something else",
        "carry what is remembered in the state, not in the cell",
    )
    changed = [name for name, value in fingerprint(cell).items() if kept.get(name) != value]
    subject.require(
        not changed,
        f"reading a sequence changes {', '.join(changed)} of the cell",
        "carry what is remembered in the state, not in the cell",
    )


def fingerprint(module: nn.Module) -> dict[str, Any]:
    """All that a module keeps, by name, in a form that can be compared."""
    kept = {}
    for prefix, inner in module.named_modules():
        for name, value in vars(inner).items():
            if not name.startswith("_"):
                kept[f"{prefix}.{name}".lstrip(".")] = _plain(value)
            elif name in ("_parameters", "_buffers"):
                kept.update({f"{prefix}.{key}".lstrip("."): _plain(tensor) for key, tensor in value.items()})
            elif not hasattr(nn.Module(), name):
                kept[f"{prefix}.{name}".lstrip(".")] = _plain(value)
    return kept


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return (str(value.dtype), tuple(value.shape), repr(value.detach().tolist()))
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, (bool, int, float, str, bytes, type(None))) else id(value)


def gradients_are_the_derivatives(subject: Subject) -> None:
    cell = subject.make()
    x, state = sample(3, 2, cell.input_size), reached(cell, 2)

    def forward(x: Tensor, state: State) -> tuple[Tensor, State]:
        return stepped(cell, x, state)

    outputs, final = forward(x, state)
    subject.require(
        all(tensor.requires_grad for tensor in (outputs, *final)) or not list(cell.parameters()),
        "no gradient flows through its steps",
        "compute with torch's differentiable operations, without detach and no_grad",
    )
    wanted = {**{f"initial state {i + 1}": s for i, s in enumerate(state)}, "x": x, **dict(cell.named_parameters())}
    for name, tensor in wanted.items():
        subject.require(
            _is_derivative(forward, x, state, tensor),
            f"the gradient of {name} is not the derivative of what step computes",
            "use torch's differentiable operations, without detach and no_grad, or mend a backward of your own",
        )


def _is_derivative(forward: Callable[..., Any], x: Tensor, state: State, tensor: Tensor) -> bool:
    """`gradcheck` for one of the things that go in: x, a state, or a parameter, which is then changed in place."""

    def function(value: Tensor) -> tuple[Tensor, ...]:
        if isinstance(tensor, nn.Parameter):
            outputs, final = forward(x, state)
        else:
            outputs, final = forward(value if tensor is x else x, tuple(value if s is tensor else s for s in state))
        return tuple(t for t in (outputs, *final) if t.requires_grad)

    given = tensor if isinstance(tensor, nn.Parameter) else tensor.detach().clone().requires_grad_()
    return gradcheck(function, (given,), fast_mode=True, raise_exception=False, check_undefined_grad=False)


def every_parameter_is_used(subject: Subject) -> None:
    cell = subject.make()
    run = measured(cell, sample(STEPS, BATCH, cell.input_size), reached(cell, BATCH), lambda x, s: stepped(cell, x, s))
    unused = unused_parameters(cell, run)
    subject.require(
        not unused, f"nothing depends on its parameter {', '.join(unused)}", "use it in step, or do not create it"
    )


def sequences_in_a_padded_batch_equal_themselves_alone(subject: Subject) -> None:
    cell = subject.make()
    single = copy.deepcopy(cell).float()
    x = sample(max(RAGGED), BATCH, cell.input_size)
    for lengths, reverse, state in _situations(cell):
        begun = cell.initial_state(BATCH) if state is None else state
        expected = measured(cell, x, begun, lambda x, s: alone(cell, x, s, lengths, reverse))  # noqa: B023
        if state is None:
            expected = {
                name: value for name, value in expected.items() if not name.startswith("the gradient of initial")
            }
        else:
            expected = dict(expected)
        for one, tolerance in ((cell, 1e-8), (single, 1e-3)):
            _equals_alone(subject, one, (x, state, lengths, reverse), expected, tolerance)


def _situations(cell: Cell) -> Iterator[tuple[tuple[int, ...], bool, State | None]]:
    """Lengths, direction and initial state; None = the cell's own."""
    yield RAGGED, False, reached(cell, BATCH)
    yield RAGGED, True, reached(cell, BATCH)
    yield EQUAL, True, reached(cell, BATCH)
    yield RAGGED, False, None
    yield EQUAL, False, None


def _equals_alone(subject: Subject, cell: Cell, situation: Any, expected: Run, tolerance: float) -> None:
    """In one number type: with NaN under padding, step by step and by every kernel that takes the cell."""
    x, state, lengths, reverse = situation
    dtype = next(cell.parameters()).dtype
    x = x.to(dtype)
    state = None if state is None else tuple(s.to(dtype) for s in state)
    told = f"{'backward' if reverse else 'forward'}, lengths {', '.join(map(str, lengths))}, {dtype}"
    kernels = kernels_for(cell, x)
    runs = [("reference", float("inf"))] + [(kernel, float("nan")) for kernel in ("reference", *kernels)]
    for kernel, padding in runs if dtype == torch.float64 else [(kernel, float("nan")) for kernel in kernels]:

        def forward(x: Tensor, state: State, kernel: str = kernel) -> tuple[Tensor, State]:
            return unroll(cell, x, state, torch.tensor(lengths), reverse=reverse, kernels=kernel)  # type: ignore

        got = measured(cell, padded_with(x, lengths, padding), state, forward)
        by = "step by step" if kernel == "reference" else f"by kernel {kernel!r}"
        subject.compare(
            got,
            expected,
            f"{{}} of a padded batch run {by} is not that of its sequences alone ({told}, padding {padding})",
            "let nothing depend on padding or on other rows"
            if kernel == "reference"
            else "let the kernel refuse this cell",
            tolerance,
        )
        beyond = [got["the gradient of x"][n:, b] for b, n in enumerate(lengths)]
        subject.require(
            not any(bool(g.any()) for g in beyond),
            f"padding gets a gradient {by}",
            "let nothing depend on padding",
        )


def kernels_for(cell: Cell, x: Tensor) -> list[str]:
    """Names of the registered kernels that take `cell`."""
    known = registry("kernels")
    return [name for name in known if known.load(name)().refuses(cell.begin(x.size(1)), x) is None]


def a_state_carried_over_a_cut_equals_the_uncut(subject: Subject) -> None:
    cell = subject.make()
    x, lengths = sample(STEPS, BATCH, cell.input_size), torch.full((BATCH,), STEPS)
    state, cut = reached(cell, BATCH), 2
    for kernel in ("reference", "auto"):
        whole, final = unroll(cell, x, state, lengths, kernels=kernel)
        first, carried = unroll(cell, x[:cut], state, lengths.clamp(max=cut), kernels=kernel)
        second, last = unroll(cell, x[cut:], carried, lengths - cut, kernels=kernel)
        assert final is not None
        assert last is not None
        got = {"outputs": torch.cat([first, second]), **{f"final state {i + 1}": s for i, s in enumerate(last)}}
        subject.compare(
            got,
            dict(zip(got, (whole, *final), strict=True)),
            "{} of a sequence cut in two, its state carried over, is not that of the whole",
            "let the state hold all that a step needs from the steps before",
        )


def unusual_sizes_work(subject: Subject, fixed_size: bool) -> None:
    if not fixed_size:
        try:
            small = subject.make(hidden_size=1, input_size=1)
        except UseError:
            small = None  # refused, with a reason
        if small is not None:
            _agrees(subject, small, sample(1, 1, 1), (1,), "one sequence of one token, H = 1")
            _agrees(subject, small, sample(3, 2, 1), (2, 3), "H = 1")
    cell = subject.make()
    _agrees(subject, cell, sample(1, BATCH, cell.input_size), (1,) * BATCH, "T = 1")
    _agrees(subject, cell, sample(4, 1, cell.input_size), (3,), "B = 1, longer padding than its sequence")
    strided = sample(cell.input_size, BATCH, 2 * STEPS).permute(2, 1, 0)[::2]
    _agrees(subject, cell, strided, (STEPS, 1, 2, 3), "non-contiguous x")
    _agrees(subject, cell.train(), sample(STEPS, BATCH, cell.input_size), (STEPS, 1, 2, 3), "training")


def _agrees(subject: Subject, cell: Cell, x: Tensor, lengths: tuple[int, ...], told: str) -> None:
    state = reached(cell, x.size(1))
    with torch.no_grad(), Draws() as numbers:
        outputs, final = alone(cell, x, state, lengths)
    if numbers.drew:
        return
    expected = {"outputs": outputs, **{f"final state {i + 1}": s for i, s in enumerate(final)}}
    for kernel in ("reference", *kernels_for(cell, x)):
        found, last = unroll(cell, x, state, torch.tensor(lengths), kernels=kernel)
        assert last is not None
        got = dict(zip(expected, (found, *last), strict=True))
        subject.compare(got, expected, f"{{}} by kernel {kernel!r} is wrong for {told}", "mend it for these sizes")


SEQUENCES = (
    no_position_is_projected_with_another,
    a_step_changes_nothing_that_it_is_given,
    nothing_is_remembered_in_the_cell,
    the_rows_of_a_batch_are_kept_apart,
    gradients_are_the_derivatives,
    every_parameter_is_used,
    sequences_in_a_padded_batch_equal_themselves_alone,
    a_state_carried_over_a_cut_equals_the_uncut,
)
