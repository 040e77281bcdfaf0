"""Learning rates over time. A schedule gives the factor by which an optimizer's `lr` is multiplied at a moment."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

__all__ = ["Constant", "Cosine", "Moment", "OneCycle", "Plateau", "Schedule", "Step", "Warmup"]


class Moment(NamedTuple):
    """A moment: `step` optimizer steps and `epoch` passes (a fraction) are done, `share` of all planned steps."""

    step: int
    epoch: float
    share: float


class Schedule(abc.ABC):
    """The factor at each moment; a pure function of it unless `state` says otherwise."""

    @abc.abstractmethod
    def factor(self, moment: Moment) -> float:
        """What the learning rate is multiplied by."""

    def observe(self, value: float, higher_is_better: bool) -> None:  # noqa: B027
        """Told after each evaluation on the validation split."""

    @property
    def state(self) -> dict[str, Any]:
        """What must be kept to go on, JSON-ready."""
        return {}

    @state.setter  # noqa: B027
    def state(self, saved: Mapping[str, Any]) -> None:
        pass


class Constant(Schedule):
    """Factor 1 throughout."""

    def factor(self, moment: Moment) -> float:
        return 1.0


class Step(Schedule):
    """Multiply by `decay` again and again: after `hold` epochs, then after every further `every` epochs.

    Zaremba, Sutskever and Vinyals 2014 hold 4 epochs and then halve after each.

    Fields:
        decay: factor of one step down.
        every: epochs between steps.
        hold: epochs before the first step.
    """

    def __init__(self, *, decay: float = 0.5, every: float = 1.0, hold: float = 1.0):
        self.decay, self.every, self.hold = decay, every, hold

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Steps go down and are some time apart."""
        faults = [] if fields["every"] > 0 else [("every", f"every is {fields['every']}, expected more than 0 epochs")]
        return faults + _decays(fields)

    def factor(self, moment: Moment) -> float:
        steps = math.floor((moment.epoch - self.hold) / self.every + 1e-9) + 1
        return self.decay ** max(0, steps)


class Plateau(Schedule):
    """Multiply by `decay` after `patience` evaluations in a row without a new best.

    Fields:
        decay: factor of one step down.
        patience: evaluations.
        minimum: the factor does not fall below it.
    """

    def __init__(self, *, decay: float = 0.5, patience: int = 2, minimum: float = 0.0):
        self.decay, self.patience, self.minimum = decay, patience, minimum
        self.current, self.waited = 1.0, 0
        self.best: float | None = None

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Steps go down, after some evaluation."""
        low = fields["patience"] < 1
        faults = [("patience", f"patience is {fields['patience']}, expected 1 or more")] if low else []
        return faults + _decays(fields)

    def factor(self, moment: Moment) -> float:
        return self.current

    def observe(self, value: float, higher_is_better: bool) -> None:
        value = value if higher_is_better else -value
        if self.best is None or value > self.best:
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.current, self.waited = max(self.minimum, self.current * self.decay), 0

    @property
    def state(self) -> dict[str, Any]:
        return {"current": self.current, "best": self.best, "waited": self.waited}

    @state.setter
    def state(self, saved: Mapping[str, Any]) -> None:
        self.current, self.best, self.waited = saved["current"], saved["best"], saved["waited"]


class Cosine(Schedule):
    """Half a cosine from 1 to `final` over the planned steps (Loshchilov and Hutter 2017, one cycle, no restarts).

    Fields:
        final: factor at the end.
        warmup: share of the steps over which the factor first rises from 0 to 1.
    """

    def __init__(self, *, final: float = 0.0, warmup: float = 0.0):
        self.final, self.warmup = final, warmup

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The warm-up is a share."""
        return _shares(fields, "warmup")

    def factor(self, moment: Moment) -> float:
        if moment.share < self.warmup:
            return moment.share / self.warmup
        return _cosine(1.0, self.final, (moment.share - self.warmup) / (1 - self.warmup))


class Warmup(Schedule):
    """Linear from 0 to 1 over the first `steps` optimizer steps, then as `then` says.

    Fields:
        steps: optimizer steps until the factor is 1.
        then: constant, or linear down to 0 at the last planned step, or inverse_root, sqrt(steps / step).
    """

    def __init__(self, *, steps: int = 500, then: Literal["constant", "linear", "inverse_root"] = "constant"):
        self.steps, self.then = steps, then

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """There is a step to warm up over."""
        return [] if fields["steps"] >= 1 else [("steps", f"steps is {fields['steps']}, expected 1 or more")]

    def factor(self, moment: Moment) -> float:
        if moment.step < self.steps:
            return (moment.step + 1) / self.steps
        if self.then == "linear":
            total = moment.step / moment.share if moment.share else math.inf
            return max(0.0, (total - moment.step) / max(1.0, total - self.steps))
        return 1.0 if self.then == "constant" else math.sqrt(self.steps / moment.step)


class OneCycle(Schedule):
    """Up from `start` to 1 over the share `rise` of the steps, then down to `final`, by half cosines (Smith 2018).

    Only the learning rate follows the cycle, momentum does not.

    Fields:
        rise: share of the steps until the peak.
        start: factor at the beginning.
        final: factor at the end.
    """

    def __init__(self, *, rise: float = 0.3, start: float = 0.04, final: float = 1e-4):
        self.rise, self.start, self.final = rise, start, final

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The rise is a share."""
        return _shares(fields, "rise")

    def factor(self, moment: Moment) -> float:
        if moment.share < self.rise:
            return _cosine(self.start, 1.0, moment.share / self.rise)
        return _cosine(1.0, self.final, (moment.share - self.rise) / (1 - self.rise))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, share))) / 2


def _decays(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [] if 0 < fields["decay"] <= 1 else [("decay", f"decay is {fields['decay']}, expected 0 < decay <= 1")]


def _shares(fields: Mapping[str, Any], *names: str) -> list[tuple[str, str]]:
    return [(n, f"{n} is {fields[n]}, expected a share, 0 <= {n} < 1") for n in names if not 0 <= fields[n] < 1]
