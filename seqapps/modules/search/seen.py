"""What was attended to on the way to a sequence that was found."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seqapps.errors import UseError

__all__ = ["Seen"]


class Seen:
    """The attention of every step of a search, if wanted; looked up by the rows that a sequence came through."""

    def __init__(self, wanted: bool):
        self.wanted = wanted
        self._steps: list[Tensor] = []

    def add(self, attention: Tensor | None) -> None:
        """That of the next step, (N, S). UseError if it is wanted and there is none."""
        if not self.wanted:
            return
        if attention is None:
            raise UseError("search: attention is asked for, and this generator's steps give none")
        self._steps.append(attention)

    def of(self, rows: Sequence[int]) -> Tensor | None:
        """(steps, S), given which row of each step a sequence was."""
        if not self.wanted:
            return None
        return torch.stack([step[row] for step, row in zip(self._steps, rows, strict=False)])
