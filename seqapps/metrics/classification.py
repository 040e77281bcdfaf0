"""Evaluation of a classifier: accuracy, F1 over labels, calibration, and how well probabilities rank."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqapps.errors import ShapeError
from seqapps.metrics import tagging_tables as tables
from seqapps.metrics.evaluation import Counted, Evaluation, estimate, ratio
from seqapps.metrics.intervals import Bootstrap, Floats
from seqapps.metrics.score import Score
from seqapps.metrics.tagging import macro_f1

__all__ = ["ClassifiedExample", "area_under_roc", "evaluate_classification"]

_BINS = 15  # of probabilities, equally wide (Guo et al. 2017, "On calibration of modern neural networks")
_RANKS = 100  # groups of ranks from which the interval of the area under the curve is computed
_WORST = 20


class ClassifiedExample(NamedTuple):
    """A text's tokens, the label it should have, the one it was given, and the probability of every label."""

    tokens: Sequence[str]
    gold: str
    predicted: str
    probabilities: Sequence[float]


def evaluate_classification(
    examples: Sequence[ClassifiedExample], labels: Sequence[str], *, bootstrap: Bootstrap | None = None
) -> Evaluation:
    """Compare predicted with gold labels, one per text.

    Scores (METRICS says what they are): accuracy, the headline; macro_f1 over the labels that occur in gold or
    predicted; weighted_f1, by support; calibration_error; with two labels roc_auc. A gold label that is not among
    `labels`, since training did not have it, counts as an error, and is left out of roc_auc.

        calibration_error = Σ_b n_b/N |right_b/n_b - p_b/n_b|     p_b: sum of the predicted labels' probabilities

    over 15 equally wide bins b of that probability, (low, high]. Its bootstrap interval leans upwards, as each sample
    adds its own noise to every bin. The interval of roc_auc is computed from ranks in 100 groups, ties within them; its
    value is exact.

    Tables: per_label, confusion, by_length (see `tagging_tables`), calibration, certain_errors.

    Args:
        labels: what the model knows, in the order of `probabilities`.
    Raises:
        ShapeError: a text that has not one probability per label; the message counts from 1.
    """
    for number, example in enumerate(examples, start=1):
        if len(example.probabilities) != len(labels):
            found = f"{len(example.probabilities)} probabilities, {len(labels)} labels"
            raise ShapeError(f"text {number}: {found}; give one each")
    names = [*labels, *sorted({example.gold for example in examples} - set(labels))]
    index = {name: i for i, name in enumerate(names)}
    gold = np.array([index[example.gold] for example in examples], np.int64)
    predicted = np.array([index[example.predicted] for example in examples], np.int64)
    probabilities = np.array([example.probabilities for example in examples], np.float64).reshape(-1, len(labels))
    certainty = probabilities[np.arange(len(predicted)), predicted]

    counted = _label_scores(gold, predicted, len(names))
    counted["calibration_error"] = _calibration(certainty, gold == predicted)
    exact = {}
    if len(labels) == 2:
        known = gold < 2
        exact["roc_auc"] = area_under_roc(probabilities[known, 1], gold[known] == 1)
        counted["roc_auc"] = _ranks(probabilities[:, 1], gold)
    lengths = np.array([len(example.tokens) for example in examples], np.int64)
    by_length = {g: counted["accuracy"].only(m) for g, m in tables.groups(tables.LENGTHS, lengths).items()}
    estimates = iter(estimate([*counted.values(), *by_length.values()], bootstrap))
    scores = {}
    for name, part in counted.items():
        value, interval = next(estimates)
        scores[name] = Score(name, exact.get(name, value), interval, part.count, part.of)
    written = {
        "by_length": tables.by_group("accuracy", by_length, islice(estimates, len(by_length))),
        "per_label": [row for row in tables.per_label(names, gold, predicted) if row["support"] or row["predicted"]],
        "confusion": tables.confusion(names, gold, predicted),
        "calibration": _calibration_table(certainty, gold == predicted),
        "certain_errors": _certain_errors(examples, gold != predicted, certainty),
    }
    return Evaluation("accuracy", scores, written, counted)


def _label_scores(gold: NDArray[np.int64], predicted: NDArray[np.int64], L: int) -> dict[str, Counted]:
    N = len(gold)
    one = np.ones(N, np.int64)
    of_gold, of_predicted = (np.eye(L, dtype=np.int32)[numbers] for numbers in (gold, predicted))  # (N, L)
    right = of_gold * of_predicted
    return {
        "accuracy": Counted(np.stack([right.sum(axis=1), one], axis=1), ratio, one, "texts"),
        "macro_f1": Counted(np.concatenate([right, of_gold + of_predicted], axis=1), macro_f1, one, "texts"),
        "weighted_f1": Counted(np.concatenate([right, of_gold, of_predicted], axis=1), _weighted_f1, one, "texts"),
    }


def _weighted_f1(sums: Floats) -> Floats:
    """Of sums (S, 3 L), right, gold and predicted: the mean of 2 right / (gold + predicted) weighted by gold."""
    right, gold, predicted = np.split(sums, 3, axis=1)
    used = gold + predicted
    f1 = np.divide(2 * right, used, out=np.zeros_like(right), where=used > 0)
    return ratio(np.stack([(gold * f1).sum(axis=1), gold.sum(axis=1)], axis=1))


def _bins(certainty: Floats) -> NDArray[np.int64]:
    """Which of the bins (0, 1/15], ..., (14/15, 1] each probability is in."""
    return np.clip(np.ceil(certainty * _BINS).astype(np.int64) - 1, 0, _BINS - 1)


def _calibration(certainty: Floats, right: NDArray[np.bool_]) -> Counted:
    N = len(right)
    counts = np.zeros((N, _BINS + 1))
    counts[np.arange(N), _bins(certainty)] = right - certainty
    counts[:, -1] = 1
    return Counted(counts, _calibration_error, np.ones(N, np.int64), "texts")


def _calibration_error(sums: Floats) -> Floats:
    return ratio(np.stack([np.abs(sums[:, :-1]).sum(axis=1), sums[:, -1]], axis=1))


def _calibration_table(certainty: Floats, right: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """[{low, high, count, certainty, accuracy}]: mean probability and share of right labels, bins with texts only."""
    bins = _bins(certainty)
    return [
        {
            "low": b / _BINS,
            "high": (b + 1) / _BINS,
            "count": int((bins == b).sum()),
            "certainty": float(certainty[bins == b].mean()),
            "accuracy": float(right[bins == b].mean()),
        }
        for b in np.unique(bins).tolist()
    ]


def area_under_roc(scores: Floats, positive: NDArray[np.bool_]) -> float | None:
    """Share of pairs of a positive and a negative in which the positive has the higher score; ties count half.

    None where there are no pairs.
    """
    positives = int(positive.sum())
    pairs = positives * (len(scores) - positives)
    if not pairs:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # from 1; equal scores share the mean of theirs
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / pairs)


def _ranks(scores: Floats, gold: NDArray[np.int64]) -> Counted:
    """Counts (N, 2 x 100): how many of class 0, then of class 1, each text adds to each group of ranks."""
    N, known = len(scores), gold < 2
    _, first, inverse = np.unique(np.sort(scores), return_index=True, return_inverse=True)
    order = np.argsort(scores, kind="stable")
    below = np.empty(N, np.int64)  # how many scores are lower
    below[order] = first[inverse]
    group = below * _RANKS // max(1, N)
    counts = np.zeros((N, 2 * _RANKS), np.int8)
    counts[known, gold[known] * _RANKS + group[known]] = 1
    return Counted(counts, _grouped_area, known.astype(np.int64), "texts")


def _grouped_area(sums: Floats) -> Floats:
    negative, positive = np.split(sums, 2, axis=1)
    lower = np.cumsum(negative, axis=1) - negative / 2
    pairs = negative.sum(axis=1) * positive.sum(axis=1)
    return ratio(np.stack([(positive * lower).sum(axis=1), pairs], axis=1))


def _certain_errors(
    examples: Sequence[ClassifiedExample], wrong: NDArray[np.bool_], certainty: Floats
) -> list[dict[str, Any]]:
    """[{number, tokens, gold, predicted, probability}]: the errors that the model was most certain of."""
    order = [n for n in np.argsort(-certainty, kind="stable").tolist() if wrong[n]][:_WORST]
    return [
        {
            "number": n + 1,
            "tokens": list(examples[n].tokens),
            "gold": examples[n].gold,
            "predicted": examples[n].predicted,
            "probability": float(certainty[n]),
        }
        for n in order
    ]
