"""How often a model that is being trained reads its own word instead of the right one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["ScheduledSampling"]


@dataclass(frozen=True, kw_only=True)
class ScheduledSampling:
    """Scheduled sampling (Bengio, Vinyals, Jaitly and Shazeer 2015, arXiv 1506.03099, section 2.4).

    At training batch i (0, 1, ...) a word that the model reads is the right one with probability e_i, and else one that
    is drawn from the model's own distribution; for each word a coin is thrown.

        linear           e_i = max(least, 1 - i / steps)
        exponential      e_i = max(least, k^i),  k = exp(-1 / steps)
        inverse_sigmoid  e_i = max(least, k / (k + exp(i / k))),  k = steps

    Deviation: the paper's free constants are given as a number of steps in all three.

    Fields:
        schedule: how e_i falls.
        steps: over how many batches.
        least: e_i does not fall below it.
    """

    schedule: Literal["linear", "exponential", "inverse_sigmoid"] = "linear"
    steps: int
    least: float = 0.0

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Steps are at least 1, `least` is a probability."""
        faults = []
        if fields["steps"] < 1:
            faults.append(("steps", f"steps is {fields['steps']}, expected 1 or more"))
        if not 0 <= fields["least"] < 1:
            faults.append(("least", f"least is {fields['least']}, expected 0 <= least < 1"))
        return faults

    def teacher(self, batch: int) -> float:
        """e_i: the probability of reading the right word at batch i."""
        ratio = batch / self.steps
        if self.schedule == "linear":
            found = 1 - ratio
        elif self.schedule == "exponential":
            found = math.exp(-ratio)
        else:
            found = self.steps / (self.steps + math.exp(min(ratio, 700.0)))
        return max(self.least, found)
