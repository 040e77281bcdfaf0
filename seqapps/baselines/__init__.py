"""What a model of a few minutes' work reaches on the same data: the least that a trained model has to beat."""

from __future__ import annotations

from seqapps.baselines.hidden_markov_model import HiddenMarkovModel
from seqapps.baselines.most_frequent_tag import MostFrequentTag

__all__ = ["TAGGING", "HiddenMarkovModel", "MostFrequentTag"]

# Name in reports -> class with fit(sentences of (tokens, tags)) and predict(tokens) -> tags; the simplest first.
TAGGING: dict[str, type[MostFrequentTag] | type[HiddenMarkovModel]] = {
    "most_frequent_tag": MostFrequentTag,
    "hidden_markov_model": HiddenMarkovModel,
}
