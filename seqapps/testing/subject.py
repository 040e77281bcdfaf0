"""What a conformance check is about, and how it says what is wrong."""

from __future__ import annotations

import inspect
import itertools
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

import torch
from torch import Tensor

from seqapps.errors import ComponentError, UseError
from seqapps.recipe.schema import REQUIRED, fields_of
from seqapps.registry import check_signature

__all__ = [
    "BrokenRuleError",
    "Draws",
    "Subject",
    "checked_signature",
    "description",
    "options",
    "refuses_fields",
    "seeded",
]


class BrokenRuleError(AssertionError):
    """A rule is broken: `component: what is wrong; the way out`."""


class Subject:
    """A component under test.

    Args:
        name: what messages call it.
        build: makes one; called under a fixed seed, so that every call gives the same.
    """

    def __init__(self, name: str, build: Callable[..., Any]):
        self.name, self.build = name, build

    def make(self, dtype: torch.dtype = torch.float64, **resources: int) -> Any:
        """A new one, in evaluation, always the same numbers. Constant parameters are moved, or they would not show."""
        with seeded(1):
            module = self.build(**resources)
            with torch.no_grad():
                for parameter in module.parameters():
                    if parameter.numel() and bool((parameter == parameter.flatten()[0]).all()):
                        parameter += 0.2 * torch.randn_like(parameter)
        return module.to(dtype).eval()

    def fail(self, what: str, way_out: str) -> NoReturn:
        raise BrokenRuleError(" ".join(f"{self.name}: {what}; {way_out}".split()))

    def require(self, holds: bool, what: str, way_out: str) -> None:
        if not holds:
            self.fail(what, way_out)

    def compare(
        self,
        got: Mapping[str, Tensor],
        expected: Mapping[str, Tensor],
        what: str,
        way_out: str,
        tolerance: float = 1e-8,
    ) -> None:
        """Fails if a value of `got` is not that of `expected`; `{}` in `what` is where its name goes."""
        for name, wanted in expected.items():
            found = got[name]
            if found.shape != wanted.shape:
                difference = f"shape {tuple(found.shape)}, expected {tuple(wanted.shape)}"
            elif torch.allclose(found.to(wanted.dtype), wanted, rtol=tolerance, atol=tolerance):
                continue
            else:
                difference = f"off by {float((found - wanted).detach().abs().max()):.3g}"
            self.fail(f"{what.format(name)} ({difference})", way_out)

    def run(self, checks: Iterable[Callable[..., None]], *arguments: Any) -> None:
        """Every check in turn, each under the same seed; what a component raises becomes a sentence."""
        for check in checks:
            rule = check.__name__.replace("_", " ")
            try:
                with seeded(0), torch.enable_grad():
                    check(self, *arguments)
            except BrokenRuleError:
                raise
            except Exception as error:
                reason = " ".join(str(error).split())[:300]
                raise BrokenRuleError(
                    f"{self.name}: {type(error).__name__} while checking that {rule} ({reason});"
                    " make it run, or refuse with an error of seqapps.errors"
                ) from error


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """A fixed seed inside, and outside the random numbers as if nothing had been."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


class Draws:
    """Context: were random numbers drawn inside? Ask `.drew` afterwards."""

    def __enter__(self) -> Draws:
        self._before = torch.get_rng_state()
        return self

    def __exit__(self, *_: Any) -> None:
        self.drew = not torch.equal(self._before, torch.get_rng_state())


def description(component: type, fields: Mapping[str, Any]) -> str:
    """`LSTM(peephole='full')`, or `LSTM` without fields."""
    shown = ", ".join(f"{name}={getattr(value, 'name', value)!r}" for name, value in fields.items())
    return f"{component.__name__}({shown})" if shown else component.__name__


def checked_signature(subject: Subject, component: type, fields: Mapping[str, Any], resources: Sequence[str]) -> None:
    """The constructor is a schema: resources positional-only, fields keyword-only and annotated; it has `fields`."""
    try:
        check_signature(component, subject.name)
        known = [field.name for field in fields_of(component)]
    except ComponentError as error:
        told = " ".join(str(error).split())
        raise BrokenRuleError(told if told.startswith(subject.name) else f"{subject.name}: {told}") from error
    parameters = inspect.signature(component).parameters.values()
    wanted = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY]
    subject.require(
        wanted == list(resources),
        f"its constructor asks for {', '.join(wanted) or 'nothing'}",
        f"write 'def __init__(self, {', '.join(resources)}, /, *, ...)'",
    )
    for name in fields:
        subject.require(name in known, f"it has no field {name!r}", f"use one of {', '.join(known) or 'none'}")
    refused = refuses_fields(component, fields)
    subject.require(
        not refused, f"check_fields refuses these fields ({refused})", "check a combination that it accepts"
    )


def refuses_fields(component: Any, fields: Mapping[str, Any]) -> str:
    """What the component's `check_fields` says against `fields` and the defaults of the others; empty = nothing."""
    if not hasattr(component, "check_fields"):
        return ""
    complete = {field.name: field.default for field in fields_of(component) if field.default is not REQUIRED}
    return "; ".join(message for _, message in component.check_fields({**complete, **fields}))


def options(component: type, /, **fixed: Any) -> list[dict[str, Any]]:
    """Combinations of the options of a cell or encoder, to run a check on each of them.

    All combinations of its fields that are true or false or one of several words, except `bias`: of the combinations
    without one only the first and the last. Only what differs from the defaults is named, so the first is `fixed`
    itself. What `check_fields` or the constructor refuses is left out.

        @pytest.mark.parametrize("fields", options(Mine))
        def test_mine_keeps_the_contract(fields):
            check_cell(Mine, **fields)
    """
    choices: dict[str, list[Any]] = {}
    for field in fields_of(component):
        values = list(field.shape.options) if field.shape.form == "literal" else []
        values = [False, True] if field.shape.target is bool else values
        if values and field.name not in fixed:
            choices[field.name] = sorted(values, key=partial(operator.ne, field.default))
    biases = choices.pop("bias", [True])
    defaults = {name: values[0] for name, values in choices.items()}
    products = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    found = [{n: v for n, v in product.items() if v != defaults[n]} for product in products]
    if len(biases) > 1:
        found += [{**fields, "bias": biases[1]} for fields in [found[0], *found[1:][-1:]]]
    return [{**fixed, **fields} for fields in found if not _refused(component, {**fixed, **fields})]


def _refused(component: type, fields: Mapping[str, Any]) -> bool:
    if refuses_fields(component, fields):
        return True
    resources = [p for p in inspect.signature(component).parameters.values() if p.kind is p.POSITIONAL_ONLY]
    try:
        with seeded(0):
            component(*(4 for _ in resources), **fields)
    except UseError:
        return True
    return False
