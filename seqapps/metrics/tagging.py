"""Evaluation of a tagger: accuracies, per-label scores, confusions, spans, and where its errors are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqapps.metrics import tagging_tables as tables
from seqapps.metrics.evaluation import Counted, Evaluation, estimate, ratio
from seqapps.metrics.intervals import Bootstrap, Floats
from seqapps.metrics.score import Score
from seqapps.metrics.spans import precision_recall_f1, span_counts, stack_counts
from seqapps.metrics.tagged_tokens import TaggedSentence, TaggedTokens, flatten

__all__ = ["TaggedSentence", "evaluate_tagging"]


def evaluate_tagging(
    sentences: Iterable[TaggedSentence],
    *,
    frequencies: Mapping[str, int],
    bootstrap: Bootstrap | None = None,
    spans: bool = False,
) -> Evaluation:
    """Compare predicted with gold labels.

    Scores (METRICS says what they are): accuracy over all tokens, over tokens whose form was seen in training, over
    those whose form was not, and over sentences; macro_f1 over the labels that occur in gold or predicted; with `spans`
    also f1, precision and recall over the spans of all types together, as seqeval counts them. The headline is f1 with
    `spans`, else accuracy. A score that is undefined, since there is nothing to count, has the value None.

    A label that the model cannot know, since training did not have it, counts as an error like any other. An empty
    sentence is neither right nor wrong.

    Tables: per_label, confusion, by_length, by_frequency, worst, and with `spans` per_span_type; `tagging_tables` says
    what is in them.

    Args:
        frequencies: how often each form occurs in the training split; a form that is absent, or has 0, is out of
        vocabulary. bootstrap: how intervals are computed; none = no intervals. spans: labels are span tags (B-NP, I-NP,
        O) of any scheme.
    Raises:
        ShapeError: a sentence whose tokens, gold and predicted labels are not equally many; the message counts from 1.
        DataError: with `spans`, a label that is no span tag.
    """
    sentences = list(sentences)
    tokens = flatten(sentences, frequencies)
    counted = _token_scores(tokens)
    written: dict[str, Any] = {}
    if spans:
        types, counts = stack_counts([span_counts(gold, predicted) for _, gold, predicted in sentences])
        counted = {**_span_scores(counts.sum(axis=1)), **counted}
        right, predicted, gold = counts.sum(axis=0).T
        written["per_span_type"] = tables.label_scores("type", types, right, gold, predicted)
    headline = "f1" if spans else "accuracy"
    of_length = tables.groups(tables.LENGTHS, tokens.lengths)
    lengths = {group: counted[headline].only(mask) for group, mask in of_length.items()}
    of_frequency = tables.groups(tables.FREQUENCIES, tokens.frequency)
    forms = {group: _accuracy(tokens, mask) for group, mask in of_frequency.items()}
    estimates = iter(estimate([*counted.values(), *lengths.values(), *forms.values()], bootstrap))
    scores = {name: Score(name, *next(estimates), part.count, part.of) for name, part in counted.items()}
    written["by_length"] = tables.by_group(headline, lengths, islice(estimates, len(lengths)))
    written["by_frequency"] = tables.by_group("accuracy", forms, estimates)
    written["per_label"] = tables.per_label(tokens.labels, tokens.gold, tokens.predicted)
    written["confusion"] = tables.confusion(tokens.labels, tokens.gold, tokens.predicted)
    written["worst"] = tables.worst(sentences, tokens)
    return Evaluation(headline, scores, written, counted)


def _token_scores(tokens: TaggedTokens) -> dict[str, Counted]:
    known = tokens.frequency > 0
    full = tokens.lengths > 0
    right = full & (tokens.per_sentence(~tokens.right) == 0)
    return {
        "accuracy": _accuracy(tokens, np.ones_like(known)),
        "accuracy_in_vocabulary": _accuracy(tokens, known),
        "accuracy_out_of_vocabulary": _accuracy(tokens, ~known),
        "accuracy_sentence": Counted(_columns(right, full), ratio, full, "sentences"),
        "macro_f1": Counted(_label_counts(tokens), macro_f1, tokens.lengths, "tokens"),
    }


def _accuracy(tokens: TaggedTokens, mask: NDArray[np.bool_]) -> Counted:
    """Over the tokens in `mask`."""
    total = tokens.per_sentence(mask)
    return Counted(_columns(tokens.per_sentence(mask & tokens.right), total), ratio, total, "tokens")


def _label_counts(tokens: TaggedTokens) -> NDArray[np.int32]:
    """(N, 2 L): how often each label is right, then how often it is gold plus how often it is predicted."""
    right = tokens.per_sentence_and_label(np.where(tokens.right, tokens.gold, -1))
    used = tokens.per_sentence_and_label(tokens.gold) + tokens.per_sentence_and_label(tokens.predicted)
    return np.concatenate([right, used], axis=1)


def macro_f1(sums: Floats) -> Floats:
    """Mean over labels of 2 right / (gold + predicted), without labels that are neither gold nor predicted.

    The sums (S, 2 L) are right, then gold + predicted, of each label.
    A resample that lacks a label averages over the others, so the interval leans upwards where rare labels score low.
    """
    right, used = np.split(sums, 2, axis=1)
    f1 = np.divide(2 * right, used, out=np.zeros_like(right), where=used > 0)
    return ratio(np.stack([f1.sum(axis=1), (used > 0).sum(axis=1)], axis=1))


def _span_scores(counts: NDArray[np.int64]) -> dict[str, Counted]:
    """From the columns right, predicted, gold of all types together, (N, 3)."""
    predicted, gold = counts[:, 1], counts[:, 2]
    return {
        "f1": Counted(counts, _span_f1, gold, "gold spans"),
        "precision": Counted(counts[:, [0, 1]], ratio, predicted, "predicted spans"),
        "recall": Counted(counts[:, [0, 2]], ratio, gold, "gold spans"),
    }


def _span_f1(sums: Floats) -> Floats:
    """Undefined only where there are neither gold nor predicted spans."""
    return np.where(sums[:, 1:].any(axis=1), precision_recall_f1(sums)[:, 2], np.nan)


def _columns(*columns: NDArray) -> NDArray[np.int32]:
    return np.stack(columns, axis=1).astype(np.int32)
