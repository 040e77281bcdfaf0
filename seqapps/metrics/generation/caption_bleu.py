"""BLEU-1 to BLEU-4 of captions, over their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce

import numpy as np
from sacrebleu.metrics import BLEU

from seqapps.metrics.evaluation import Counted
from seqapps.metrics.generation.ngrams import ngrams
from seqapps.metrics.generation.written import WrittenExample
from seqapps.metrics.intervals import Floats

__all__ = ["caption_bleu"]

_ORDER = 4


def caption_bleu(examples: Sequence[WrittenExample]) -> dict[str, Counted]:
    """Corpus BLEU with n-grams up to 1, 2, 3 and 4, without smoothing, 0 to 100 (Papineni et al. 2002).

    Of the references the one closest in length counts for the brevity penalty, of equally close ones the shorter, and
    an n-gram is right as often as the reference has it that has it most often: as in COCO's evaluation, but for the
    constants of 1e-9 that it adds to divisors.

    Counts (N, 10): tokens, closest reference length, right 1- to 4-grams, 1- to 4-grams.
    """
    counts = np.array([_counts(example) for example in examples], np.int64).reshape(-1, 2 + 2 * _ORDER)
    one = np.ones(len(counts), np.int64)
    return {
        f"bleu_{order}": Counted(counts, partial(_bleu_of, order=order), one, "captions")
        for order in range(1, _ORDER + 1)
    }


def _counts(example: WrittenExample) -> list[int]:
    length = len(example.tokens)
    sizes = (len(one) for one in example.reference_tokens)
    closest = min(sizes, key=lambda size: (abs(size - length), size))
    right, total = [], []
    for n in range(1, _ORDER + 1):
        written = ngrams(example.tokens, n)
        allowed = reduce(lambda most, one: most | one, (ngrams(one, n) for one in example.reference_tokens))
        right.append((written & allowed).total())
        total.append(written.total())
    return [length, closest, *right, *total]


def _bleu_of(sums: Floats, order: int) -> Floats:
    scores = np.full(len(sums), np.nan)
    for row in np.flatnonzero(sums[:, :2].any(axis=1)):
        written, closest, *counts = sums[row].tolist()
        right, total = counts[:order], counts[_ORDER : _ORDER + order]
        found = BLEU.compute_bleu(right, total, int(written), int(closest), "none", max_ngram_order=order)
        scores[row] = found.score
    return scores
