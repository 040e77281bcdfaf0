import itertools
import math

import numpy as np
import pytest

from seqapps.errors import ShapeError
from seqapps.metrics.evaluation import ratio
from seqapps.metrics.intervals import Bootstrap


def binomial(generator, N, p=0.9):
    tokens = generator.integers(1, 20, N)
    return np.stack([generator.binomial(tokens, p), tokens], axis=1)


def test_the_interval_has_the_width_that_theory_gives():
    # 4000 sentences of one token each: the standard error of p = 0.8 is sqrt(0.8 * 0.2 / 4000).
    counts = np.ones((4000, 2), dtype=int)
    counts[:800, 0] = 0
    low, high, confidence = Bootstrap(samples=4000).interval(counts, ratio)
    half = 1.96 * math.sqrt(0.8 * 0.2 / 4000)
    assert confidence == 0.95
    assert (low + high) / 2 == pytest.approx(0.8, abs=0.05 * half)
    assert (high - low) / 2 == pytest.approx(half, rel=0.06)


def test_the_truth_is_inside_about_as_often_as_the_confidence_says():
    generator = np.random.default_rng(0)
    intervals = [Bootstrap(samples=400, seed=n).interval(binomial(generator, 200), ratio) for n in range(400)]
    inside = np.mean([interval.low <= 0.9 <= interval.high for interval in intervals])
    assert 0.92 <= inside <= 0.97  # two standard errors around 0.95 are 0.928 .. 0.972; percentile intervals run low


def test_sentences_are_drawn_and_not_tokens():
    # Right and wrong sentences of 10 tokens: as uncertain as 100 single tokens, not as 1000.
    sentences = np.array([[10, 10], [0, 10]] * 50)
    tokens = np.array([[1, 1], [0, 1]] * 50)
    assert Bootstrap().interval(sentences, ratio) == Bootstrap().interval(tokens, ratio)


def test_resampled_sums_have_the_distribution_of_exhaustive_enumeration():
    counts = np.array([[1], [10], [100]])
    enumerated = [sum(draw) for draw in itertools.product([1, 10, 100], repeat=3)]
    sums = Bootstrap(samples=100_000).sums(counts)[:, 0]
    for value in set(enumerated):
        assert np.mean(sums == value) == pytest.approx(enumerated.count(value) / 27, abs=0.005)


def test_drawing_in_blocks_gives_the_same_distribution(monkeypatch):
    monkeypatch.setattr("seqapps.metrics.intervals._WEIGHTS", 200_000)  # blocks of 2 and 1 sentences
    test_resampled_sums_have_the_distribution_of_exhaustive_enumeration()


def test_every_resample_draws_as_many_sentences_as_there_are(monkeypatch):
    monkeypatch.setattr("seqapps.metrics.intervals._WEIGHTS", 7 * 50)
    assert (Bootstrap(samples=50).sums(np.ones((101, 1))) == 101).all()


def test_a_paired_difference_is_narrower_than_unpaired_intervals_suggest():
    generator = np.random.default_rng(1)
    a = binomial(generator, 500)
    b = a.copy()
    b[:50, 0] = np.maximum(b[:50, 0] - 1, 0)  # b makes the same errors and at most 50 more
    low, high, _ = Bootstrap().difference(a, b, ratio)
    ia, ib = Bootstrap().interval(a, ratio), Bootstrap().interval(b, ratio)
    assert 0 < low < high
    assert ia.low < ib.high  # which the two intervals alone would not show
    same = Bootstrap().difference(a, a, ratio)
    assert (same.low, same.high) == (0, 0)


def test_a_difference_changes_its_sign_with_the_order():
    generator = np.random.default_rng(2)
    a, b = binomial(generator, 100), binomial(generator, 100)
    there, back = Bootstrap().difference(a, b, ratio), Bootstrap().difference(b, a, ratio)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


def test_a_difference_of_other_sentences_is_refused():
    with pytest.raises(ShapeError, match=r"\(2, 2\) and \(3, 2\)"):
        Bootstrap().difference(np.ones((2, 2)), np.ones((3, 2)), ratio)


@pytest.mark.parametrize("N", [0, 1])
def test_fewer_than_two_sentences_have_no_interval(N):
    counts = np.ones((N, 2), dtype=int)
    assert Bootstrap().interval(counts, ratio) is None
    assert Bootstrap().difference(counts, counts, ratio) is None


def test_a_constant_has_an_interval_of_width_zero():
    assert Bootstrap().interval(np.array([[3, 4]] * 10), ratio)[:2] == (0.75, 0.75)


def test_samples_in_which_the_score_is_undefined_are_left_out():
    counts = np.array([[1, 1], [0, 0], [0, 0]])  # 8 of 27 resamples hold no token
    assert Bootstrap().interval(counts, ratio)[:2] == (1.0, 1.0)
    assert Bootstrap().interval(np.zeros((3, 2)), ratio) is None


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    counts = binomial(np.random.default_rng(3), 100)
    assert Bootstrap(seed=7).interval(counts, ratio) == Bootstrap(seed=7).interval(counts, ratio)
    assert Bootstrap(seed=7).interval(counts, ratio) != Bootstrap(seed=8).interval(counts, ratio)


def test_higher_confidence_is_wider():
    counts = binomial(np.random.default_rng(4), 100)
    narrow = Bootstrap(confidence=0.8).interval(counts, ratio)
    wide = Bootstrap(confidence=0.99).interval(counts, ratio)
    assert wide.low < narrow.low < narrow.high < wide.high
