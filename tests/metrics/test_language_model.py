"""Scores of a language model, against numbers worked out by hand."""

import json
import math
import random

import numpy as np
import pytest

from seqapps.errors import DataError, ShapeError
from seqapps.metrics.intervals import Bootstrap
from seqapps.metrics.language_model import SCORES, ScoredSentence, evaluate_language_model, evaluate_pairs

LN2 = math.log(2)


def scored(text, bits, unknown=""):
    """Tokens that have probability 2^-bits each, and those among `unknown` out of vocabulary."""
    tokens = text.split()
    return ScoredSentence(tokens, [-b * LN2 for b in bits], [token in unknown.split() for token in tokens])


# Predictions: der 1, Hund 5, <eos> 2; Hund 3, <eos> 1; <eos> 6 bits: 18 bits of 3 tokens and 3 end marks.
THREE = [scored("der Hund", [1, 5, 2], "Hund"), scored("Hund", [3, 1], "Hund"), scored("", [6])]


def scores(sentences, **options):
    found = evaluate_language_model(sentences, regime="sentence", **options)
    return {name: score.value for name, score in found.scores.items()}


def test_the_scores_are_what_they_are_by_hand():
    found = evaluate_language_model(THREE, regime="sentence")
    assert tuple(found.scores) == SCORES
    assert found.headline == "perplexity"
    assert found.scores["perplexity"].value == pytest.approx(2 ** (18 / 6))
    # without the two unknown tokens: der 1, <eos> 2, 1, 6
    assert found.scores["perplexity_known"].value == pytest.approx(2 ** (10 / 4))
    # "der Hund" and its line end 9, "Hund" 5, an empty line 1
    assert found.scores["bits_per_character"].value == pytest.approx(18 / 15)
    assert [score.count for score in found.scores.values()] == [6, 15, 4]
    assert found.scores["perplexity"].unit_of_count == "tokens and end marks"


def test_of_a_character_model_characters_and_end_marks_are_counted():
    found = scores([scored("a b c", [1, 2, 3, 4])], separator="")
    assert found["bits_per_character"] == pytest.approx(10 / 4)
    assert found["perplexity"] == pytest.approx(2 ** found["bits_per_character"])


def test_probabilities_in_float32_are_summed_in_float64():
    p = np.full(101, -0.1, np.float32)
    sentences = [ScoredSentence(["a"] * 100, p, [False] * 100)] * 2000
    assert scores(sentences)["perplexity"] == pytest.approx(math.exp(float(np.float32(0.1))), rel=1e-12)


def rows(table):
    return {(row["low"], row["high"]): (row["count"], row["of"], math.log2(row["value"])) for row in table["rows"]}


def test_perplexity_by_position_length_and_frequency_is_what_it_is_by_hand():
    found = evaluate_language_model(THREE, regime="sentence", frequencies={"der": 7, "Hund": 0}).tables
    assert rows(found["by_position"]) == {
        (1, 1): (2, "tokens", pytest.approx((1 + 3) / 2)),
        (2, 2): (1, "tokens", pytest.approx(5)),
    }
    assert rows(found["by_length"]) == {
        (1, 1): (2, "tokens and end marks", pytest.approx((3 + 1) / 2)),
        (2, 4): (3, "tokens and end marks", pytest.approx(8 / 3)),
    }
    assert rows(found["by_frequency"]) == {
        (0, 0): (2, "tokens", pytest.approx((5 + 3) / 2)),
        (5, 9): (1, "tokens", pytest.approx(1)),
    }
    assert found["predicted"] == {
        "regime": "sentence",
        "separator": " ",
        "tokens": 3,
        "unknown": 2,
        "end_marks": 3,
        "characters": 15,
        "perplexity_end_marks": pytest.approx(2 ** ((2 + 1 + 6) / 3)),
    }
    assert "by_frequency" not in evaluate_language_model(THREE, regime="sentence").tables


def test_words_are_ordered_by_their_mean_and_rare_and_unknown_ones_left_out():
    hard, easy, rare = scored("hard", [9, 1]), scored("easy", [1, 1]), scored("rare", [12, 1])
    unknown = scored("who", [15, 1], "who")
    found = evaluate_language_model([hard, easy, rare] * 19 + [hard, easy] + [unknown] * 30, regime="stream").tables
    words = found["word_surprise"]
    assert words["least"] == 20
    assert [(row["form"], row["count"]) for row in words["hardest"]] == [("hard", 20)]
    assert [row["form"] for row in words["easiest"]] == ["easy"]
    assert words["hardest"][0]["perplexity"] == pytest.approx(2**9)
    assert words["hardest"][0]["share"] == pytest.approx(20 * 9 / (20 * 10 + 20 * 2 + 19 * 13 + 30 * 16))


def test_no_word_is_both_hard_and_easy():
    sentences = [scored("a b c", [1, 2, 3, 4])] * 20
    words = evaluate_language_model(sentences, regime="sentence").tables["word_surprise"]
    assert [[row["form"] for row in words[side]] for side in ("hardest", "easiest")] == [["c", "b"], ["a"]]


def test_the_most_surprising_sentences_come_first_and_long_ones_are_cut():
    short, plain = scored("a b", [30, 30, 30]), scored("a b c d e", [1] * 6)
    odd = ScoredSentence([*"vwxyz"] * 30, [-5.0] * 151, [False] * 150)
    first, second = evaluate_language_model([short, plain, odd], regime="sentence").tables["sentence_surprise"]
    assert (first["number"], len(first["tokens"]), len(first["log_probs"]), first["left_out"]) == (3, 100, 100, 50)
    assert first["perplexity"] == pytest.approx(math.exp(5))
    assert (second["number"], len(second["log_probs"]), second["left_out"]) == (2, 6, 0)


def test_intervals_are_of_sentences_and_contain_the_value():
    generator = random.Random(0)
    sentences = [scored("a b", [generator.uniform(0, 8) for _ in range(3)]) for _ in range(60)]
    found = evaluate_language_model(sentences, regime="sentence", bootstrap=Bootstrap(samples=300))
    weights = next(iter(Bootstrap(samples=300)._weights(60)))[1]
    nll = -np.array([sentence.log_probs for sentence in sentences]).sum(axis=1)
    drawn = np.exp(weights @ nll / (3 * 60))
    low, high, _ = found.scores["perplexity"].interval
    assert [low, high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]).tolist())
    assert low < found.scores["perplexity"].value < high
    assert found.tables["by_position"]["rows"][0]["interval"] is not None


def test_two_models_are_compared_on_the_same_sentences():
    better = [scored("a b", [1, 1, 1])] * 3
    worse = [scored("a b", [3, 3, 3])] * 3
    found = [evaluate_language_model(one, regime="sentence") for one in (better, worse)]
    assert found[0].difference(found[1], Bootstrap(samples=20)).value == pytest.approx(2 - 8)


def test_a_perplexity_beyond_all_numbers_and_one_of_nothing_are_undefined():
    assert scores([ScoredSentence([], [-1000.0], [])])["perplexity"] is None
    assert scores([]) == dict.fromkeys(SCORES)


def test_tables_are_ready_for_json_and_small():
    generator = random.Random(1)
    words = [f"w{n}" for n in range(200)]
    sentences = [
        ScoredSentence(tokens, [generator.uniform(-9, 0) for _ in range(len(tokens) + 1)], [False] * len(tokens))
        for tokens in (generator.choices(words, k=generator.randint(0, 300)) for _ in range(300))
    ]
    found = evaluate_language_model(sentences, regime="stream", frequencies={"w1": 3}, bootstrap=Bootstrap(samples=20))
    assert len(json.dumps(found.tables, allow_nan=False)) < 60_000
    json.dumps(found.metrics(), allow_nan=False)


@pytest.mark.parametrize(
    ("sentence", "error", "message"),
    [
        (ScoredSentence(["a"], [-1.0], [False]), ShapeError, "sentence 2: 1 tokens, 1 log-probabilities, 1 flags"),
        (ScoredSentence(["a"], [-1.0, -1.0], []), ShapeError, "sentence 2: 1 tokens, 2 log-probabilities, 0 flags"),
        (ScoredSentence(["a"], [-1.0, 0.5], [False]), DataError, "sentence 2: log-probability 2 is 0.5"),
        (ScoredSentence(["a"], [math.nan, -1.0], [False]), DataError, "sentence 2: log-probability 1 is nan"),
        (ScoredSentence(["a"], [-math.inf, -1.0], [False]), DataError, "sentence 2: log-probability 1 is -inf"),
    ],
)
def test_what_are_no_log_probabilities_is_refused(sentence, error, message):
    with pytest.raises(error, match=message):
        evaluate_language_model([scored("a", [1, 1]), sentence], regime="sentence")


def test_pairs_are_right_where_the_right_sentence_is_more_probable():
    found = evaluate_pairs([-3, -5, -1, -2], [-4, -2, -1, -9], [10, 2, 2, None])
    assert found.scores["agreement_accuracy"].value == 2 / 4  # the third is a tie
    assert found.tables["pairs"] == {
        "metric": "agreement_accuracy",
        "rows": [
            {"group": "2", "count": 2, "of": "pairs", "value": 0.0, "interval": None},
            {"group": "10", "count": 1, "of": "pairs", "value": 1.0, "interval": None},
        ],
    }
    assert evaluate_pairs([-3], [-4]).tables["pairs"]["rows"] == []


def test_pairs_have_intervals_in_all_and_for_each_group():
    generator = random.Random(2)
    good = [generator.uniform(-5, 0) for _ in range(200)]
    found = evaluate_pairs(good, [-3.0] * 200, ["near", "far"] * 100, bootstrap=Bootstrap(samples=200))
    for value, (low, high) in [
        (found.scores["agreement_accuracy"].value, found.scores["agreement_accuracy"].interval[:2]),
        *((row["value"], row["interval"]) for row in found.tables["pairs"]["rows"]),
    ]:
        assert low < value < high
    assert [row["group"] for row in found.tables["pairs"]["rows"]] == ["far", "near"]


def test_pairs_that_do_not_match_are_refused():
    with pytest.raises(ShapeError, match="2 right and 1 wrong sentences, 2 groups"):
        evaluate_pairs([-1, -2], [-1])
