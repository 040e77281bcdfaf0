"""Scores of a classifier, against numbers worked out by hand and by brute force."""

import itertools

import numpy as np
import pytest

from seqapps.errors import ShapeError
from seqapps.metrics.classification import ClassifiedExample, area_under_roc, evaluate_classification
from seqapps.metrics.intervals import Bootstrap


def example(gold, predicted, probabilities, tokens=("t",)):
    return ClassifiedExample(tokens, gold, predicted, probabilities)


# gold a a a b b c; predicted a a b b c c
GOLD, PREDICTED = "aaabbc", "aabbcc"
THREE = [example(g, p, [0.6 if p == label else 0.2 for label in "abc"]) for g, p in zip(GOLD, PREDICTED, strict=True)]


def test_accuracy_and_f1_are_what_they_are_by_hand():
    scores = evaluate_classification(THREE, "abc").scores
    # a: right 2, gold 3, predicted 2 -> 4/5; b: right 1, 2, 2 -> 1/2; c: right 1, gold 1, predicted 2 -> 2/3
    assert scores["accuracy"].value == pytest.approx(4 / 6)
    assert scores["macro_f1"].value == pytest.approx((4 / 5 + 1 / 2 + 2 / 3) / 3)
    assert scores["weighted_f1"].value == pytest.approx((3 * 4 / 5 + 2 * 1 / 2 + 1 * 2 / 3) / 6)
    assert "roc_auc" not in scores
    assert (scores["accuracy"].count, scores["accuracy"].unit_of_count) == (6, "texts")


def test_the_table_of_labels_and_the_confusions_are_what_they_are_by_hand():
    tables = evaluate_classification(THREE, "abc").tables
    a, b, c = tables["per_label"]
    assert (a["label"], a["precision"], a["recall"], a["support"], a["predicted"]) == ("a", 1.0, 2 / 3, 3, 2)
    assert (b["label"], b["precision"], b["recall"]) == ("b", 0.5, 0.5)
    assert (c["label"], c["precision"], c["recall"]) == ("c", 0.5, 1.0)
    assert tables["confusion"]["matrix"] == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    assert tables["confusion"]["errors"] == 2


def test_calibration_error_is_what_it_is_by_hand():
    # Bins are 1/15 wide: 0.95 and 0.97 share (0.933, 1], one of them right; 0.55 is alone in (0.533, 0.6], and right.
    examples = [
        example("a", "a", [0.95, 0.05]),
        example("a", "b", [0.03, 0.97]),
        example("a", "a", [0.55, 0.45]),
    ]
    found = evaluate_classification(examples, "ab")
    expected = 2 / 3 * abs(1 / 2 - (0.95 + 0.97) / 2) + 1 / 3 * abs(1 - 0.55)
    assert found.scores["calibration_error"].value == pytest.approx(expected)
    low, high = found.tables["calibration"]
    assert (low["count"], low["accuracy"], low["certainty"]) == (1, 1.0, 0.55)
    assert (high["count"], high["accuracy"]) == (2, 0.5)
    assert high["certainty"] == pytest.approx(0.96)


def test_a_probability_on_the_edge_of_a_bin_belongs_to_the_lower_one():
    found = evaluate_classification([example("a", "a", [1.0, 0.0]), example("a", "b", [0.4, 0.6])], "ab")
    low, high = found.tables["calibration"]
    assert (low["low"], low["high"], high["high"]) == (pytest.approx(8 / 15), pytest.approx(9 / 15), 1.0)


def pairs(scores, positive):
    """Every pair of a positive and a negative, ties as a half."""
    won = [
        (p > n) + (p == n) / 2
        for (p, is_p), (n, is_n) in itertools.product(zip(scores, positive, strict=True), repeat=2)
        if is_p and not is_n
    ]
    return sum(won) / len(won)


@pytest.mark.parametrize("decimals", [1, 6])
def test_the_area_under_the_curve_is_the_share_of_pairs_in_order(decimals):
    generator = np.random.default_rng(0)
    positive = generator.random(60) < 0.3
    scores = np.round(generator.random(60) + 0.3 * positive, decimals)
    assert area_under_roc(scores, positive) == pytest.approx(pairs(scores, positive))


def test_the_area_needs_both_classes():
    assert area_under_roc(np.array([0.1, 0.2]), np.array([True, True])) is None
    found = evaluate_classification([example("a", "a", [0.9, 0.1])] * 2, "ab", bootstrap=Bootstrap(samples=20))
    assert found.scores["roc_auc"].value is None


def test_intervals_are_around_the_values_and_the_areas_is_the_bootstrap_over_pairs():
    generator = np.random.default_rng(1)
    examples = []
    for _ in range(80):  # fewer than the groups of ranks, so that these are exact
        gold = "ab"[generator.random() < 0.5]
        p = float(np.clip(generator.normal(0.6 if gold == "b" else 0.4, 0.2), 0.01, 0.99))
        examples.append(example(gold, "ab"[p > 0.5], [1 - p, p]))
    found = evaluate_classification(examples, "ab", bootstrap=Bootstrap(samples=200))
    for name in ("accuracy", "macro_f1", "weighted_f1", "roc_auc"):
        low, high, _ = found.scores[name].interval
        assert low < found.scores[name].value < high, name
    weights = next(iter(Bootstrap(samples=200)._weights(80)))[1].astype(int)
    scores, positive = np.array([e.probabilities[1] for e in examples]), np.array([e.gold == "b" for e in examples])
    drawn = [area_under_roc(np.repeat(scores, w), np.repeat(positive, w)) for w in weights]
    low, high, _ = found.scores["roc_auc"].interval
    assert [low, high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]).tolist())


def test_the_groups_of_ranks_of_many_texts_change_the_area_little():
    generator = np.random.default_rng(2)
    positive = generator.random(5000) < 0.4
    scores = generator.normal(size=5000) + positive
    p = 1 / (1 + np.exp(-scores))
    examples = [example("ab"[int(g)], "ab"[int(q > 0.5)], [1 - q, q]) for g, q in zip(positive, p, strict=True)]
    found = evaluate_classification(examples, "ab")
    counted = found.counted["roc_auc"]
    grouped = counted.statistic(counted.counts.sum(axis=0, keepdims=True).astype(float))[0]
    assert grouped == pytest.approx(found.scores["roc_auc"].value, abs=1e-3)


def test_a_label_that_the_model_does_not_know_is_an_error_and_has_no_rank():
    examples = [
        example("a", "a", [0.8, 0.2]),
        example("b", "b", [0.3, 0.7]),
        example("new", "b", [0.1, 0.9]),
    ]
    found = evaluate_classification(examples, "ab")
    assert found.scores["accuracy"].value == pytest.approx(2 / 3)
    assert (found.scores["roc_auc"].value, found.scores["roc_auc"].count) == (1.0, 2)
    assert found.tables["confusion"]["labels"] == ["a", "b", "new"]


def test_errors_are_listed_by_how_certain_the_model_was():
    examples = [
        example("a", "b", [0.4, 0.6], ["weak"]),
        example("b", "b", [0.0, 1.0], ["right"]),
        example("a", "b", [0.1, 0.9], ["strong"]),
    ]
    rows = evaluate_classification(examples, "ab").tables["certain_errors"]
    assert [(row["number"], row["tokens"], row["probability"]) for row in rows] == [
        (3, ["strong"], 0.9),
        (1, ["weak"], 0.6),
    ]


def test_a_text_needs_a_probability_for_every_label():
    with pytest.raises(ShapeError, match="text 2: 1 probabilities, 2 labels"):
        evaluate_classification([example("a", "a", [0.5, 0.5]), example("a", "a", [1.0])], "ab")
