"""What a model of a few minutes' work reaches on the same data: the least that a trained model has to beat."""

from __future__ import annotations

from seqapps.baselines.generation import CopySource, MostFrequentCaption, NearestSource, NearestVectorCaption
from seqapps.baselines.hidden_markov_model import HiddenMarkovModel
from seqapps.baselines.kneser_ney import KneserNey
from seqapps.baselines.majority_class import MajorityClass
from seqapps.baselines.majority_labels import MajorityLabels
from seqapps.baselines.most_frequent_tag import MostFrequentTag
from seqapps.baselines.ngram_logistic_regression import NgramLogisticRegression, NgramOneVsRest

__all__ = [
    "CAPTIONING",
    "CLASSIFICATION",
    "LANGUAGE_MODEL",
    "MULTI_LABEL",
    "TAGGING",
    "TRANSLATION",
    "CopySource",
    "HiddenMarkovModel",
    "KneserNey",
    "MajorityClass",
    "MajorityLabels",
    "MostFrequentCaption",
    "MostFrequentTag",
    "NearestSource",
    "NearestVectorCaption",
    "NgramLogisticRegression",
    "NgramOneVsRest",
]

# Name in reports -> class with fit(sentences of (tokens, tags)) and predict(tokens) -> tags; the simplest first.
TAGGING: dict[str, type[MostFrequentTag] | type[HiddenMarkovModel]] = {
    "most_frequent_tag": MostFrequentTag,
    "hidden_markov_model": HiddenMarkovModel,
}

# Name in reports -> class made of labels, with fit(texts, gold labels) and predict(texts) -> probabilities (N, K).
CLASSIFICATION: dict[str, type[MajorityClass] | type[NgramLogisticRegression]] = {
    "majority_class": MajorityClass,
    "ngram_logistic_regression": NgramLogisticRegression,
}

# Name in reports -> class made of labels, with fit(texts, their labels) and predict(texts) -> (N, K) probabilities.
MULTI_LABEL: dict[str, type[MajorityLabels] | type[NgramOneVsRest]] = {
    "majority_labels": MajorityLabels,
    "ngram_one_vs_rest": NgramOneVsRest,
}

# Name in reports -> order of the KneserNey model.
LANGUAGE_MODEL: dict[str, int] = {"unigram": 1, "kneser_ney_3": 3, "kneser_ney_5": 5}

# Name in reports -> class with fit(sources, targets) and predict(sources) -> targets, all of them tokens.
TRANSLATION: dict[str, type[CopySource] | type[NearestSource]] = {
    "copy_source": CopySource,
    "nearest_source": NearestSource,
}

# Name in reports -> class with fit(vectors (N, D), captions of each image) and predict(vectors) -> captions, as tokens.
CAPTIONING: dict[str, type[MostFrequentCaption] | type[NearestVectorCaption]] = {
    "most_frequent_caption": MostFrequentCaption,
    "nearest_vector": NearestVectorCaption,
}
