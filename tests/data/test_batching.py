"""Which examples make up a batch."""

import numpy as np
import pytest

from seqapps.data.batching import BatchSampler, sorted_batches
from seqapps.recipe.recipe import Batching

LENGTHS = np.random.default_rng(0).integers(1, 60, 1000)


@pytest.mark.parametrize("batching", [Batching(tokens=500, pool=10), Batching(sentences=32, tokens=None, pool=3)])
def test_every_example_is_in_one_batch_of_an_epoch(batching):
    batches = BatchSampler(LENGTHS, batching, seed=1).epoch(0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(1000))


def test_a_batch_keeps_to_its_budget_padding_included():
    for batch in BatchSampler(LENGTHS, Batching(tokens=500, pool=10), seed=1).epoch(3):
        assert len(batch) * LENGTHS[batch].max() <= 500


def test_an_example_over_the_budget_is_a_batch_of_its_own():
    batches = BatchSampler(np.array([3, 900, 2]), Batching(tokens=10), seed=1).epoch(0)
    assert [1] in [batch.tolist() for batch in batches]
    assert sorted(np.concatenate(batches).tolist()) == [0, 1, 2]


def test_an_epoch_depends_on_seed_and_number_alone():
    batching = Batching(tokens=500, pool=10)
    sampler = BatchSampler(LENGTHS, batching, seed=1)
    sampler.epoch(0)
    again = BatchSampler(LENGTHS, batching, seed=1)
    for a, b in zip(sampler.epoch(5), again.epoch(5), strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(sampler.epoch(5)[0], sampler.epoch(6)[0])
    assert not np.array_equal(sampler.epoch(5)[0], BatchSampler(LENGTHS, batching, seed=2).epoch(5)[0])


def test_pools_waste_little_on_padding():
    def padded(pool):
        batches = BatchSampler(LENGTHS, Batching(tokens=500, pool=pool), seed=1).epoch(0)
        return sum(len(b) * LENGTHS[b].max() for b in batches) / LENGTHS.sum()

    assert padded(50) < 1.1 < padded(1)


def test_evaluation_batches_go_by_falling_length():
    batches = sorted_batches(LENGTHS, Batching(tokens=500))
    order = np.concatenate(batches)
    assert (np.diff(LENGTHS[order]) <= 0).all()
    assert sorted(order.tolist()) == list(range(1000))
