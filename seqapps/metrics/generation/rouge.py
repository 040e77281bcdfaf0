"""ROUGE-L: the longest common subsequence of a caption and its references."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqapps.metrics.evaluation import Counted
from seqapps.metrics.generation.written import WrittenExample, mean

__all__ = ["longest_common_subsequence", "rouge_l"]

_BETA = 1.2


def rouge_l(examples: Sequence[WrittenExample]) -> Counted:
    """ROUGE-L of each caption, and its mean (Lin 2004, "ROUGE", section 3; β and references as in COCO's evaluation).

        F = (1 + β²) P R / (R + β² P),   β = 1.2

    P and R are the longest common subsequence per token of the caption and of the reference, each the highest over the
    references.
    """
    return mean(np.array([_score(example) for example in examples], np.float64), "captions")


def _score(example: WrittenExample) -> float:
    common = [(longest_common_subsequence(example.tokens, one), len(one)) for one in example.reference_tokens]
    if not any(length for length, _ in common):
        return 0.0
    precision = max(length for length, _ in common) / len(example.tokens)
    recall = max(length / size for length, size in common if size)
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def longest_common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest sequence that is left of both when tokens are taken out.

    A column of the table of lengths is one whole number, whose bit i is 0 where the length grows at a[i]: Hyyrö (2004),
    "Bit-parallel LCS-length computation revisited".

    >>> longest_common_subsequence("a b c b d a b".split(), "b d c a b a".split())
    4
    """
    where: dict[str, int] = {}
    for place, token in enumerate(a):
        where[token] = where.get(token, 0) | 1 << place
    every = (1 << len(a)) - 1
    still = every
    for token in b:
        used = still & where.get(token, 0)
        still = (still + used | still - used) & every
    return len(a) - still.bit_count()
