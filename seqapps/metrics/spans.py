"""Precision, recall and F1 of spans, counted sentence by sentence.

A predicted span is correct if a gold span has the same type, first and last token (Tjong Kim Sang & De Meulder 2003).
Which spans a sequence of tags holds is decided by `seqapps.schemes.spans`, hence as conlleval and seqeval decide.
Counts are kept per sentence, so that they can be totalled, and resampled for intervals, without the tags.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqapps.errors import DataError
from seqapps.schemes import spans

__all__ = ["precision_recall_f1", "span_counts", "stack_counts"]


def span_counts(gold: Sequence[str], predicted: Sequence[str]) -> dict[str, list[int]]:
    """Type -> [correct, predicted, gold] of one sentence; a type without spans in either is absent.

    >>> span_counts(["B-NP", "I-NP", "B-VP"], ["B-NP", "I-NP", "B-PP"])
    {'NP': [1, 1, 1], 'VP': [0, 0, 1], 'PP': [0, 1, 0]}
    """
    if len(gold) != len(predicted):
        raise DataError(
            f"{len(predicted)} predicted tags for {len(gold)} gold tags; one of each belongs to every token"
        )
    counts: dict[str, list[int]] = {}
    true = spans(gold)
    for span in true:
        counts.setdefault(span.type, [0, 0, 0])[2] += 1
    known = set(true)
    for span in spans(predicted):
        of_type = counts.setdefault(span.type, [0, 0, 0])
        of_type[1] += 1
        of_type[0] += span in known
    return counts


def stack_counts(sentences: Sequence[dict[str, list[int]]]) -> tuple[list[str], np.ndarray]:
    """All types in alphabetical order, and the counts of N sentences as int64 (N, types, 3).

    >>> types, counts = stack_counts([{"NP": [1, 1, 1]}, {"VP": [0, 0, 1], "NP": [0, 1, 0]}])
    >>> types, counts.sum(0).tolist()
    (['NP', 'VP'], [[1, 2, 1], [0, 0, 1]])
    """
    types = sorted({type_ for counts in sentences for type_ in counts})
    column = {type_: index for index, type_ in enumerate(types)}
    stacked = np.zeros((len(sentences), len(types), 3), dtype=np.int64)
    for row, counts in enumerate(sentences):
        for type_, values in counts.items():
            stacked[row, column[type_]] = values
    return types, stacked


def precision_recall_f1(counts: np.ndarray) -> np.ndarray:
    """Counts [correct, predicted, gold] on the last axis (..., 3) to [precision, recall, F1], fractions.

    Sum over sentences for the scores of each type, and over types too for the micro average. What is undefined (nothing
    predicted, no gold span) is 0, as seqeval has it.

    >>> precision_recall_f1(np.array([1, 2, 1])).tolist()
    [0.5, 1.0, 0.6666666666666666]
    """
    correct, predicted, gold = np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0)
    precision, recall = _share(correct, predicted), _share(correct, gold)
    return np.stack((precision, recall, _share(2 * precision * recall, precision + recall)), axis=-1)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole != 0)
