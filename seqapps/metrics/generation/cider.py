"""CIDEr-D: how much a caption says what people agree to say of an image."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from seqapps.metrics.evaluation import Counted
from seqapps.metrics.generation.ngrams import ngrams
from seqapps.metrics.generation.written import WrittenExample, mean

__all__ = ["cider_d"]

_ORDER = 4
_SIGMA = 6.0

Weights = dict[tuple[str, ...], float]


class _Vector(NamedTuple):
    """Weights of the n-grams of a caption for one n, and their Euclidean norm."""

    weights: Weights
    norm: float


def cider_d(examples: Sequence[WrittenExample]) -> Counted:
    """CIDEr-D of each caption c, from 0 to 10, and its mean (Vedantam et al. 2015, equation 8, arXiv:1411.5726).

        10/m Σ_j exp(-(l(c) - l(s_j))² / 2σ²) · mean over n = 1..4 of  min(g(c), g(s_j)) · g(s_j) / |g(c)| |g(s_j)|

    over the m references s_j of the image; l is the length in tokens, σ is 6, and g the vector of the n-grams of a
    caption, each count times log(N / images of the N whose references have the n-gram, 1 where none has it). The
    minimum is taken n-gram by n-gram, so that repeating a word does not pay.

    The score is undefined unless there are two images, since every weight is log 1 then. Document frequencies are those
    of all images; a bootstrap draws scores of captions and does not count them anew.

    Deviations from the paper: tokens are not stemmed, and counts are not divided by the length of the caption, as in
    the reference implementation; the norms divide that out except from the minimum.
    """
    frequency: Counter[tuple[str, ...]] = Counter()
    for example in examples:
        frequency.update({ngram for one in example.reference_tokens for n in _orders() for ngram in ngrams(one, n)})
    if len(examples) < 2:
        return mean(np.full(len(examples), np.nan), "captions")
    weight = {ngram: math.log(len(examples) / images) for ngram, images in frequency.items()}
    unseen = math.log(len(examples))
    return mean(np.array([_score(example, weight, unseen) for example in examples]), "captions")


def _score(example: WrittenExample, weight: Mapping[tuple[str, ...], float], unseen: float) -> float:
    written = _vectors(example.tokens, weight, unseen)
    total = 0.0
    for reference in example.reference_tokens:
        difference = len(example.tokens) - len(reference)
        penalty = math.exp(-(difference**2) / (2 * _SIGMA**2))
        total += penalty * sum(map(_similarity, written, _vectors(reference, weight, unseen)))
    return 10 * total / (_ORDER * len(example.reference_tokens))


def _vectors(tokens: Sequence[str], weight: Mapping[tuple[str, ...], float], unseen: float) -> list[_Vector]:
    vectors = []
    for n in _orders():
        weights = {ngram: count * weight.get(ngram, unseen) for ngram, count in ngrams(tokens, n).items()}
        vectors.append(_Vector(weights, math.hypot(*weights.values())))
    return vectors


def _similarity(written: _Vector, reference: _Vector) -> float:
    norm = written.norm * reference.norm
    if not norm:
        return 0.0
    shared = written.weights.keys() & reference.weights.keys()
    return sum(min(written.weights[g], reference.weights[g]) * reference.weights[g] for g in shared) / norm


def _orders() -> range:
    return range(1, _ORDER + 1)
