"""Evaluation of a language model: perplexity, bits per character, and which of two sentences is the more probable."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqapps.errors import DataError, ShapeError
from seqapps.metrics import language_model_tables as tables
from seqapps.metrics import tagging_tables
from seqapps.metrics.evaluation import Counted, Evaluation, estimate, ratio
from seqapps.metrics.intervals import Bootstrap, Floats
from seqapps.metrics.score import Score
from seqapps.metrics.tagging_tables import FREQUENCIES, LENGTHS, Group

__all__ = ["SCORES", "ScoredSentence", "evaluate_language_model", "evaluate_pairs"]

SCORES = ("perplexity", "bits_per_character", "perplexity_known")

_BOTH = "tokens and end marks"
_ROUNDING = 1e-4  # by which a log-probability in float32 may exceed 0


class ScoredSentence(NamedTuple):
    """A sentence and what a model says of it."""

    tokens: Sequence[str]  # as they stand in the text
    log_probs: Sequence[float] | NDArray[np.floating]  # natural; one per token, and last that of the end mark
    unknown: Sequence[bool]  # which tokens are outside the vocabulary, so that `<unk>` was predicted


def evaluate_language_model(
    sentences: Sequence[ScoredSentence],
    *,
    regime: Literal["sentence", "stream"],
    bootstrap: Bootstrap | None = None,
    frequencies: Mapping[str, int] | None = None,
    separator: str = " ",
) -> Evaluation:
    """How well sentences are predicted.

    M tokens of N sentences and their N end marks are predicted, `<unk>` for unknown tokens; nll is the sum of their
    -log p.

        perplexity         = exp(nll / (M + N)), the headline
        perplexity_known   = the same over the end marks and the tokens that are not unknown
        bits_per_character = nll / log 2 / characters

    Characters are those of each sentence's tokens, joined by `separator`, and one for the end of the line. Of a
    character model, whose separator is "", they are the M tokens and N end marks. An unknown token counts with the
    characters it has in the text, although only `<unk>` was predicted: where many are unknown, the bits are too few.

    Intervals take sentences as independent, also in a stream.

    Tables: predicted, {regime, separator, tokens, unknown, end_marks, characters, perplexity_end_marks}; by_position,
    perplexity by the place of a token in its sentence; by_length, by tokens of the sentence; with `frequencies`
    by_frequency (see `tagging_tables`); word_surprise, sentence_surprise (see `language_model_tables`).

    Args:
        regime: what contexts the probabilities have: the sentence's own tokens, or the stream of all before.
        frequencies: how often each form occurs in the training split.
        separator: what stands between tokens in the text.

    Raises:
        ShapeError: a sentence with more or fewer probabilities than tokens and end mark, or than flags.
        DataError: a log-probability that is above 0 or not finite. Messages count sentences from 1.
    """
    predicted = _flatten(sentences, separator)
    every = np.ones(len(predicted.nll), bool)
    bits = np.stack([predicted.sums(every)[:, 0] / math.log(2), predicted.characters], axis=1)
    counted = {
        "perplexity": predicted.perplexity(every, _BOTH),
        "bits_per_character": Counted(bits, ratio, predicted.characters, "characters"),
        "perplexity_known": predicted.perplexity(predicted.known, _BOTH),
    }
    end_marks = predicted.perplexity(predicted.end, "end marks")
    grouped = _grouped(predicted, sentences, frequencies)
    parts = [part for group in grouped.values() for part in group.values()]
    of_end_marks, *found = estimate([end_marks, *counted.values(), *parts], bootstrap)
    estimates = iter(found)
    scores = {name: Score(name, *next(estimates), part.count, part.of) for name, part in counted.items()}
    written: dict[str, Any] = {
        name: tagging_tables.by_group("perplexity", part, islice(estimates, len(part)))
        for name, part in grouped.items()
    }
    written["predicted"] = {
        "regime": regime,
        "separator": separator,
        "tokens": int((~predicted.end).sum()),
        "unknown": int((~predicted.known).sum()),
        "end_marks": end_marks.count,
        "characters": int(predicted.characters.sum()),
        "perplexity_end_marks": of_end_marks.value,
    }
    written["word_surprise"] = tables.word_surprise(sentences, predicted.nll, predicted.known & ~predicted.end)
    written["sentence_surprise"] = tables.sentence_surprise(sentences)
    return Evaluation("perplexity", scores, written, counted)


def evaluate_pairs(
    good: Sequence[float],
    bad: Sequence[float],
    groups: Sequence[str | int | None] | None = None,
    *,
    bootstrap: Bootstrap | None = None,
) -> Evaluation:
    """How often the right one of two sentences is the more probable one (Linzen et al. 2016; Marvin and Linzen 2018).

    Equally probable ones are an error. The only score is agreement_accuracy. Table: pairs, {metric, rows: [{group,
    count, of, value, interval}]}, one row per group, numbers in order first; pairs whose group is None are in none.

    >>> evaluate_pairs([-3.0, -5.0], [-4.0, -2.0]).scores["agreement_accuracy"].value
    0.5

    Args:
        good: log-probability of each pair's right sentence.
        bad: of its wrong one.
        groups: of each pair, such as the distance between subject and verb.

    Raises:
        ShapeError: not equally many of each.
    """
    groups = [None] * len(good) if groups is None else groups
    if not len(good) == len(bad) == len(groups):
        found = f"{len(good)} right and {len(bad)} wrong sentences, {len(groups)} groups"
        raise ShapeError(f"pairs of sentences: {found}; give one each")
    right = np.asarray(good, np.float64) > np.asarray(bad, np.float64)
    one = np.ones(len(right), np.int64)
    whole = Counted(np.stack([right, one], axis=1), ratio, one, "pairs")
    names = sorted({str(group) for group in groups if group is not None}, key=_numbers_first)
    parts = [whole.only(np.array([str(group) == name for group in groups])) for name in names]
    of_all, *of_parts = estimate([whole, *parts], bootstrap)
    rows = [
        {
            "group": name,
            "count": part.count,
            "of": part.of,
            "value": value,
            "interval": [interval.low, interval.high] if interval else None,
        }
        for name, part, (value, interval) in zip(names, parts, of_parts, strict=True)
    ]
    metric = "agreement_accuracy"
    scores = {metric: Score(metric, *of_all, whole.count, whole.of)}
    return Evaluation(metric, scores, {"pairs": {"metric": metric, "rows": rows}}, {metric: whole})


class _Predicted(NamedTuple):
    """P = M + N predictions, one after another."""

    nll: Floats  # (P,) -log p
    sentence: NDArray[np.int64]  # (P,) which sentence, from 0
    position: NDArray[np.int64]  # (P,) in its sentence, from 1
    length: NDArray[np.int64]  # (P,) tokens of its sentence
    end: NDArray[np.bool_]  # (P,) which are end marks
    known: NDArray[np.bool_]  # (P,) which are not unknown tokens
    characters: NDArray[np.int64]  # (N,)

    def sums(self, mask: NDArray[np.bool_]) -> Floats:
        """(N, 2): each sentence's nll and number of predictions, of those in `mask`."""
        of, N = self.sentence[mask], len(self.characters)
        return np.stack([np.bincount(of, self.nll[mask], N), np.bincount(of, minlength=N)], axis=1)

    def perplexity(self, mask: NDArray[np.bool_], of: str) -> Counted:
        """Over the predictions in `mask`, which are `of` that kind."""
        counts = self.sums(mask)
        return Counted(counts, _perplexity, counts[:, 1].astype(np.int64), of)


def _perplexity(sums: Floats) -> Floats:
    """exp of first column over second; NaN where it is beyond all numbers."""
    with np.errstate(over="ignore"):
        found = np.exp(ratio(sums))
    return np.where(np.isfinite(found), found, np.nan)


def _flatten(sentences: Sequence[ScoredSentence], separator: str) -> _Predicted:
    for number, (tokens, log_probs, unknown) in enumerate(sentences, start=1):
        if len(log_probs) != len(tokens) + 1 or len(unknown) != len(tokens):
            sizes = f"{len(tokens)} tokens, {len(log_probs)} log-probabilities, {len(unknown)} flags"
            raise ShapeError(
                f"sentence {number}: {sizes}; give a probability for each token and the end mark, a flag for each token"
            )
    lengths = np.array([len(sentence.log_probs) for sentence in sentences], np.int64)
    parts = [np.asarray(sentence.log_probs, np.float64) for sentence in sentences]
    log_probs = np.concatenate([np.zeros(0), *parts])
    owner = np.repeat(np.arange(len(lengths)), lengths)
    position = np.arange(1, len(owner) + 1) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    wrong = np.flatnonzero(~(np.isfinite(log_probs) & (log_probs <= _ROUNDING)))
    if len(wrong):
        first = int(wrong[0])
        where = f"sentence {owner[first] + 1}: log-probability {position[first]}"
        raise DataError(f"{where} is {log_probs[first]:g}, expected a number of at most 0; has training diverged?")
    flags = np.fromiter(chain.from_iterable((*s.unknown, False) for s in sentences), bool, len(owner))
    characters = np.array([len(separator.join(s.tokens)) + 1 for s in sentences], np.int64)
    length = np.repeat(lengths - 1, lengths)
    return _Predicted(-log_probs, owner, position, length, position > length, ~flags, characters)


def _grouped(
    predicted: _Predicted, sentences: Sequence[ScoredSentence], frequencies: Mapping[str, int] | None
) -> dict[str, dict[Group, Counted]]:
    """Perplexity of groups of predictions: name of the table -> group -> what is counted. Empty groups are left out."""
    tokens, every = ~predicted.end, np.ones(len(predicted.end), bool)
    grouped = {
        "by_position": (tables.POSITIONS, predicted.position, tokens, "tokens"),
        "by_length": (LENGTHS, predicted.length, every, _BOTH),
    }
    if frequencies is not None:
        of_form = (frequencies.get(form, 0) for sentence in sentences for form in (*sentence.tokens, ""))
        frequency = np.fromiter(of_form, np.int64, len(every))
        grouped["by_frequency"] = (FREQUENCIES, frequency, tokens, "tokens")
    return {
        name: {
            group: predicted.perplexity(inside & mask, of)
            for group, inside in tagging_tables.groups(bounds, values).items()
            if (inside & mask).any()
        }
        for name, (bounds, values, mask, of) in grouped.items()
    }


def _numbers_first(name: str) -> tuple[bool, float, str]:
    try:
        return False, float(name), name
    except ValueError:
        return True, 0.0, name
