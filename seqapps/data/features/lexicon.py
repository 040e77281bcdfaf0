"""How a text speaks, by a list of words and their weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqapps.data.features.feature_set import FeatureSet
from seqapps.data.sources.reading import lines_of
from seqapps.data.sources.source import Places
from seqapps.errors import DataError

__all__ = ["Lexicon"]


class Lexicon(FeatureSet):
    """How many tokens of a text a lexicon has with a weight above 0, how many with one below, and the sum of weights.

    A line of the file is `word TAB weight`; further columns are passed over (VADER's lexicon has some), blank lines,
    too. A word is one token, as the tokenizer makes them.

    Fields:
        path: the file, UTF-8, plain or .gz, .xz, .bz2.
        lowercase: case does not matter; the first of two words that differ in case only counts.
    """

    names = ("positive", "negative", "weight")

    def __init__(self, *, path: str, lowercase: bool = True):
        self.path, self.lowercase = path, lowercase
        self.weights: dict[str, float] = {}

    def read(self, places: Places) -> None:
        """Raises DataError naming the line that is not `word TAB weight`, or whose word has another weight already."""
        self.weights = _weights(places.find(self.path), self.lowercase)

    def values(self, tokens: Sequence[str]) -> Sequence[float]:
        found = [self.weights.get(token.lower() if self.lowercase else token, 0.0) for token in tokens]
        return [sum(weight > 0 for weight in found), sum(weight < 0 for weight in found), math.fsum(found)]

    def to_json(self) -> dict[str, Any]:
        return {"weights": self.weights}

    def load_json(self, saved: Mapping[str, Any]) -> None:
        self.weights = dict(saved["weights"])


def _weights(path: Path, lowercase: bool) -> dict[str, float]:
    """Word -> weight, in lower case if that is asked for."""
    spelt: dict[str, float] = {}
    for number, line in lines_of(path):
        if not line.strip():
            continue
        word, *columns = line.split("\t")
        try:
            weight = float(columns[0])
        except (IndexError, ValueError):
            weight = math.nan
        if not word or not math.isfinite(weight):
            raise DataError(f"{path}:{number}: {line!r} is no word and weight; write word TAB number")
        if spelt.setdefault(word, weight) != weight:
            raise DataError(f"{path}:{number}: {word!r} has weight {spelt[word]:g} already; remove one of the lines")
    if not spelt:
        raise DataError(f"{path}: no words; give a lexicon of lines word TAB weight")
    weights: dict[str, float] = {}
    for word, weight in spelt.items():
        weights.setdefault(word.lower() if lowercase else word, weight)
    return weights
