"""What a measured number is: its value, its interval, what it was counted over, and what its name means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["METRICS", "Difference", "Interval", "Metric", "Score"]


class Interval(NamedTuple):
    """Where the score of other sentences from the same population is expected, with probability `confidence`."""

    low: float
    high: float
    confidence: float


class Metric(NamedTuple):
    """What a name means. `unit` is how values are written down; a fraction is shown as per cent."""

    unit: str
    higher_is_better: bool
    description: str


METRICS: dict[str, Metric] = {
    "accuracy": Metric("fraction", True, "tokens, or texts, whose label is right"),
    "accuracy_in_vocabulary": Metric("fraction", True, "tokens whose label is right, among forms seen in training"),
    "accuracy_out_of_vocabulary": Metric(
        "fraction", True, "tokens whose label is right, among forms not seen in training"
    ),
    "accuracy_sentence": Metric("fraction", True, "sentences in which every label is right"),
    "macro_f1": Metric("fraction", True, "F1 of each label, averaged over labels with equal weight"),
    "weighted_f1": Metric("fraction", True, "F1 of each label, averaged by how often it occurs in gold"),
    "calibration_error": Metric("fraction", False, "gap between a label's probability and how often it is right"),
    "micro_f1": Metric("fraction", True, "F1 of pairs of a text and a label, all labels together"),
    "subset_accuracy": Metric("fraction", True, "texts whose labels are all right, none missing and none too many"),
    "roc_auc": Metric("fraction", True, "pairs of texts of two classes that the probabilities order rightly"),
    "perplexity_known": Metric("perplexity", False, "perplexity without the tokens that are not in the vocabulary"),
    "bits_per_character": Metric("bits", False, "-log2 of the text's probability per character and end of line"),
    "agreement_accuracy": Metric("fraction", True, "pairs whose right sentence is the more probable one"),
    "f1": Metric("fraction", True, "harmonic mean of precision and recall over whole spans"),
    "precision": Metric("fraction", True, "predicted spans that are right in type and both ends"),
    "recall": Metric("fraction", True, "gold spans that were found, right in type and both ends"),
    "bleu": Metric("points", True, "BLEU of the texts, 0 to 100, as sacreBLEU computes it"),
    "chrf": Metric("points", True, "chrF2 of the texts, 0 to 100, as sacreBLEU computes it"),
    "ter": Metric("points", False, "edits and shifts per 100 words of the reference, as sacreBLEU"),
    "exact_match": Metric("fraction", True, "texts whose tokens are all those of a reference, in order"),
    "length_ratio": Metric("ratio", True, "tokens written per token of the reference; 1 is best"),
    "cut": Metric("fraction", False, "texts that were cut at the limit of their length, before an end mark"),
    "copied": Metric("fraction", True, "tokens written that the vocabulary lacks, taken from what was read"),
    "character_error_rate": Metric("fraction", False, "edits of characters per character of the reference"),
    "cider_d": Metric("ratio", True, "CIDEr-D of captions, 0 to 10: agreement with what people say"),
    **{f"bleu_{n}": Metric("points", True, f"BLEU of captions, n-grams up to {n}, 0 to 100") for n in range(1, 5)},
    "rouge_l": Metric("fraction", True, "ROUGE-L of captions: longest common subsequence, as F measure"),
    "novel": Metric("fraction", True, "captions that are not among the training captions"),
    "vocabulary_used": Metric("count", True, "distinct words in all that was written"),
    "perplexity": Metric("perplexity", False, "exp of the mean negative log-likelihood of a target token"),
}


@dataclass(frozen=True)
class Score:
    """One measured number.

    `value` is None where the score is undefined, such as the accuracy on unknown words of a text that has none; it is
    never 0 for that reason. `count` says how many of `unit_of_count` ("tokens") the value was computed from.
    """

    name: str
    value: float | None
    interval: Interval | None
    count: int
    unit_of_count: str

    def to_json(self) -> dict[str, Any]:
        """For `report.json`; JSON has no NaN, and none is ever written."""
        metric = METRICS[self.name]
        return {
            "value": _finite(self.value),
            **_interval_json(self.interval),
            "unit": metric.unit,
            "higher_is_better": metric.higher_is_better,
            "count": self.count,
            "of": self.unit_of_count,
        }


@dataclass(frozen=True)
class Difference:
    """Score of one model minus score of another on the same sentences, with the interval of the paired bootstrap."""

    metric: str
    value: float | None
    interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        return {"metric": self.metric, "value": _finite(self.value), **_interval_json(self.interval)}


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _interval_json(interval: Interval | None) -> dict[str, Any]:
    if interval is None:
        return {"interval": None, "confidence": None}
    return {"interval": [float(interval.low), float(interval.high)], "confidence": interval.confidence}
