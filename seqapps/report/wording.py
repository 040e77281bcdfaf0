"""How numbers and names are written for people: fractions as per cent, minus signs that line up, thousands apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

__all__ = [
    "NONE",
    "count",
    "duration",
    "group_name",
    "interval",
    "moment",
    "number",
    "points",
    "score",
    "stopped",
    "title",
]

NONE = "–"  # where a value is undefined or was not measured

_TITLES = {
    "accuracy": "accuracy",
    "accuracy_in_vocabulary": "accuracy, known words",
    "accuracy_out_of_vocabulary": "accuracy, unknown words",
    "accuracy_sentence": "sentences all right",
    "macro_f1": "macro F1 over labels",
    "weighted_f1": "weighted F1 over labels",
    "calibration_error": "calibration error",
    "micro_f1": "micro F1 over labels",
    "subset_accuracy": "all labels right",
    "roc_auc": "area under ROC curve",
    "perplexity_known": "perplexity, known words",
    "bits_per_character": "bits per character",
    "agreement_accuracy": "right sentence preferred",
    "bleu": "BLEU",
    **{f"bleu_{n}": f"BLEU-{n}" for n in range(1, 5)},
    "chrf": "chrF",
    "ter": "TER",
    "exact_match": "exact matches",
    "cider_d": "CIDEr-D",
    "rouge_l": "ROUGE-L",
    "novel": "novel captions",
    "vocabulary_used": "distinct words used",
    "f1": "span F1",
    "precision": "span precision",
    "recall": "span recall",
    "most_frequent_tag": "most frequent tag",
    "hidden_markov_model": "hidden Markov model",
    "majority_class": "majority class",
    "ngram_logistic_regression": "n-gram logistic regression",
    "majority_labels": "labels of most texts",
    "ngram_one_vs_rest": "n-gram logistic regressions",
    "copy_source": "copy of the source",
    "nearest_source": "nearest training source",
    "nearest_vector": "nearest training image",
    "unigram": "unigram model",
    "kneser_ney_3": "Kneser-Ney trigram model",
    "kneser_ney_5": "Kneser-Ney 5-gram model",
}

_FURTHER_DECIMALS = {"bits": 1, "ratio": 1}  # of units in which small differences matter

_REASONS = {
    "epochs": "all epochs were done",
    "patience": "no better validation score for as long as the patience lasts",
    "max_steps": "the limit on optimizer steps",
    "max_seconds": "the limit on time",
    "interrupt": "an interrupt",
}


def title(name: str) -> str:
    """A score's or a baseline's name in words."""
    return _TITLES.get(name, name.replace("_", " "))


def count(value: int) -> str:
    """
    >>> count(15012)
    '15,012'
    """
    return f"{value:,}"


def number(value: float | None, unit: str = "fraction", decimals: int = 1) -> str:
    """A value without its unit: of a fraction the per cent; of bits and ratios one decimal more; of a count none.

    >>> number(0.92871), number(None), number(1053.4, "perplexity"), number(1.2345, "bits"), number(1234.0, "count")
    ('92.9', '–', '1,053.4', '1.23', '1,234')
    """
    if value is None:
        return NONE
    if unit == "count":
        return count(round(value))
    decimals += _FURTHER_DECIMALS.get(unit, 0)
    return f"{100 * value:.{decimals}f}" if unit == "fraction" else f"{value:,.{decimals}f}"


def score(written: Mapping[str, Any], decimals: int = 1) -> str:
    """A score with its unit, without its interval.

    >>> score({"value": 0.92871, "unit": "fraction"})
    '92.9 %'
    """
    unit = written.get("unit", "fraction")
    text = number(written.get("value"), unit, decimals)
    return f"{text} %" if unit == "fraction" and text != NONE else text


def interval(bounds: Sequence[float] | None, unit: str = "fraction", decimals: int = 1) -> str:
    """
    >>> interval([0.924, 0.934])
    '92.4–93.4'
    """
    if bounds is None:
        return NONE
    return "–".join(number(bound, unit, decimals) for bound in bounds)


def points(value: float, unit: str = "fraction") -> str:
    """A difference, always with its sign.

    >>> points(0.0113), points(-0.002), points(0.0), points(-0.034, unit="bits")
    ('+1.1', '−0.2', '+0.0', '−0.03')
    """
    decimals = 1 + _FURTHER_DECIMALS.get(unit, 0)
    shown = round(100 * value if unit == "fraction" else value, decimals) + 0.0  # + 0.0 turns -0.0 round
    return f"{shown:+.{decimals}f}".replace("-", "−")


def duration(seconds: float) -> str:
    """
    >>> duration(4.21), duration(75), duration(7320)
    ('4.2 s', '1 min 15 s', '2 h 2 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def moment(iso: str) -> str:
    """
    >>> moment("2026-11-21T04:10:00.25+00:00"), moment("some day")
    ('2026-11-21 04:10 UTC', 'some day')
    """
    try:
        parsed = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    zone = f" {parsed.tzname()}" if parsed.tzinfo else ""
    return f"{parsed:%Y-%m-%d %H:%M}{zone}"


def stopped(reason: str) -> str:
    """Why training ended, in words.

    >>> stopped("patience")
    'no better validation score for as long as the patience lasts'
    """
    return _REASONS.get(reason, reason.replace("_", " "))


def group_name(low: int, high: int | None) -> str:
    """
    >>> group_name(0, 0), group_name(2, 4), group_name(60, None)
    ('0', '2–4', '60+')
    """
    if high is None:
        return f"{low}+"
    return str(low) if low == high else f"{low}–{high}"
