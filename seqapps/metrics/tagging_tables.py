"""What a report shows of a tagger beside its scores, ready for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqapps.metrics.evaluation import Counted, Estimate
from seqapps.metrics.tagged_tokens import TaggedSentence, TaggedTokens

__all__ = ["FREQUENCIES", "LENGTHS", "Group", "by_group", "confusion", "groups", "label_scores", "per_label", "worst"]


class Group(NamedTuple):
    """Values from `low` to `high`, both included; `high` None = without end."""

    low: int
    high: int | None


def _from(*lows: int) -> list[Group]:
    """Groups that begin at these values and end before the next; the last has no end."""
    return [Group(low, high and high - 1) for low, high in zip(lows, (*lows[1:], None), strict=True)]


LENGTHS = _from(1, 2, 5, 10, 20, 30, 40, 60)  # tokens in a sentence
FREQUENCIES = _from(0, 1, 2, 5, 10, 100, 1000)  # of a form in the training split


def groups(bounds: Iterable[Group], values: NDArray[np.int64]) -> dict[Group, NDArray[np.bool_]]:
    """Which `values` are in which group; groups that hold none are left out."""
    masks = {}
    for group in bounds:
        mask = values >= group.low
        if group.high is not None:
            mask &= values <= group.high
        if mask.any():
            masks[group] = mask
    return masks


def by_group(metric: str, counted: Mapping[Group, Counted], estimates: Iterable[Estimate]) -> dict[str, Any]:
    """A score in each group: {metric, rows: [{low, high, count, of, value, interval}]}; `high` None = without end."""
    rows = [
        {
            **group._asdict(),
            "count": part.count,
            "of": part.of,
            "value": value,
            "interval": [interval.low, interval.high] if interval else None,
        }
        for (group, part), (value, interval) in zip(counted.items(), estimates, strict=True)
    ]
    return {"metric": metric, "rows": rows}


def label_scores(
    key: str, names: Sequence[str], right: NDArray, support: NDArray, predicted: NDArray
) -> list[dict[str, Any]]:
    """Precision, recall and F1 for each of `names`, most frequent in gold first.

    precision = right / predicted, recall = right / support, f1 = 2 right / (support + predicted); None where the
    divisor is 0.
    """
    rows = [
        {
            key: name,
            "precision": _divide(right[n], predicted[n]),
            "recall": _divide(right[n], support[n]),
            "f1": _divide(2 * right[n], support[n] + predicted[n]),
            "support": int(support[n]),
            "predicted": int(predicted[n]),
        }
        for n, name in enumerate(names)
    ]
    return sorted(rows, key=lambda row: (-row["support"], -row["predicted"], row[key]))


def per_label(labels: Sequence[str], gold: NDArray[np.int64], predicted: NDArray[np.int64]) -> list[dict[str, Any]]:
    """[{label, precision, recall, f1, support, predicted}] of tokens or texts, whose labels are given by index.

    `support` = how many have the label in gold.
    """
    right, support, found = (
        np.bincount(of, minlength=len(labels)) for of in (gold[gold == predicted], gold, predicted)
    )
    return label_scores("label", labels, right, support, found)


def confusion(
    labels: Sequence[str], gold: NDArray[np.int64], predicted: NDArray[np.int64], top: int = 50
) -> dict[str, Any]:
    """{labels, matrix, top, errors}: matrix[g][p] have gold label labels[g] and predicted label labels[p].

    `top` are the most frequent confusions, [{gold, predicted, count, share}], `share` of all with that gold label;
    `errors` counts the errors of all confusions.
    """
    L = len(labels)
    matrix = np.bincount(gold * L + predicted, minlength=L * L).reshape(L, L)
    errors = matrix * (1 - np.eye(L, dtype=np.int64))
    order = np.argsort(-errors, axis=None, kind="stable")[:top]
    support = matrix.sum(axis=1)
    rows = [
        {
            "gold": labels[g],
            "predicted": labels[p],
            "count": int(errors[g, p]),
            "share": _divide(errors[g, p], support[g]),
        }
        for g, p in zip(*np.unravel_index(order, (L, L)), strict=True)
        if errors[g, p]
    ]
    return {"labels": list(labels), "matrix": matrix.tolist(), "top": rows, "errors": int(errors.sum())}


def worst(sentences: Sequence[TaggedSentence], tokens: TaggedTokens, top: int = 20) -> list[dict[str, Any]]:
    """[{number, errors, tokens, gold, predicted}]: the sentences with most errors, of equals the shorter.

    `number` counts sentences of the split from 1. Sentences without an error are never among them.
    """
    errors = tokens.per_sentence(~tokens.right)
    order = np.lexsort((tokens.lengths, -errors))[:top]
    return [
        {
            "number": int(n) + 1,
            "errors": int(errors[n]),
            "tokens": list(sentences[n].tokens),
            "gold": list(sentences[n].gold),
            "predicted": list(sentences[n].predicted),
        }
        for n in order
        if errors[n]
    ]


def _divide(part: Any, whole: Any) -> float | None:
    return float(part / whole) if whole else None
