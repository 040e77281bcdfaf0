"""Every text gets the label that is most frequent in training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqapps.errors import DataError

__all__ = ["MajorityClass"]


class MajorityClass:
    """p(y) = N_y / N, whatever the text says; of equally frequent labels the first is predicted.

    >>> MajorityClass(["a", "b"]).fit([["x"], ["y"], ["z"], ["x"]], ["b", "b", "a", "b"]).predict([["x"]])
    array([[0.25, 0.75]])

    Args:
        labels: that can be predicted, in the order of the probabilities.
    """

    def __init__(self, labels: Sequence[str]):
        self.labels = list(labels)
        self._shares = np.full(len(self.labels), 1 / len(self.labels))

    def fit(self, texts: Sequence[Sequence[str]], gold: Sequence[str]) -> MajorityClass:
        """Count labels. Raises DataError if there are none."""
        if not gold:
            raise DataError("majority-class baseline: no label to count; check the training split")
        counts = np.array([gold.count(label) for label in self.labels])
        self._shares = counts / counts.sum()
        return self

    def predict(self, texts: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """(N, K) probabilities of the labels."""
        return np.tile(self._shares, (len(texts), 1))
