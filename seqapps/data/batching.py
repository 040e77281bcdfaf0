"""Which examples make up a batch: a pure function of seed and epoch, so that a run can be resumed anywhere."""

from __future__ import annotations

import numpy as np

from seqapps.recipe.recipe import Batching

__all__ = ["BatchSampler", "sorted_batches"]


class BatchSampler:
    """Batches of examples of similar length, in an order drawn from `(seed, epoch)` alone.

    The examples are shuffled and cut into pools; each pool is sorted by length and cut into batches; the batches are
    shuffled. So a batch wastes little on padding, and its make-up still changes from epoch to epoch.

    Args:
        lengths: (N,) length of every example.
        batching: budget in positions (padding included) or in examples, and batches per pool.
        seed: the run's.
    """

    def __init__(self, lengths: np.ndarray, batching: Batching, seed: int):
        self.lengths, self.batching, self.seed = np.asarray(lengths), batching, seed

    def epoch(self, number: int) -> list[np.ndarray]:
        """The batches of an epoch, each an array of example numbers, longest example first."""
        random = np.random.default_rng([self.seed, number])
        order = random.permutation(len(self.lengths))
        batches: list[np.ndarray] = []
        for pool in self._pools(order):
            pool = pool[np.argsort(-self.lengths[pool], kind="stable")]
            batches += _cut(pool, self.lengths, self.batching)
        return [batches[i] for i in random.permutation(len(batches))]

    def _pools(self, order: np.ndarray) -> list[np.ndarray]:
        if self.batching.sentences is not None:
            size = self.batching.sentences * self.batching.pool
            return [order[start : start + size] for start in range(0, len(order), size)]
        assert self.batching.tokens is not None
        filled = np.cumsum(self.lengths[order]) // (self.batching.tokens * self.batching.pool)
        return np.split(order, np.flatnonzero(np.diff(filled)) + 1) if len(order) else []


def sorted_batches(lengths: np.ndarray, batching: Batching) -> list[np.ndarray]:
    """Batches for evaluation: all examples by falling length, no randomness, least padding."""
    return _cut(np.argsort(-np.asarray(lengths), kind="stable"), np.asarray(lengths), batching)


def _cut(order: np.ndarray, lengths: np.ndarray, batching: Batching) -> list[np.ndarray]:
    """Cut examples that are sorted by falling length; an example over the budget is a batch of its own."""
    if batching.sentences is not None:
        return [order[start : start + batching.sentences] for start in range(0, len(order), batching.sentences)]
    tokens = batching.tokens or (batching.streams or 1) * batching.window
    batches, start = [], 0
    while start < len(order):
        rows = max(1, tokens // max(1, int(lengths[order[start]])))
        batches.append(order[start : start + rows])
        start += rows
    return batches
