"""Sampling against the distribution, and what is cut off from it."""

import itertools
import math

import pytest
import torch

from seqapps.errors import UseError
from seqapps.modules.search import SearchOptions, Step, search
from seqapps.modules.search.sampling import kept_probabilities

PROBABILITIES = [0.4, 0.1, 0.3, 0.2]
EOS = 3


class Markov:
    """The next token depends on the last one: the distribution, turned by it. `eos` is token 3."""

    def step(self, tokens, state, memory):
        rows = [PROBABILITIES[t:] + PROBABILITIES[:t] for t in range(4)]
        return Step(torch.tensor(rows, dtype=torch.float64).log()[tokens], state)


def sample(options, seeds, **arguments):
    first = torch.zeros(len(seeds), dtype=torch.int64)
    return search(Markov(), None, None, first, options, eos=EOS, seeds=seeds, **arguments)


def test_outcomes_come_as_often_as_they_are_probable():
    n = 4000
    (found,) = sample(SearchOptions(method="sampling", n_best=n, max_length=2), [0])
    total = 0.0
    for outcome in {(h.tokens, h.ended): h for h in found}.values():
        share = sum((h.tokens, h.ended) == (outcome.tokens, outcome.ended) for h in found) / n
        p = math.exp(outcome.log_prob)
        assert abs(share - p) < 4 * math.sqrt(p * (1 - p) / n)
        total += p
    assert total == pytest.approx(1.0)


def test_a_log_probability_is_that_of_the_path():
    (found,) = sample(SearchOptions(method="sampling", n_best=20, max_length=5, temperature=2.0, top_k=3), [1])
    for h in found:
        words = (0, *h.tokens, EOS) if h.ended else (0, *h.tokens)
        p = [(PROBABILITIES[a:] + PROBABILITIES[:a])[b] for a, b in itertools.pairwise(words)]
        assert h.log_prob == h.score == pytest.approx(sum(map(math.log, p)))
        assert h.length == len(p)


def test_a_seed_gives_the_same_samples_in_any_batch_and_more_samples_begin_with_the_fewer():
    options = SearchOptions(method="sampling", n_best=5, max_length=6)
    together = sample(options, [5, 6, 7])
    assert sample(options, [6]) == [together[1]]
    assert sample(SearchOptions(method="sampling", n_best=2, max_length=6), [7]) == [together[2][:2]]
    assert together[0] != together[1]


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_is_a_power_of_the_probabilities(temperature):
    kept = kept_probabilities(torch.tensor(PROBABILITIES).log(), temperature, None, None)
    powers = [p ** (1 / temperature) for p in PROBABILITIES]
    assert kept.tolist() == pytest.approx([p / sum(powers) for p in powers], abs=1e-6)


@pytest.mark.parametrize(
    ("top_k", "top_p", "kept"),
    [
        (1, None, {0}),
        (3, None, {0, 2, 3}),
        (9, None, {0, 1, 2, 3}),
        (None, 0.39, {0}),
        (None, 0.41, {0, 2}),
        (None, 0.69, {0, 2}),
        (None, 0.71, {0, 2, 3}),
        (None, 1.0, {0, 1, 2, 3}),
        (2, 0.56, {0}),  # 0.4 / 0.7 = 0.571 of what top-k left
        (2, 0.58, {0, 2}),
    ],
)
def test_top_k_and_top_p_keep_exactly_these(top_k, top_p, kept):
    log_probs = torch.tensor([PROBABILITIES, PROBABILITIES], dtype=torch.float64).log()
    for row in kept_probabilities(log_probs, 1.0, top_k, top_p).tolist():
        total = sum(PROBABILITIES[v] for v in kept)
        assert row == pytest.approx([PROBABILITIES[v] / total if v in kept else 0 for v in range(4)])


def test_equal_probabilities_are_cut_at_exactly_k():
    assert kept_probabilities(torch.zeros(5), 1.0, 2, None).tolist() == [0.5, 0.5, 0, 0, 0]


def test_forbidden_tokens_are_never_drawn_and_a_prefix_always():
    options = SearchOptions(method="sampling", n_best=200, max_length=6, min_length=4, no_repeat=2)
    (found,) = sample(options, [3], prefixes=[(2, 1)], banned=[(0, 0), (1, 2)])
    assert len(found) == 200
    for h in found:
        grams = list(itertools.pairwise(h.tokens))
        assert h.tokens[:2] == (2, 1)
        assert len(set(grams)) == len(grams)
        assert not {(0, 0), (1, 2)} & set(grams)
        assert h.length >= 4


def test_greedy_takes_the_most_probable_token():
    (((tokens, *_),),) = search(
        Markov(), None, None, torch.tensor([0]), SearchOptions(method="greedy", max_length=3), eos=EOS
    )
    assert tokens == (0, 0, 0)


def test_sampling_needs_a_seed_for_each_sentence():
    options = SearchOptions(method="sampling")
    with pytest.raises(UseError, match="2 seeds for 1 sentences"):
        search(Markov(), None, None, torch.tensor([0]), options, eos=EOS, seeds=[1, 2])
    with pytest.raises(UseError, match="seeds are for sampling, one a sentence, and method is sampling"):
        search(Markov(), None, None, torch.tensor([0]), options, eos=EOS)
