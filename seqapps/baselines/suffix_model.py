"""Which tags an unknown word may have, from the endings of rare words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["SuffixModel"]

_LONGEST = 10  # letters of a suffix
_RARE = 10  # a form that occurs at most so often is taken as a model of unknown ones
_CANDIDATES = 50  # tags that an unknown word may have


class SuffixModel:
    """P(w | t) of an unknown word w, up to a constant of w (Brants 2000, section 2.3).

        P(t | l_n..l_m) from i = 0, the empty suffix, to the longest suffix seen in training:
        P_i(t) = (f(t, suffix_i)/f(suffix_i) + θ P_{i-1}(t)) / (1 + θ)        P_{-1}(t) = f(t)/n
        P(w | t) ∝ P(t | suffix) / P(t)

    Suffixes have at most 10 letters and are counted over the forms that occur at most 10 times, apart for capitalised
    forms and others. θ is the standard deviation of f(t)/n over the tags, as the paper says in words.

    Deviation: only the 50 most probable tags are kept, so that a large tag set stays affordable.

    Args:
        words: form -> tag index -> count in training.
        frequency: (K,) count of each tag, all of them > 0.
    """

    def __init__(self, words: Mapping[str, Counter[int]], frequency: NDArray[np.float64]):
        self._prior = frequency / frequency.sum()
        self._theta = float(self._prior.std(ddof=1)) if len(frequency) > 1 else 0.0
        self._counts: dict[tuple[bool, str], Counter[int]] = {}
        for form, tags in words.items():
            if tags.total() <= _RARE:
                for suffix in _suffixes(form):
                    self._counts.setdefault((form[:1].isupper(), suffix), Counter()).update(tags)

    def __call__(self, form: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The tags that `form` may have, in ascending order, and log P(form | tag) of each, up to a constant."""
        probabilities = self._prior
        for suffix in _suffixes(form):
            counts = self._counts.get((form[:1].isupper(), suffix))
            if counts is None:
                break
            seen = np.zeros_like(self._prior)
            seen[list(counts)] = list(counts.values())
            probabilities = (seen / seen.sum() + self._theta * probabilities) / (1 + self._theta)
        tags = np.sort(np.argsort(-probabilities, kind="stable")[:_CANDIDATES])
        tags = tags[probabilities[tags] > 0]  # θ is 0 where all tags are equally frequent
        return tags, np.log(probabilities[tags] / self._prior[tags])


def _suffixes(form: str) -> list[str]:
    """The empty suffix, then longer and longer ones."""
    return [form[len(form) - n :] for n in range(min(len(form), _LONGEST) + 1)]
