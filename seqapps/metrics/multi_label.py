"""Evaluation of a classifier that gives a text any number of labels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqapps.metrics import tagging_tables as tables
from seqapps.metrics.evaluation import Counted, Evaluation, estimate, ratio
from seqapps.metrics.intervals import Bootstrap
from seqapps.metrics.score import Score
from seqapps.metrics.tagging import macro_f1

__all__ = ["LabelledExample", "evaluate_multi_label"]


class LabelledExample(NamedTuple):
    """How many tokens a text has, the labels that it should have, and those that it was given."""

    tokens: int
    gold: Sequence[str]
    predicted: Sequence[str]


def evaluate_multi_label(
    examples: Sequence[LabelledExample], labels: Sequence[str], *, bootstrap: Bootstrap | None = None
) -> Evaluation:
    """Compare predicted with gold labels, any number for each text.

    A pair of a text and a label is right if it is both gold and predicted. Scores:

        micro_f1          2 right / (gold + predicted), pairs of all labels together; the headline
        macro_f1          the mean over labels of 2 right / (gold + predicted) of each, without labels that are neither
        subset_accuracy   texts whose labels are all right, none missing and none too many

    micro_f1 and macro_f1 are undefined where there is neither a gold label nor a predicted one. A gold label that is
    not among `labels`, since training did not have it, is missing from every prediction.

    Tables: per_label and by_length (see `tagging_tables`).

    Args:
        labels: what the model knows.
    """
    names = [*labels, *sorted({label for example in examples for label in example.gold} - set(labels))]
    gold = _memberships([example.gold for example in examples], names)  # (N, L)
    predicted = _memberships([example.predicted for example in examples], names)
    right = gold & predicted
    used = gold.astype(np.int32) + predicted
    one = np.ones(len(examples), np.int64)
    equal = (gold == predicted).all(axis=1)
    counted = {
        "micro_f1": Counted(np.stack([2 * right.sum(axis=1), used.sum(axis=1)], axis=1), ratio, one, "texts"),
        "macro_f1": Counted(np.concatenate([right, used], axis=1), macro_f1, one, "texts"),
        "subset_accuracy": Counted(np.stack([equal, one], axis=1), ratio, one, "texts"),
    }
    lengths = np.array([example.tokens for example in examples], np.int64)
    by_length = {g: counted["micro_f1"].only(m) for g, m in tables.groups(tables.LENGTHS, lengths).items()}
    estimates = iter(estimate([*counted.values(), *by_length.values()], bootstrap))
    scores = {name: Score(name, *next(estimates), part.count, part.of) for name, part in counted.items()}
    per_label = tables.label_scores("label", names, right.sum(axis=0), gold.sum(axis=0), predicted.sum(axis=0))
    written = {
        "by_length": tables.by_group("micro_f1", by_length, islice(estimates, len(by_length))),
        "per_label": [row for row in per_label if row["support"] or row["predicted"]],
    }
    return Evaluation("micro_f1", scores, written, counted)


def _memberships(lists: Sequence[Sequence[str]], names: Sequence[str]) -> NDArray[np.bool_]:
    """(N, L): which of `names` each list holds."""
    index = {name: number for number, name in enumerate(names)}
    found = np.zeros((len(lists), len(names)), np.bool_)
    for row, labels in enumerate(lists):
        found[row, [index[label] for label in labels]] = True
    return found
