"""Each form gets the tag it has most often in training; an unknown form gets the most frequent tag of all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from seqapps.errors import DataError

__all__ = ["MostFrequentTag"]


class MostFrequentTag:
    """tag(w) = argmax_t c(w, t) for known forms w, argmax_t c(t) for unknown ones.

    Of tags that are equally frequent with a form, the one that is more frequent overall wins, then the first by name.

    >>> MostFrequentTag().fit([(["the", "can"], ["DT", "NN"])]).predict(["can", "the"])
    ['NN', 'DT']
    """

    def __init__(self) -> None:
        self._tags: dict[str, str] = {}
        self._fallback = ""

    def fit(self, sentences: Iterable[tuple[Sequence[str], Sequence[str]]]) -> MostFrequentTag:
        """Count (tokens, tags) pairs. Raises DataError if there is no token at all."""
        by_form: defaultdict[str, Counter[str]] = defaultdict(Counter)
        overall: Counter[str] = Counter()
        for tokens, tags in sentences:
            overall.update(tags)
            for form, tag in zip(tokens, tags, strict=True):
                by_form[form][tag] += 1
        if not overall:
            raise DataError("most-frequent-tag baseline: no tagged token to count; check the training split")

        def first(counts: Counter[str]) -> str:
            return min(counts, key=lambda tag: (-counts[tag], -overall[tag], tag))

        self._tags = {form: first(counts) for form, counts in by_form.items()}
        self._fallback = first(overall)
        return self

    def predict(self, tokens: Sequence[str]) -> list[str]:
        return [self._tags.get(form, self._fallback) for form in tokens]
