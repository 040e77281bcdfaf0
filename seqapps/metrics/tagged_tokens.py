"""All tokens of a tagged split as arrays, one token after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqapps.errors import ShapeError

__all__ = ["TaggedSentence", "TaggedTokens", "flatten"]


class TaggedSentence(NamedTuple):
    """One sentence: its tokens, the labels it should have and those it was given, all equally long."""

    tokens: Sequence[str]
    gold: Sequence[str]
    predicted: Sequence[str]


class TaggedTokens(NamedTuple):
    """M tokens of N sentences with L labels."""

    labels: list[str]  # L, those that occur in gold or predicted, most frequent in gold first
    gold: NDArray[np.int64]  # (M,) index into labels
    predicted: NDArray[np.int64]  # (M,)
    right: NDArray[np.bool_]  # (M,)
    frequency: NDArray[np.int64]  # (M,) of the token's form in the training split
    sentence: NDArray[np.int64]  # (M,) which sentence
    lengths: NDArray[np.int64]  # (N,)

    def per_sentence(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How many tokens of each sentence are in `mask`, (N,)."""
        return np.bincount(self.sentence[mask], minlength=len(self.lengths))

    def per_sentence_and_label(self, labels: NDArray[np.int64]) -> NDArray[np.int32]:
        """How often each sentence has each label, (N, L), where token m has `labels[m]`; -1 is not counted."""
        L = len(self.labels)
        counted = labels >= 0
        cells, counts = np.unique(self.sentence[counted] * L + labels[counted], return_counts=True)
        table = np.zeros(len(self.lengths) * L, dtype=np.int32)
        table[cells] = counts
        return table.reshape(len(self.lengths), L)


def flatten(sentences: Sequence[TaggedSentence], frequencies: Mapping[str, int]) -> TaggedTokens:
    """Put the tokens one after another.

    Raises ShapeError for a sentence whose tokens, gold and predicted labels are not equally many; the message counts
    from 1.
    """
    for number, sentence in enumerate(sentences, start=1):
        sizes = [len(part) for part in sentence]
        if len(set(sizes)) > 1:
            found = "{} tokens, {} gold and {} predicted labels".format(*sizes)
            raise ShapeError(f"sentence {number}: {found}; there must be one label of each kind per token")
    in_gold = Counter(chain.from_iterable(sentence.gold for sentence in sentences))
    in_predicted = Counter(chain.from_iterable(sentence.predicted for sentence in sentences))
    labels = sorted(in_gold | in_predicted, key=lambda label: (-in_gold[label], -in_predicted[label], label))
    index = {label: position for position, label in enumerate(labels)}
    lengths = np.array([len(sentence.tokens) for sentence in sentences], dtype=np.int64)
    M = int(lengths.sum())
    gold = np.fromiter((index[label] for sentence in sentences for label in sentence.gold), np.int64, M)
    predicted = np.fromiter((index[label] for sentence in sentences for label in sentence.predicted), np.int64, M)
    forms = (form for sentence in sentences for form in sentence.tokens)
    frequency = np.fromiter((frequencies.get(form, 0) for form in forms), np.int64, M)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    return TaggedTokens(labels, gold, predicted, gold == predicted, frequency, owner, lengths)
