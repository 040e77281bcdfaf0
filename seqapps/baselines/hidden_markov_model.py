"""A second-order hidden Markov model tagger: trigrams of tags, suffixes for unknown words, Viterbi."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqapps.baselines.suffix_model import SuffixModel
from seqapps.errors import DataError

__all__ = ["Emission", "HiddenMarkovModel", "Transitions", "viterbi"]

_ENTRIES = 2**24  # of the table of trigram probabilities: 128 MiB


class Emission(NamedTuple):
    """The tags that one token may have, and log P(token | tag) of each up to a constant of the token, both (C,)."""

    tags: NDArray[np.int64]
    log_probabilities: NDArray[np.float64]


class HiddenMarkovModel:
    """Second-order hidden Markov model after Brants (2000), "TnT - a statistical part-of-speech tagger", ANLP.

        argmax over t_1..t_T of  Π_i P(t_i | t_{i-2}, t_{i-1}) P(w_i | t_i)  · P(end | t_{T-1}, t_T)
        P(t3 | t1, t2) = λ1 f(t3)/n + λ2 f(t2, t3)/f(t2) + λ3 f(t1, t2, t3)/f(t1, t2)       λ by deleted interpolation
        P(w | t)       = f(w, t)/f(t)               for a known word; t ranges over the tags it was seen with
        P(w | t)       ∝ P(t | suffix of w)/P(t)    for an unknown word; see SuffixModel

    Deviations from the paper: the end of a sentence is predicted from two tags, interpolated like any tag (the paper
    uses P(end | t_T)); every λ gets one vote in advance, so that none is 0; tags are not doubled by capitalisation
    (suffixes are kept apart by it, as in the paper); the search is exact, without a beam. Where the tag set is so large
    that the table of P(t3 | t1, t2) would not fit in 2^24 entries, only the most frequent contexts (t1, t2) keep their
    trigrams and the others fall back to λ1 and λ2 alone.

    Time per token is O(C^3), where C is the number of candidate tags of a word, mostly 1 to 5.

    >>> HiddenMarkovModel().fit([(["the", "can"], ["DT", "NN"])]).predict(["the", "can"])
    ['DT', 'NN']
    """

    def __init__(self) -> None:
        self.tags: list[str] = []
        self.transitions = Transitions(0, [])
        self._known: dict[str, Emission] = {}
        self._unknown: SuffixModel | None = None

    def fit(self, sentences: Iterable[tuple[Sequence[str], Sequence[str]]]) -> HiddenMarkovModel:
        """Count (tokens, tags) pairs. Raises DataError if there is no token at all."""
        index: dict[str, int] = {}
        words: dict[str, Counter[int]] = {}
        sequences: list[list[int]] = []
        for tokens, tags in sentences:
            sequence = [index.setdefault(tag, len(index)) for tag in tags]
            for form, tag in zip(tokens, sequence, strict=True):
                words.setdefault(form, Counter())[tag] += 1
            if sequence:
                sequences.append(sequence)
        if not sequences:
            raise DataError("hidden Markov model baseline: no tagged token to count; check the training split")
        self.tags = list(index)
        self.transitions = Transitions(len(index), sequences)
        frequency = np.bincount(np.concatenate(sequences), minlength=len(index)).astype(float)  # f(t)
        self._known = {form: _known_word(counts, frequency) for form, counts in words.items()}
        self._unknown = SuffixModel(words, frequency)
        return self

    def emission(self, form: str) -> Emission:
        """What tags `form` may have, and how probable it is under each."""
        if self._unknown is None:
            raise DataError("hidden Markov model baseline: not fitted; call fit first")
        return self._known.get(form) or Emission(*self._unknown(form))

    def predict(self, tokens: Sequence[str]) -> list[str]:
        """The most probable tags. O(T) memory, any length."""
        return [self.tags[tag] for tag in viterbi([self.emission(form) for form in tokens], self.transitions)]


class Transitions:
    """log P(t3 | t1, t2) over K tags and the sentence boundary, which has index K and stands for start and end."""

    def __init__(self, K: int, sequences: Sequence[Sequence[int]]):
        self.boundary = K
        self._rows = np.zeros((1, K + 1))
        self._row_of = np.zeros((K + 1, K + 1), dtype=np.int64)
        if sequences:
            self._count(sequences)

    def __getitem__(self, context: tuple[NDArray, NDArray, NDArray]) -> NDArray[np.float64]:
        """log P(t3 | t1, t2) for tag indices t1, t2, t3, which broadcast."""
        first, second, third = context
        return self._rows[self._row_of[first, second], third]

    def _count(self, sequences: Sequence[Sequence[int]]) -> None:
        S = self.boundary + 1
        stream = np.array([tag for sequence in sequences for tag in (S - 1, S - 1, *sequence, S - 1)])
        ends = np.cumsum([len(sequence) + 3 for sequence in sequences])
        thirds = np.ones(len(stream), dtype=bool)  # positions that are the third of a trigram: all but the two starts
        thirds[np.concatenate([[0], ends[:-1]])] = thirds[np.concatenate([[0], ends[:-1]]) + 1] = False
        position = np.flatnonzero(thirds)
        keys = (stream[position - 2] * S + stream[position - 1]) * S + stream[position]
        trigrams, counts = np.unique(keys, return_counts=True)
        pairs, t3 = np.divmod(trigrams, S)
        t2 = pairs % S
        contexts, context = np.unique(pairs, return_inverse=True)
        f12 = np.bincount(context, counts)  # by position in contexts
        f23 = np.bincount(t2 * S + t3, counts, minlength=S * S).reshape(S, S)
        f2, f3 = f23.sum(axis=1), f23.sum(axis=0)
        weights = _deleted_interpolation(counts, f12[context], f23[t2, t3], f2[t2], f3[t3])
        backoff = weights[0] * f3 / f3.sum() + weights[1] * f23 / np.maximum(f2, 1)[:, None]  # (S, S): t2, t3

        kept = np.sort(np.argsort(-f12, kind="stable")[: max(0, _ENTRIES // S - S)])
        row_of_context = np.full(len(contexts), -1)
        row_of_context[kept] = np.arange(len(kept))
        rows = backoff[contexts[kept] % S]
        known = row_of_context[context] >= 0
        rows[row_of_context[context[known]], t3[known]] += weights[2] * counts[known] / f12[context[known]]
        self._rows = np.log(np.concatenate([backoff, rows]))
        self._row_of = np.tile(np.arange(S), (S, 1))  # without trigrams: the row of t2
        self._row_of[np.divmod(contexts[kept], S)] = S + np.arange(len(kept))


def _deleted_interpolation(f123: NDArray, f12: NDArray, f23: NDArray, f2: NDArray, f3: NDArray) -> NDArray[np.float64]:
    """λ1, λ2, λ3 (Brants 2000, figure 1), from the counts that belong to each distinct trigram.

    Each trigram votes, with its frequency, for the order that predicts it best once one occurrence of it is taken out;
    0/0 counts as 0, and of equal predictions the lower order gets the vote. One vote in advance for each.
    """
    divisors = np.stack([np.full_like(f3, f123.sum()), f2, f12]) - 1
    predictions = np.divide(np.stack([f3, f23, f123]) - 1, divisors, out=np.zeros_like(divisors), where=divisors > 0)
    votes = 1 + np.bincount(predictions.argmax(axis=0), f123, minlength=3)
    return votes / votes.sum()


def viterbi(emissions: Sequence[Emission], transitions: Transitions) -> list[int]:
    """The tags that maximise Σ_i log P(t_i | t_{i-2}, t_{i-1}) + log P(w_i | t_i) + log P(end | t_{T-1}, t_T)."""
    before = last = np.array([transitions.boundary])
    scores = np.zeros((1, 1))  # (A, B): best path that ends in before[a], last[b]
    pointers = []
    for tags, log_probabilities in emissions:
        longer = scores[:, :, None] + transitions[before[:, None, None], last[:, None], tags]  # (A, B, C)
        pointers.append(longer.argmax(axis=0))
        scores = longer.max(axis=0) + log_probabilities
        before, last = last, tags
    scores = scores + transitions[before[:, None], last, np.array(transitions.boundary)]
    b, c = np.unravel_index(scores.argmax(), scores.shape)
    path = []
    for (tags, _), pointer in zip(reversed(emissions), reversed(pointers), strict=True):
        path.append(int(tags[c]))
        b, c = pointer[b, c], b
    return path[::-1]


def _known_word(counts: Counter[int], frequency: NDArray[np.float64]) -> Emission:
    tags = np.array(sorted(counts))
    return Emission(tags, np.log([counts[tag] for tag in tags.tolist()] / frequency[tags]))
