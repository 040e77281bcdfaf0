"""Evaluation of translations, and of whatever else writes one text for another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seqapps.metrics import tagging_tables
from seqapps.metrics.evaluation import Counted, Evaluation, estimate
from seqapps.metrics.generation import tables
from seqapps.metrics.generation.character_errors import character_error_rate
from seqapps.metrics.generation.chrf import chrf
from seqapps.metrics.generation.sacrebleu_scores import bleu, ter
from seqapps.metrics.generation.written import (
    WrittenExample,
    check_examples,
    copied,
    cut,
    exact_match,
    length_ratio,
    perplexity,
)
from seqapps.metrics.intervals import Bootstrap
from seqapps.metrics.score import Score

__all__ = ["evaluate_translation"]

_OF = "sentences"


def evaluate_translation(
    examples: Sequence[WrittenExample],
    *,
    bootstrap: Bootstrap | None = None,
    tokenize: str = "13a",
    characters: bool = False,
    headline: str = "bleu",
) -> Evaluation:
    """Compare texts that were written with their references.

    Scores (METRICS says what they are): bleu, chrf and ter of the texts as sacreBLEU computes them; exact_match and
    length_ratio of their tokens; character_error_rate of the texts; perplexity, if every example has nll and count;
    copied and cut, if every one tells.

    Tables: signatures, {score: sacreBLEU's signature}; by_length, BLEU by length of the source (see `tagging_tables`);
    examples, by chrF; lengths; words; attention (see `generation.tables`).

    Args:
        tokenize: how BLEU takes texts apart, as sacreBLEU names it: 13a, intl, zh, char, none, or ja-mecab and ko-mecab
            where they are installed. characters: TER counts edits of characters in Chinese and Japanese, which it would
            otherwise take for long words. headline: the score that sums the task up.
    Raises:
        UseError: another tokenizer, or one that would download a model.
        ShapeError: an example without references, or with unequally many as text and as tokens.
    """
    check_examples(examples)
    counted: dict[str, Counted] = {}
    signatures: dict[str, str] = {}
    counted["bleu"], signatures["bleu"] = bleu(examples, tokenize)
    counted["chrf"], signatures["chrf"] = chrf(examples)
    counted["ter"], signatures["ter"] = ter(examples, characters)
    counted["exact_match"] = exact_match(examples, _OF)
    counted["length_ratio"] = length_ratio(examples, _OF)
    counted["character_error_rate"] = character_error_rate(examples)
    optional = {
        "copied": copied(examples, "tokens"),
        "cut": cut(examples, _OF),
        "perplexity": perplexity(examples),
    }
    counted.update({name: part for name, part in optional.items() if part is not None})
    lengths = np.array([len(example.source) for example in examples], np.int64)
    groups = tagging_tables.groups(tagging_tables.LENGTHS, lengths)
    by_length = {group: counted["bleu"].only(mask) for group, mask in groups.items()}
    estimates = iter(estimate([*counted.values(), *by_length.values()], bootstrap))
    scores = {name: Score(name, *next(estimates), part.count, part.of) for name, part in counted.items()}
    written: dict[str, Any] = {
        "signatures": signatures,
        "by_length": tagging_tables.by_group("bleu", by_length, estimates),
        "examples": tables.examples_by("chrf", examples, _each(counted["chrf"])),
        "lengths": tables.lengths(examples),
        "words": tables.words(examples),
        "attention": tables.attention(examples),
    }
    return Evaluation(headline, scores, written, counted)


def _each(counted: Counted) -> np.ndarray:
    """The score of each example alone."""
    return counted.statistic(counted.counts.astype(np.float64))
