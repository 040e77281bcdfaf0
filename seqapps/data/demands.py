"""What is asked of single texts that a model writes."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Demand"]


class Demand(NamedTuple):
    """What is asked of one text, in numbers of its vocabulary: how it begins, what must occur, and what may not."""

    prefix: tuple[int, ...] = ()
    required: tuple[tuple[int, ...], ...] = ()
    excluded: tuple[tuple[int, ...], ...] = ()

    @property
    def length(self) -> int:
        """Tokens that it needs at most, the end mark included."""
        return len(self.prefix) + sum(map(len, self.required)) + 1
