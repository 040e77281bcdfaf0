"""Texts that take no model to write: copies of what was read, and what was written in training."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from seqapps.errors import DataError, ShapeError

__all__ = ["CopySource", "MostFrequentCaption", "NearestSource", "NearestVectorCaption"]

_ROWS = 256  # of vectors that are compared at a time

Texts = Sequence[Sequence[str]]


class CopySource:
    """What is read is written: names and numbers are right, and so is the length, more or less.

    >>> CopySource().fit([["ja"]], [["yes"]]).predict([["nein"]])
    [['nein']]
    """

    def fit(self, sources: Texts, targets: Texts) -> CopySource:
        """There is nothing to learn."""
        return self

    def predict(self, sources: Texts) -> list[list[str]]:
        return [list(source) for source in sources]


class NearestSource:
    """The target of the training source that is most similar, of equals the first: a translation memory.

        similarity = Σ_j x_j y_j / |x| |y|,   x_j = count of n-gram j times log(N / sources that have it)

    over words and pairs of neighbours, lower-cased (Salton and Buckley 1988, "Term-weighting approaches"). A source of
    which nothing was seen in training gets the target of the first training source.

    >>> NearestSource().fit([["ein", "Hund"], ["eine", "Katze"]], [["a", "dog"], ["a", "cat"]]).predict([["Katze"]])
    [['a', 'cat']]
    """

    def __init__(self) -> None:
        self._targets: list[list[str]] = []
        self._idf: dict[str, float] = {}
        self._holders: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}  # rows, and x_j / |x| in them

    def fit(self, sources: Texts, targets: Texts) -> NearestSource:
        """Weigh the n-grams of the sources. Raises DataError if there are none, ShapeError unless each has a target."""
        if len(sources) != len(targets):
            raise ShapeError(f"nearest-source baseline: {len(sources)} sources, {len(targets)} targets; give one each")
        if not sources:
            raise DataError("nearest-source baseline: no source to remember; check the training split")
        self._targets = [list(target) for target in targets]
        counted = [_ngrams(source) for source in sources]
        frequency = Counter(ngram for counts in counted for ngram in counts)
        self._idf = {ngram: math.log(len(sources) / n) for ngram, n in frequency.items()}
        rows: dict[str, list[int]] = {ngram: [] for ngram in frequency}
        shares: dict[str, list[float]] = {ngram: [] for ngram in frequency}
        for row, counts in enumerate(counted):
            for ngram, share in self._weights(counts).items():
                rows[ngram].append(row)
                shares[ngram].append(share)
        self._holders = {ngram: (np.array(rows[ngram]), np.array(shares[ngram])) for ngram in rows if rows[ngram]}
        return self

    def predict(self, sources: Texts) -> list[list[str]]:
        return [list(self._targets[self._nearest(source)]) for source in sources]

    def _nearest(self, source: Sequence[str]) -> int:
        known = [(share, *self._holders[ngram]) for ngram, share in self._weights(_ngrams(source)).items()]
        if not known:
            return 0
        rows = np.concatenate([rows for _, rows, _ in known])
        products = np.concatenate([share * shares for share, _, shares in known])
        return int(np.bincount(rows, products).argmax())

    def _weights(self, counts: Counter[str]) -> dict[str, float]:
        """x_j / |x| of the n-grams that tell sources apart; |x| is over those."""
        weights = {ngram: n * self._idf[ngram] for ngram, n in counts.items() if self._idf.get(ngram)}
        norm = math.hypot(*weights.values())
        return {ngram: weight / norm for ngram, weight in weights.items()}


class MostFrequentCaption:
    """One caption for all images: the one that is most frequent in training, of equals the first.

    >>> captions = [[["a", "dog"]], [["a", "cat"], ["a", "dog"]]]
    >>> MostFrequentCaption().fit(np.zeros((2, 1)), captions).predict(np.zeros((1, 1)))
    [['a', 'dog']]
    """

    def __init__(self) -> None:
        self._caption: list[str] = []

    def fit(self, vectors: NDArray, captions: Sequence[Texts]) -> MostFrequentCaption:
        """Count captions, several for each image. Raises DataError if there are none."""
        counts = Counter(tuple(caption) for of_image in captions for caption in of_image)
        if not counts:
            raise DataError("most-frequent-caption baseline: no caption to count; check the training split")
        self._caption = list(counts.most_common(1)[0][0])
        return self

    def predict(self, vectors: NDArray) -> list[list[str]]:
        """Vectors (N, D), of which only the number counts."""
        return [list(self._caption) for _ in range(len(vectors))]


class NearestVectorCaption:
    """The first caption of the training image whose vector is nearest by cosine, of equals the first image's.

    Devlin et al. (2015), "Exploring nearest neighbor approaches for image captioning", without their consensus over
    many neighbours.

    >>> NearestVectorCaption().fit(np.eye(2), [[["a", "dog"]], [["a", "cat"]]]).predict(np.array([[1.0, 3.0]]))
    [['a', 'cat']]
    """

    def __init__(self) -> None:
        self._vectors: NDArray[np.floating] = np.zeros((0, 0))
        self._captions: list[list[str]] = []

    def fit(self, vectors: NDArray, captions: Sequence[Texts]) -> NearestVectorCaption:
        """Keep vectors (N, D) and one caption for each.

        Raises DataError if there are none, ShapeError unless there is a vector for each image.
        """
        if len(vectors) != len(captions):
            found = f"{len(vectors)} vectors, captions of {len(captions)} images"
            raise ShapeError(f"nearest-vector baseline: {found}; give one vector an image")
        described = [row for row, of_image in enumerate(captions) if len(of_image)]
        if not described:
            raise DataError("nearest-vector baseline: no caption to remember; check the training split")
        self._vectors = _normalised(np.asarray(vectors)[described])
        self._captions = [list(captions[row][0]) for row in described]
        return self

    def predict(self, vectors: NDArray) -> list[list[str]]:
        """Of vectors (M, D)."""
        asked = _normalised(np.asarray(vectors))
        parts = (asked[start : start + _ROWS] for start in range(0, len(asked), _ROWS))
        return [list(self._captions[row]) for part in parts for row in (part @ self._vectors.T).argmax(axis=1).tolist()]


def _normalised(vectors: NDArray) -> NDArray[np.floating]:
    """Of length 1 each; zeros stay zeros."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1.0)


def _ngrams(text: Sequence[str]) -> Counter[str]:
    words = [word.lower() for word in text]
    return Counter([*words, *(f"{a} {b}" for a, b in pairwise(words))])
