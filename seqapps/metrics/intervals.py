"""Bootstrap intervals over sentences, for one score and for the difference of two on the same sentences.

Efron (1979), "Bootstrap methods: another look at the jackknife"; percentile interval as in Efron and Tibshirani (1993),
chapter 13; paired differences on test sets as in Koehn (2004), "Statistical significance tests for machine translation
evaluation".

A score is a `statistic` of sums of per-sentence counts: accuracy is sum(correct) / sum(tokens). The sentence, not the
token, is what is drawn, since the tokens of one sentence are not independent.

    N sentences are drawn with replacement, S times; sums[s] = Σ_n weight[s, n] counts[n], weight[s] ~ Multinomial(N,
    1/N) interval = the (1 - confidence)/2 and (1 + confidence)/2 quantiles of statistic(sums) over s

What it does not cover: other random seeds of training, other training data, other kinds of text. Sentences are taken as
independent of each other; if a test set consists of few documents or speakers, the true uncertainty is larger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqapps.errors import ShapeError
from seqapps.metrics.score import Interval

__all__ = ["Bootstrap", "Statistic"]

Floats = NDArray[np.floating]
Statistic = Callable[[Floats], Floats]  # sums (S, K) -> one score per row (S,); NaN where it is undefined

_WEIGHTS = 4_000_000  # samples x sentences that are held at a time


@dataclass(frozen=True)
class Bootstrap:
    """Percentile bootstrap: the same `seed` and number of sentences give the same draws, whatever is counted."""

    samples: int = 1000
    confidence: float = 0.95
    seed: int = 1

    def interval(self, counts: NDArray, statistic: Statistic) -> Interval | None:
        """The interval of `statistic` over sentences, whose `counts` are (N, K).

        None where nothing can be said: fewer than two sentences, or a statistic that is undefined in every sample.
        Samples in which it is undefined are left out. An interval of width 0 means that all samples agree, not that
        there is no doubt.
        """
        return self.quantiles(statistic(self.sums(counts))) if len(counts) > 1 else None

    def difference(self, counts_a: NDArray, counts_b: NDArray, statistic: Statistic) -> Interval | None:
        """The interval of statistic(a) - statistic(b), both counted on the same sentences in the same order.

        Raises ShapeError if the counts do not have the same shape.
        """
        if counts_a.shape != counts_b.shape:
            shapes = f"{counts_a.shape} and {counts_b.shape}"
            raise ShapeError(f"paired bootstrap: counts {shapes}; count the same sentences for both")
        if len(counts_a) < 2:
            return None
        sums = self.sums(np.concatenate([counts_a, counts_b], axis=1))
        K = counts_a.shape[1]
        return self.quantiles(statistic(sums[:, :K]) - statistic(sums[:, K:]))

    def sums(self, counts: NDArray) -> Floats:
        """Column sums of `counts` (N, K) over each of the S resamples: (S, K) float64, exact below 2^53."""
        sums = np.zeros((self.samples, counts.shape[1]))
        for block, weights in self._weights(len(counts)):
            sums += weights @ counts[block].astype(np.float64)
        return sums

    def quantiles(self, values: Floats) -> Interval | None:
        """The interval that holds the middle `confidence` of `values`, of those that are defined."""
        defined = values[np.isfinite(values)]
        if not len(defined):
            return None
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(defined, [tail, 1 - tail])
        return Interval(float(low), float(high), self.confidence)

    def _weights(self, N: int) -> Iterator[tuple[slice, Floats]]:
        """How often each sentence is drawn, (S, n) for one block of n sentences after another.

        Blocks bound the memory. First how many of the N draws fall into each block, then which sentences of the block
        they are: together the same multinomial distribution as N draws from all sentences.
        """
        S = self.samples
        generator = np.random.default_rng(self.seed)
        width = max(1, _WEIGHTS // S)
        blocks = [slice(start, min(start + width, N)) for start in range(0, N, width)]
        shares = np.array([block.stop - block.start for block in blocks]) / N
        draws = generator.multinomial(N, shares, size=S)  # (S, blocks)
        for block, per_sample in zip(blocks, draws.T, strict=True):
            n = block.stop - block.start
            drawn = generator.integers(0, n, size=per_sample.sum())
            cells = np.repeat(np.arange(S) * n, per_sample) + drawn
            yield block, np.bincount(cells, minlength=S * n).reshape(S, n).astype(np.float64)
