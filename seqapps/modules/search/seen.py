"""What was attended to on the way to a sequence that was found."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seqapps.errors import UseError
from seqapps.modules.search.generator import Step

__all__ = ["Seen"]


class Seen:
    """Attention and p_gen of every step of a search, if wanted; looked up by the rows that a sequence came through."""

    def __init__(self, wanted: bool):
        self.wanted = wanted
        self._attention: list[Tensor] = []
        self._p_gen: list[Tensor] = []

    def add(self, step: Step) -> None:
        """Those of the next step. UseError if attention is wanted and there is none."""
        if not self.wanted:
            return
        if step.attention is None:
            raise UseError("search: attention is asked for, and this generator's steps give none")
        self._attention.append(step.attention)
        if step.p_gen is not None:
            self._p_gen.append(step.p_gen)

    def of(self, rows: Sequence[int]) -> tuple[Tensor | None, Tensor | None]:
        """(steps, S) and (steps,), given which row of each step a sequence was; None for what is not there."""
        return _along(self._attention, rows), _along(self._p_gen, rows)


def _along(steps: Sequence[Tensor], rows: Sequence[int]) -> Tensor | None:
    return torch.stack([step[row] for step, row in zip(steps, rows, strict=False)]) if steps else None
