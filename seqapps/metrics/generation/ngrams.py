"""Counting runs of tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

__all__ = ["Ngrams", "ngrams"]

Ngrams = Counter[tuple[str, ...]]


def ngrams(tokens: Sequence[str], n: int) -> Ngrams:
    """
    >>> ngrams(["a", "b", "a", "b"], 2)
    Counter({('a', 'b'): 2, ('b', 'a'): 1})
    """
    return Counter(zip(*(tokens[start:] for start in range(n)), strict=False))
