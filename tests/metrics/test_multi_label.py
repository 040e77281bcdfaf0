"""Scores of texts with any number of labels, against numbers worked out by hand."""

import pytest

from seqapps.metrics.intervals import Bootstrap
from seqapps.metrics.multi_label import LabelledExample, evaluate_multi_label

# right: a in the first, b in the third; gold: a, b, a, b; predicted: a, c, b
EXAMPLES = [
    LabelledExample(3, ["a", "b"], ["a"]),
    LabelledExample(1, ["a"], ["c"]),
    LabelledExample(12, ["b"], ["b"]),
    LabelledExample(1, [], []),
]


def test_scores_are_what_they_are_by_hand():
    scores = evaluate_multi_label(EXAMPLES, "abcd").scores
    assert scores["micro_f1"].value == pytest.approx(2 * 2 / (4 + 3))
    # a: 1 right, 2 gold, 1 predicted -> 2/3; b: 1, 2, 1 -> 2/3; c: 0; d occurs nowhere and counts nowhere
    assert scores["macro_f1"].value == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert scores["subset_accuracy"].value == pytest.approx(2 / 4)
    assert {(score.count, score.unit_of_count) for score in scores.values()} == {(4, "texts")}


def test_the_table_of_labels_is_what_it_is_by_hand():
    rows = {row["label"]: row for row in evaluate_multi_label(EXAMPLES, "abcd").tables["per_label"]}
    assert rows.keys() == set("abc")
    assert (rows["a"]["precision"], rows["a"]["recall"], rows["a"]["support"]) == (1.0, 0.5, 2)
    assert (rows["c"]["precision"], rows["c"]["recall"], rows["c"]["predicted"]) == (0.0, None, 1)


def test_a_label_that_the_model_does_not_know_is_missing_from_every_prediction():
    found = evaluate_multi_label([LabelledExample(1, ["a", "new"], ["a"])], ["a"])
    assert found.scores["micro_f1"].value == pytest.approx(2 / 3)
    assert found.scores["subset_accuracy"].value == 0.0
    assert [row["label"] for row in found.tables["per_label"]] == ["a", "new"]


def test_f1_of_no_labels_at_all_is_undefined_and_such_texts_are_right():
    scores = evaluate_multi_label([LabelledExample(1, [], [])] * 3, ["a"]).scores
    assert scores["micro_f1"].value is None
    assert scores["macro_f1"].value is None
    assert scores["subset_accuracy"].value == 1.0


def test_the_score_by_length_is_that_of_the_texts_of_that_length():
    table = evaluate_multi_label(EXAMPLES, "abcd").tables["by_length"]
    assert table["metric"] == "micro_f1"
    assert [(row["low"], row["count"], row["value"]) for row in table["rows"]] == [
        (1, 2, 0.0),
        (2, 1, pytest.approx(2 / 3)),
        (10, 1, 1.0),
    ]


def test_intervals_hold_the_score():
    found = evaluate_multi_label(EXAMPLES * 10, "abcd", bootstrap=Bootstrap(samples=200, seed=1, confidence=0.95))
    for score in found.scores.values():
        assert score.interval.low <= score.value <= score.interval.high
        assert score.interval.low < score.interval.high
