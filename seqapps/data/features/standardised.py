"""The feature sets of a model, standardised by the training split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqapps.data.features.feature_set import FeatureSet
from seqapps.data.sources.source import Places
from seqapps.errors import ComponentError
from seqapps.recipe.components import read_components

__all__ = ["StandardisedFeatures", "feature_names"]


class StandardisedFeatures:
    """The numbers of several sets side by side:  (x - mean) / deviation,  both over the texts of the training split.

    A number that is the same in all of them is only shifted, to 0.

    Args:
        sets: as in a list of a recipe, `length, {type: lexicon, path: words.tsv}`.
    """

    def __init__(self, sets: str):
        self.text = sets
        self.sets: list[FeatureSet] = [spec.build() for spec in read_components("features", sets, "features")]
        self.mean = np.zeros(len(self.names))
        self.deviation = np.ones(len(self.names))

    @property
    def names(self) -> list[str]:
        """What each number is called."""
        return [name for one in self.sets for name in one.names]

    def read(self, places: Places) -> None:
        """Read the files of all sets."""
        for one in self.sets:
            one.read(places)

    def fit(self, texts: Iterable[Sequence[str]]) -> None:
        """Take mean and deviation from these texts, those of the training split."""
        values = self._values(texts)
        self.mean, deviation = values.mean(axis=0), values.std(axis=0)
        self.deviation = np.where(deviation > 0, deviation, 1.0)

    def of(self, texts: Iterable[Sequence[str]]) -> NDArray[np.float32]:
        """(N, D), a row for each text."""
        return ((self._values(texts) - self.mean) / self.deviation).astype(np.float32)

    def _values(self, texts: Iterable[Sequence[str]]) -> NDArray[np.float64]:
        rows = [[value for one in self.sets for value in _checked(one, tokens)] for tokens in texts]
        return np.array(rows, np.float64).reshape(len(rows), len(self.names))

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {
            "sets": self.text,
            "read": [one.to_json() for one in self.sets],
            "mean": self.mean.tolist(),
            "deviation": self.deviation.tolist(),
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> StandardisedFeatures:
        """The features that `to_json` described."""
        features = cls(saved["sets"])
        for one, read in zip(features.sets, saved["read"], strict=True):
            one.load_json(read)
        features.mean, features.deviation = np.array(saved["mean"]), np.array(saved["deviation"])
        return features


def _checked(one: FeatureSet, tokens: Sequence[str]) -> Sequence[float]:
    values = one.values(tokens)
    if len(values) != len(one.names):
        raise ComponentError(
            f"{type(one).__name__}: values gives {len(values)} numbers, names has {len(one.names)}; give one each"
        )
    return values


def feature_names(sets: str) -> list[str]:
    """What the numbers of some sets are called, given as in a list of a recipe; no file is read."""
    return StandardisedFeatures(sets).names
