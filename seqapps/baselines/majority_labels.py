"""Every text gets the labels that most training texts have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqapps.errors import DataError

__all__ = ["MajorityLabels"]


class MajorityLabels:
    """p_k = N_k / N, whatever the text says, for N training texts of which N_k have label k.

    >>> MajorityLabels(["a", "b"]).fit([["x"], ["y"], ["z"], ["x"]], [["b"], ["a", "b"], [], ["b"]]).predict([["x"]])
    array([[0.25, 0.75]])

    Args:
        labels: that can be predicted, in the order of the probabilities.
    """

    def __init__(self, labels: Sequence[str]):
        self.labels = list(labels)
        self._shares = np.zeros(len(self.labels))

    def fit(self, texts: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> MajorityLabels:
        """Count labels. Raises DataError if there are no texts."""
        if not gold:
            raise DataError("majority-labels baseline: no text to learn from; check the training split")
        self._shares = np.array([sum(label in labels for labels in gold) / len(gold) for label in self.labels])
        return self

    def predict(self, texts: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """(N, K) probabilities of the labels."""
        return np.tile(self._shares, (len(texts), 1))
