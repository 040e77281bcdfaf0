import itertools
import math
import time

import numpy as np
import pytest

from seqapps.baselines import HiddenMarkovModel
from seqapps.baselines.hidden_markov_model import Emission, Transitions, viterbi
from seqapps.errors import DataError


def log_probability(path, emissions, transitions):
    """The definition, one factor after another."""
    total, first, second = 0.0, transitions.boundary, transitions.boundary
    for tag, emission in zip(path, emissions, strict=True):
        total += emission.log_probabilities[list(emission.tags).index(tag)]
        total += transitions[np.array(first), np.array(second), np.array(tag)]
        first, second = second, tag
    return total + transitions[np.array(first), np.array(second), np.array(transitions.boundary)]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("length", [1, 2, 3, 6])
def test_viterbi_finds_what_enumeration_finds(seed, length):
    generator = np.random.default_rng(seed)
    K = 4
    transitions = Transitions(K, [generator.integers(0, K, size=n).tolist() for n in generator.integers(1, 8, size=30)])
    emissions = []
    for _ in range(length):
        tags = np.sort(generator.choice(K, size=generator.integers(1, K + 1), replace=False))
        emissions.append(Emission(tags, np.log(generator.random(len(tags)))))
    paths = itertools.product(*(emission.tags.tolist() for emission in emissions))
    best = max(log_probability(path, emissions, transitions) for path in paths)
    assert log_probability(viterbi(emissions, transitions), emissions, transitions) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("entries", [2**24, 40])
def test_transition_probabilities_sum_to_one_in_every_context_seen(entries, monkeypatch):
    monkeypatch.setattr("seqapps.baselines.hidden_markov_model._ENTRIES", entries)
    sequences = [[0, 1, 2, 0, 1], [2], [0, 1, 1, 2]]
    transitions = Transitions(3, sequences)
    end = transitions.boundary
    contexts = {pair for sequence in sequences for pair in itertools.pairwise([end, end, *sequence])}
    sums = [np.exp(transitions[np.array(a), np.array(b), np.arange(4)]).sum() for a, b in contexts]
    # With room for 40 entries = 10 rows of 4, of which 4 are the back-off rows, 6 of 7 contexts keep their trigrams.
    complete = [total for total in sums if abs(total - 1) < 1e-12]
    assert len(contexts) == 7
    assert len(complete) == (7 if entries > 40 else 6)


def test_interpolation_weights_and_probabilities_equal_a_worked_example():
    # Tag sequence a b, twice; # is the boundary. Trigrams and counts: ##a 2, #ab 2, ab# 2; n = 6.
    # With one occurrence taken out: trigram (2-1)/(2-1) = 1, bigram (2-1)/(2-1) = 1, unigram (2-1)/(6-1) = 0.2.
    # Ties go to the lower order, so all 6 votes are for bigrams; with one vote in advance each: λ = 1/9, 7/9, 1/9.
    transitions = Transitions(2, [[0, 1], [0, 1]])
    p = math.exp(transitions[np.array(0), np.array(1), np.array(2)])  # P(# | a, b) = 1/9 * 2/6 + 7/9 * 2/2 + 1/9 * 2/2
    assert p == pytest.approx(1 / 27 + 7 / 9 + 1 / 9)
    p = math.exp(transitions[np.array(1), np.array(1), np.array(2)])  # (b, b) was never seen: no trigram term
    assert p == pytest.approx(1 / 27 + 7 / 9)


def test_context_decides_between_the_tags_of_an_ambiguous_word():
    training = [(["the", "can"], ["DT", "NN"]), (["they", "can", "swim"], ["PRP", "MD", "VB"])] * 3
    model = HiddenMarkovModel().fit(training)
    assert model.predict(["the", "can"]) == ["DT", "NN"]
    assert model.predict(["they", "can", "swim"]) == ["PRP", "MD", "VB"]


def test_the_ending_decides_the_tag_of_an_unknown_word():
    words = ["walk", "talk", "jump", "play"]
    training = [([word + "ing", word + "ed"], ["VBG", "VBD"]) for word in words] + [
        ([word + "ed", word + "ing"], ["VBD", "VBG"]) for word in words
    ]
    model = HiddenMarkovModel().fit(training)
    assert model.predict(["looking"]) == ["VBG"]
    assert model.predict(["looked"]) == ["VBD"]


def test_suffix_probabilities_equal_a_worked_example():
    # Tags: A 3 times, B once, so P(A) = 3/4, P(B) = 1/4, θ = standard deviation = sqrt(2 (1/4)²) = 0.35355.
    model = HiddenMarkovModel().fit([(["xa", "ya", "za"], ["A", "A", "A"]), (["b"], ["B"])])
    theta = math.sqrt(2 * 0.25**2)
    empty = 0.75  # the rare words are all words: (3/4 + θ 3/4) / (1 + θ)
    suffix_a = (1 + theta * empty) / (1 + theta)  # every word that ends in -a is an A
    emission = model.emission("qa")  # no longer suffix was seen
    assert emission.log_probabilities == pytest.approx([math.log(suffix_a / 0.75), math.log((1 - suffix_a) / 0.25)])


def test_a_word_seen_in_training_has_only_the_tags_it_was_seen_with():
    model = HiddenMarkovModel().fit([(["a", "b", "a"], ["X", "Y", "Z"])])
    assert [model.tags[tag] for tag in model.emission("a").tags] == ["X", "Z"]


def test_one_token_no_token_and_a_very_long_sentence():
    model = HiddenMarkovModel().fit([(["a"], ["X"]), (["b", "a"], ["Y", "X"])])
    assert model.predict([]) == []
    assert model.predict(["b"]) == ["Y"]
    assert model.predict(["b", "a"] * 20_000) == ["Y", "X"] * 20_000


def test_a_sentence_of_unknown_words_with_a_large_tag_set_takes_bounded_time():
    training = [
        ([f"w{n}" for n in range(i, i + 10)], [f"T{n % 400}" for n in range(i, i + 10)]) for i in range(0, 4000, 10)
    ]
    model = HiddenMarkovModel().fit(training)
    start = time.perf_counter()
    assert len(model.predict(["unknown"] * 100)) == 100
    assert time.perf_counter() - start < 20  # 0.3 s when written; unbounded candidates take minutes


def test_empty_training_is_refused():
    with pytest.raises(DataError, match="no tagged token"):
        HiddenMarkovModel().fit([([], [])])


def test_tagging_before_fitting_is_refused():
    with pytest.raises(DataError, match="call fit first"):
        HiddenMarkovModel().predict(["a"])
