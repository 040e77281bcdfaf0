import random
from collections import Counter

import numpy as np
import pytest

from seqapps.baselines import KneserNey
from seqapps.baselines.kneser_ney import discounts
from seqapps.errors import DataError, UseError

BEGIN, END = "<bos>", "<eos>"
REGIMES = ["sentence", "stream"]


class Textbook:
    """The equations of Chen and Goodman, one n-gram at a time."""

    def __init__(self, order, symbols, regime, sentences):
        self.symbols, self.regime = symbols, regime
        texts = self.texts(sentences)
        occurrences = {n: Counter() for n in range(1, order + 1)}
        before = {n: {} for n in range(1, order + 1)}  # n-gram -> what stands before it
        for t, text in enumerate(texts):
            for n in range(1, order + 1):
                for end in range(1, len(text)):  # the mark at 0 is not predicted
                    start = end - n + 1
                    if start >= 0:
                        gram = tuple(text[start : end + 1])
                        occurrences[n][gram] += 1
                        neighbour = text[start - 1] if start else ("nothing", t)
                        before[n].setdefault(gram, set()).add(neighbour)
        self.counts = {n: Counter({g: len(before[n][g]) for g in before[n]}) for n in range(1, order)}
        self.counts[order] = occurrences[order]
        self.discounts = {n: discounts(np.array(list(found.values()), int)) for n, found in self.counts.items()}

    def texts(self, sentences):
        if self.regime == "sentence":
            return [[BEGIN, *sentence, END] for sentence in sentences]
        return [[END, *(token for sentence in sentences for token in (*sentence, END))]]

    def p(self, n, context, word):
        """p_n(word | context), where context has n - 1 symbols or, at the beginning of a text, fewer."""
        if n == 0:
            return 1 / (len(self.symbols) + 1)
        if len(context) < n - 1:
            return self.p(n - 1, context, word)
        continued = [c for gram, c in self.counts[n].items() if gram[:-1] == context]
        below = self.p(n - 1, context[1:], word)
        if not continued:
            return below
        D = self.discounts[n]
        c = self.counts[n][(*context, word)]
        gamma = sum(D[min(c, 3)] for c in continued) / sum(continued)
        return (c - D[min(c, 3)]) / sum(continued) + gamma * below

    def probabilities(self, order, sentences):
        return [
            self.p(order, tuple(text[max(0, end - order + 1) : end]), text[end])
            for text in self.texts(sentences)
            for end in range(1, len(text))
        ]


def corpus(generator, symbols, size):
    """Sentences of 0 to 7 tokens in which some symbols are much more frequent than others."""
    weights = [1 / (1 + n) ** 2 for n in range(len(symbols))]
    return [generator.choices(symbols, weights, k=generator.randint(0, 7)) for _ in range(size)]


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("size", "seed"), [(1, 0), (12, 1), (60, 2)])
def test_probabilities_are_those_of_the_equations(regime, order, size, seed):
    generator = random.Random(seed)
    symbols = ["a", "b", "c", "d", "e", "never"]
    train, test = corpus(generator, symbols[:-1], size), [*corpus(generator, symbols, 12), [], ["never", "a"]]
    found = KneserNey(order, symbols, regime).fit(train).log_probs(test)
    assert [len(one) for one in found] == [len(sentence) + 1 for sentence in test]
    expected = Textbook(order, symbols, regime, train).probabilities(order, test)
    np.testing.assert_allclose(np.exp(np.concatenate(found)), expected, rtol=1e-12)


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_after_any_context_sum_to_one(regime, order):
    generator = random.Random(3)
    symbols = [0, 1, 2, 3, 4, 5]  # numbers; 5 never occurs
    model = KneserNey(order, symbols, regime).fit(corpus(generator, symbols[:-1], 40))
    for context in [[], [5], [5, 5, 5, 5], [0, 0, 1, 0], *corpus(generator, symbols, 20)]:
        following = [model.log_probs([[*context, symbol]])[0][len(context)] for symbol in symbols]
        end = model.log_probs([context])[0][-1]
        assert np.exp([*following, end]).sum() == pytest.approx(1, abs=1e-12)


def test_discounts_equal_a_worked_example():
    # n1 = 4, n2 = 2, n3 = 1, n4 = 1: Y = 4/(4 + 4) = 1/2
    # D1 = 1 - 2/2 * 2/4 = 1/2; D2 = 2 - 3/2 * 1/2 = 5/4; D3 = 3 - 4/2 * 1/1 = 1
    counts = np.array([1, 1, 1, 1, 2, 2, 3, 4, 9, 50, 0, 0])
    np.testing.assert_allclose(discounts(counts), [0, 1 / 2, 5 / 4, 1])


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([], [0, 1 / 2, 1 / 2, 1 / 2]),
        ([1, 1, 1], [0, 1 / 2, 1 / 2, 1 / 2]),  # n2 = 0
        ([2, 2, 3, 4], [0, 1 / 2, 1 / 2, 1 / 2]),  # n1 = 0: Y would be 0 and nothing left for the unseen
        ([1, 2, 4], [0, 1 / 3, 1 / 3, 1 / 3]),  # n3 = 0: Y alone
        ([1, 2, 3], [0, 1 / 3, 2 - 3 / 3, 1 / 3]),  # n4 = 0
        ([1, 2, 3, 3, 4], [0, 1 / 3, 1 / 3, 3 - 4 / 3 / 2]),  # D2 = 2 - 3/3 * 2/1 = 0
        ([1, 2, 3, 4, 4, 4, 4], [0, 1 / 3, 1, 1 / 3]),  # D3 = 3 - 4/3 * 4 < 0
    ],
)
def test_discounts_that_cannot_be_estimated_fall_back(counts, expected):
    np.testing.assert_allclose(discounts(np.array(counts, int)), expected)


def test_a_small_model_by_hand():
    # Text: <bos> a <eos>, twice. Unigrams follow 1 symbol each (a: <bos>; <eos>: a): n1 = 2, n2 = 0, D = 1/2.
    # p1(a) = (1 - 1/2)/2 + (1/2 + 1/2)/2 * 1/3 = 5/12, as p1(<eos>); p1(b) = 1/6.
    # Bigrams <bos> a and a <eos> occur twice: n1 = 0, D = 1/2; p2(a | <bos>) = (2 - 1/2)/2 + 1/4 * 5/12
    model = KneserNey(2, ["a", "b"], "sentence").fit([["a"], ["a"]])
    first, last = np.exp(model.log_probs([["a"]])[0])
    assert first == pytest.approx(3 / 4 + 5 / 48)
    assert last == first
    b, end = np.exp(model.log_probs([["b"]])[0])
    assert b == pytest.approx(1 / 4 * 1 / 6)
    assert end == pytest.approx(5 / 12)  # nothing ever followed b


def test_in_a_stream_contexts_reach_across_sentences_and_in_sentences_they_do_not():
    train = [["a"], ["b"], ["a"], ["b"], ["a"], ["b"]]
    together = {regime: KneserNey(3, ["a", "b"], regime).fit(train) for regime in REGIMES}
    for regime, model in together.items():
        after_a = model.log_probs([["a"], ["b"]])[1]
        after_b = model.log_probs([["b"], ["b"]])[1]
        assert (after_a[0] == after_b[0]) == (regime == "sentence")
    after_a, after_b = (together["stream"].log_probs([[before], ["b"]])[1][0] for before in "ab")
    assert after_a > after_b


def test_unknown_tokens_are_the_symbol_for_them():
    model = KneserNey(2, ["a", "<unk>"], "sentence").fit([["a", "xyz"], ["qq", "a"]])
    np.testing.assert_array_equal(model.log_probs([["new", "a"]])[0], model.log_probs([["<unk>", "a"]])[0])


def test_evidence_is_not_shared_between_similar_words():
    # "apple" and "pear" stand in the same places, but "fruit contains apple" was never seen.
    shared = [["i", "eat", fruit] for fruit in ("apple", "pear")] * 5
    symbols = ["i", "eat", "apple", "pear", "stone", "fruit", "contains"]
    model = KneserNey(3, symbols, "sentence").fit([*shared, ["fruit", "contains", "pear"], ["eat", "stone"]])
    p = {last: np.exp(model.log_probs([["fruit", "contains", last]])[0][2]) for last in ("pear", "apple", "stone")}
    assert p["pear"] > 2 * p["apple"]
    assert p["apple"] == pytest.approx(p["stone"])  # each follows one word: likeness to "pear" counts for nothing


@pytest.mark.parametrize("regime", REGIMES)
def test_one_empty_sentence_is_enough(regime):
    # p1(<eos>) = (1 - 1/2)/1 + 1/2 * 1/2 = 3/4; after the mark p2 = 1/2 + 1/2 * 3/4; longer n-grams there are none.
    model = KneserNey(5, ["a"], regime).fit([[]])
    assert model.log_probs([]) == []
    assert np.exp(model.log_probs([[]])[0]) == pytest.approx([7 / 8])


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: KneserNey(0, ["a"], "stream"), "order 0"),
        (lambda: KneserNey(1, ["a", "b", "a"], "stream"), "'a' is listed twice"),
        (lambda: KneserNey(1, ["a"], "streams"), "did you mean 'stream'"),
        (lambda: KneserNey(1, ["a"], "stream").fit([]), "no sentence to count"),
        (lambda: KneserNey(1, ["a"], "stream").fit([["a", "x"]]), "'x' is no symbol"),
        (lambda: KneserNey(1, ["a"], "stream").log_probs([["a"]]), "not fitted"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(act, message):
    with pytest.raises((DataError, UseError), match=message) as raised:
        act()
    assert "\n" not in str(raised.value)
