"""Evaluation of captions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from seqapps.metrics.evaluation import Counted, Evaluation, estimate, ratio
from seqapps.metrics.generation import tables
from seqapps.metrics.generation.caption_bleu import caption_bleu
from seqapps.metrics.generation.cider import cider_d
from seqapps.metrics.generation.rouge import rouge_l
from seqapps.metrics.generation.written import (
    WrittenExample,
    check_examples,
    cut,
    exact_match,
    length_ratio,
    mean,
    perplexity,
)
from seqapps.metrics.intervals import Bootstrap
from seqapps.metrics.score import Score

__all__ = ["evaluate_captions"]

_OF = "captions"


def evaluate_captions(
    examples: Sequence[WrittenExample],
    *,
    training_captions: Iterable[Sequence[str]],
    bootstrap: Bootstrap | None = None,
) -> Evaluation:
    """Compare captions that were written with those of people, over tokens as they are.

    Scores (METRICS says what they are): cider_d, the headline; bleu_1 to bleu_4; rouge_l; length_ratio; exact_match;
    novel; vocabulary_used, which has no interval, since captions drawn anew with replacement hold fewer words;
    cut, if every example tells; perplexity, if every one has nll and count.

    Tables: examples, by CIDEr-D; lengths; words; attention (see `generation.tables`).

    Args:
        training_captions: the tokens of each caption of the training split.
    Raises:
        ShapeError: an example without references, or with unequally many as text and as tokens.
    """
    check_examples(examples)
    seen = {tuple(caption) for caption in training_captions}
    novel = np.array([tuple(example.tokens) not in seen for example in examples], np.int64)
    counted: dict[str, Counted] = {
        "cider_d": cider_d(examples),
        **caption_bleu(examples),
        "rouge_l": rouge_l(examples),
        "length_ratio": length_ratio(examples, _OF),
        "exact_match": exact_match(examples, _OF),
        "novel": mean(novel, _OF),
    }
    optional = {"cut": cut(examples, _OF), "perplexity": perplexity(examples)}
    counted.update({name: part for name, part in optional.items() if part is not None})
    found = zip(counted.items(), estimate(list(counted.values()), bootstrap), strict=True)
    scores = {name: Score(name, *one, part.count, part.of) for (name, part), one in found}
    used = {token for example in examples for token in example.tokens}
    scores["vocabulary_used"] = Score("vocabulary_used", float(len(used)), None, len(examples), _OF)
    written: dict[str, Any] = {
        "examples": tables.examples_by("cider_d", examples, ratio(counted["cider_d"].counts)),
        "lengths": tables.lengths(examples),
        "words": tables.words(examples),
        "attention": tables.attention(examples),
    }
    return Evaluation("cider_d", scores, written, counted)
