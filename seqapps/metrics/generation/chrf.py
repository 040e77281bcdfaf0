"""chrF from counts of single sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics import CHRF

from seqapps.metrics.evaluation import Counted
from seqapps.metrics.generation.sacrebleu_scores import signature
from seqapps.metrics.generation.written import WrittenExample
from seqapps.metrics.intervals import Floats

__all__ = ["chrf"]

_ORDER = 6
_BETA = 2


def chrf(examples: Sequence[WrittenExample]) -> tuple[Counted, str]:
    """chrF2 of the texts, and sacreBLEU's signature of it (Popović 2015, "chrF: character n-gram F-score").

        F = (1 + β²) P R / (β² P + R),   β = 2,   times 100

    P and R are means over n = 1..6 of the precision and recall of character n-grams, white space left out, over the n
    for which there are any on both sides. Of several references the one with the highest F counts. Equal to sacreBLEU's
    score of the corpus, whose counts of single sentences are not public.

    Counts (N, 18): n-grams written, in the reference, in both, for each n.
    """
    counts = np.zeros((len(examples), 3 * _ORDER), np.int64)
    for row, example in enumerate(examples):
        written = _ngrams(example.hypothesis)
        matches = np.array([_matches(written, _ngrams(reference)) for reference in example.references])
        counts[row] = matches[np.argmax(np.nan_to_num(_chrf_of(matches.astype(np.float64))))]
    return Counted(counts, _chrf_of, np.ones(len(counts), np.int64), "sentences"), signature(CHRF(), examples)


def _ngrams(text: str) -> list[Counter[str]]:
    """For each n the n-grams of a text without its white space."""
    letters = "".join(text.split())
    return [Counter(letters[i : i + n] for i in range(len(letters) - n + 1)) for n in range(1, _ORDER + 1)]


def _matches(written: list[Counter[str]], reference: list[Counter[str]]) -> NDArray[np.int64]:
    """(18,) What is written counts only for n of which the reference has n-grams."""
    rows = [
        (w.total() if r else 0, r.total(), sum(min(count, r[ngram]) for ngram, count in w.items() if ngram in r))
        for w, r in zip(written, reference, strict=True)
    ]
    return np.array(rows, np.int64).ravel()


def _chrf_of(sums: Floats) -> Floats:
    """0 to 100, of sums (S, 18); undefined where the references are empty."""
    precision, recall, orders = (np.zeros(len(sums)) for _ in range(3))
    for written, reference, both in sums.reshape(-1, _ORDER, 3).transpose(1, 2, 0):
        used = (written > 0) & (reference > 0)
        precision += np.divide(both, written, out=np.zeros_like(both), where=used)
        recall += np.divide(both, reference, out=np.zeros_like(both), where=used)
        orders += used
    P, R = (np.divide(part, orders, out=np.zeros_like(part), where=orders > 0) for part in (precision, recall))
    factor = _BETA**2
    score = 100 * np.divide((1 + factor) * P * R, factor * P + R, out=np.zeros_like(P), where=P + R > 0)
    return np.where(sums.any(axis=1), score, np.nan)
