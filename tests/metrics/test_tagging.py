import json
import random
import time
from collections import Counter

import numpy as np
import pytest
from seqeval import metrics as seqeval
from sklearn import metrics as sklearn

from seqapps.errors import ShapeError
from seqapps.metrics.intervals import Bootstrap
from seqapps.metrics.tagging import TaggedSentence, evaluate_tagging

# 7 tokens, 5 right. Known forms (a, b): 5 tokens, 4 right; unknown (c, d): 2 tokens, 1 right. 1 of 3 sentences right.
EXAMPLE = [
    TaggedSentence(["a", "b", "c"], ["X", "Y", "X"], ["X", "Y", "Y"]),
    TaggedSentence(["a", "d"], ["X", "Z"], ["X", "Z"]),
    TaggedSentence(["b", "b"], ["Y", "Y"], ["Y", "X"]),
]
FREQUENCIES = {"a": 1, "b": 12, "elsewhere": 3}


def sampled(seed, labels, sentences=60, error=0.3):
    generator = random.Random(seed)
    made = []
    for _ in range(sentences):
        length = generator.randint(1, 12)
        gold = generator.choices(labels, k=length)
        predicted = [generator.choice(labels) if generator.random() < error else label for label in gold]
        made.append(TaggedSentence(generator.choices("abcdefgh", k=length), gold, predicted))
    return made


def values(evaluation):
    return {name: score.value for name, score in evaluation.scores.items()}


def test_accuracies_equal_a_worked_example():
    evaluation = evaluate_tagging(EXAMPLE, frequencies=FREQUENCIES)
    assert evaluation.headline == "accuracy"
    found = {name: (score.value, score.count, score.unit_of_count) for name, score in evaluation.scores.items()}
    assert found == {
        "accuracy": (5 / 7, 7, "tokens"),
        "accuracy_in_vocabulary": (4 / 5, 5, "tokens"),
        "accuracy_out_of_vocabulary": (1 / 2, 2, "tokens"),
        "accuracy_sentence": (1 / 3, 3, "sentences"),
        # X: 2 right, 3 gold, 3 predicted; Y: 2 right, 3 gold, 3 predicted; Z: 1, 1, 1
        "macro_f1": (pytest.approx((2 / 3 + 2 / 3 + 1) / 3), 7, "tokens"),
    }


@pytest.mark.parametrize("seed", range(3))
def test_label_scores_agree_with_scikit_learn(seed):
    sentences = sampled(seed, ["A", "B", "C", "D", "E"])
    gold = [label for sentence in sentences for label in sentence.gold]
    predicted = [label for sentence in sentences for label in sentence.predicted]
    evaluation = evaluate_tagging(sentences, frequencies={})
    assert evaluation.scores["accuracy"].value == sklearn.accuracy_score(gold, predicted)
    assert evaluation.scores["macro_f1"].value == pytest.approx(sklearn.f1_score(gold, predicted, average="macro"))
    expected = sklearn.classification_report(gold, predicted, output_dict=True)
    for row in evaluation.tables["per_label"]:
        theirs = expected[row["label"]]
        assert (row["precision"], row["recall"], row["support"]) == (
            pytest.approx(theirs["precision"]),
            pytest.approx(theirs["recall"]),
            theirs["support"],
        )
        assert row["f1"] == pytest.approx(theirs["f1-score"])
        assert row["predicted"] == predicted.count(row["label"])
    confusion = evaluation.tables["confusion"]
    assert confusion["matrix"] == sklearn.confusion_matrix(gold, predicted, labels=confusion["labels"]).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_span_scores_agree_with_seqeval(seed):
    sentences = sampled(seed, ["B-NP", "I-NP", "B-VP", "I-VP", "O"])
    gold, predicted = [s.gold for s in sentences], [s.predicted for s in sentences]
    evaluation = evaluate_tagging(sentences, frequencies={}, spans=True)
    assert evaluation.headline == "f1"
    for name in ("f1", "precision", "recall"):
        expected = getattr(seqeval, f"{name}_score")(gold, predicted)
        assert evaluation.scores[name].value == pytest.approx(expected, abs=1e-15)
    expected = seqeval.classification_report(gold, predicted, output_dict=True)
    for row in evaluation.tables["per_span_type"]:
        theirs = expected[row["type"]]
        assert (row["f1"], row["support"]) == (pytest.approx(theirs["f1-score"]), theirs["support"])


def test_scores_that_count_nothing_are_none_and_not_zero():
    sentence = TaggedSentence(["a"], ["O"], ["O"])
    scores = values(evaluate_tagging([sentence], frequencies={"a": 1}, bootstrap=Bootstrap(), spans=True))
    assert scores["accuracy_out_of_vocabulary"] is None
    assert scores["f1"] is scores["precision"] is scores["recall"] is None
    assert scores["accuracy"] == 1


@pytest.mark.parametrize("spans", [False, True])
@pytest.mark.parametrize("sentences", [[], [TaggedSentence([], [], [])]])
def test_nothing_to_evaluate_gives_none_everywhere(sentences, spans):
    evaluation = evaluate_tagging(sentences, frequencies={}, bootstrap=Bootstrap(), spans=spans)
    assert set(values(evaluation).values()) == {None}
    json.dumps(evaluation.tables, allow_nan=False)


def test_a_label_that_only_gold_has_counts_as_an_error():
    evaluation = evaluate_tagging([TaggedSentence(["a", "b"], ["NEW", "X"], ["X", "X"])], frequencies={})
    assert evaluation.scores["accuracy"].value == 0.5
    row = next(row for row in evaluation.tables["per_label"] if row["label"] == "NEW")
    assert (row["recall"], row["precision"], row["f1"]) == (0, None, 0)
    # X: 1 right of 1 gold and 2 predicted, F1 2/3; NEW: 0
    assert evaluation.scores["macro_f1"].value == pytest.approx(1 / 3)


def test_a_form_with_frequency_zero_is_out_of_vocabulary():
    evaluation = evaluate_tagging(EXAMPLE, frequencies={"a": 1, "b": 0})
    assert evaluation.scores["accuracy_in_vocabulary"].count == 2


def test_intervals_are_those_of_the_bootstrap_over_sentences():
    sentences = sampled(0, ["A", "B", "C"])
    bootstrap = Bootstrap(samples=200, seed=5)
    evaluation = evaluate_tagging(sentences, frequencies={"a": 1}, bootstrap=bootstrap)
    for name, score in evaluation.scores.items():
        counted = evaluation.counted[name]
        assert score.interval == bootstrap.interval(counted.counts, counted.statistic)
        assert score.interval.low < score.value < score.interval.high


def test_macro_f1_of_a_resample_equals_macro_f1_of_the_sentences_drawn():
    sentences = sampled(1, ["A", "B", "C", "D"], sentences=20)
    counted = evaluate_tagging(sentences, frequencies={}).counted["macro_f1"]
    drawn = [3, 3, 0, 7]
    expected = evaluate_tagging([sentences[n] for n in drawn], frequencies={}).scores["macro_f1"].value
    found = counted.statistic(counted.counts[drawn].sum(axis=0, keepdims=True).astype(float))
    assert found[0] == pytest.approx(expected)


def test_confusions_are_counted_and_the_most_frequent_come_first():
    confusion = evaluate_tagging(EXAMPLE, frequencies={}).tables["confusion"]
    assert confusion["labels"] == ["X", "Y", "Z"]
    assert confusion["matrix"] == [[2, 1, 0], [1, 2, 0], [0, 0, 1]]
    assert confusion["top"] == [
        {"gold": "X", "predicted": "Y", "count": 1, "share": pytest.approx(1 / 3)},
        {"gold": "Y", "predicted": "X", "count": 1, "share": pytest.approx(1 / 3)},
    ]
    assert confusion["errors"] == 2


def test_accuracy_by_frequency_of_the_form_in_training():
    table = evaluate_tagging(EXAMPLE, frequencies=FREQUENCIES).tables["by_frequency"]
    rows = [(row["low"], row["high"], row["count"], row["value"]) for row in table["rows"]]
    assert rows == [(0, 0, 2, 0.5), (1, 1, 2, 1.0), (10, 99, 3, pytest.approx(2 / 3))]


def test_accuracy_by_length_of_the_sentence():
    table = evaluate_tagging([*EXAMPLE, TaggedSentence(["a"], ["X"], ["Y"])], frequencies={}).tables["by_length"]
    rows = [(row["low"], row["high"], row["count"], row["value"]) for row in table["rows"]]
    assert rows == [(1, 1, 1, 0.0), (2, 4, 7, pytest.approx(5 / 7))]
    assert table["metric"] == "accuracy"


def test_span_f1_by_length_covers_every_gold_span_once():
    sentences = sampled(2, ["B-X", "I-X", "O"])
    evaluation = evaluate_tagging(sentences, frequencies={}, bootstrap=Bootstrap(samples=50), spans=True)
    table = evaluation.tables["by_length"]
    assert table["metric"] == "f1"
    assert sum(row["count"] for row in table["rows"]) == evaluation.scores["f1"].count
    row = next(row for row in table["rows"] if row["low"] == 5)
    part = [s for s in sentences if 5 <= len(s.tokens) <= 9]
    assert row["value"] == pytest.approx(seqeval.f1_score([s.gold for s in part], [s.predicted for s in part]))


def test_the_worst_sentences_are_those_with_most_errors_and_of_equals_the_shorter():
    longest = TaggedSentence(["a"] * 4, ["X"] * 4, ["X", "X", "Y", "Y"])
    table = evaluate_tagging([*EXAMPLE, longest], frequencies={}).tables["worst"]
    assert [(row["number"], row["errors"]) for row in table] == [(4, 2), (3, 1), (1, 1)]
    assert table[1]["predicted"] == ["Y", "X"]


def test_a_difference_is_paired_over_sentences():
    sentences = sampled(3, ["A", "B"], error=0.2)
    ours = evaluate_tagging(sentences, frequencies={})
    worse = [s._replace(predicted=["A"] * len(s.gold)) for s in sentences]
    theirs = evaluate_tagging(worse, frequencies={})
    difference = ours.difference(theirs, Bootstrap())
    a, b = ours.scores["accuracy"].value, theirs.scores["accuracy"].value
    assert difference.value == pytest.approx(a - b)
    assert difference.interval.low < a - b < difference.interval.high
    assert difference.metric == "accuracy"


def test_a_difference_of_other_sentences_is_refused():
    ours = evaluate_tagging(EXAMPLE, frequencies={})
    with pytest.raises(ShapeError, match="3 and 2 sentences"):
        ours.difference(evaluate_tagging(EXAMPLE[:2], frequencies={}), None)


def test_mismatched_lengths_name_the_sentence():
    with pytest.raises(ShapeError, match="sentence 2: 2 tokens, 1 gold and 2 predicted labels"):
        evaluate_tagging([EXAMPLE[1], TaggedSentence(["a", "b"], ["X"], ["X", "Y"])], frequencies={})


def test_everything_written_is_plain_json():
    evaluation = evaluate_tagging(
        sampled(4, ["B-X", "I-X", "O"]), frequencies={"a": 2}, bootstrap=Bootstrap(samples=50), spans=True
    )
    text = json.dumps({"metrics": evaluation.metrics(), "tables": evaluation.tables}, allow_nan=False)
    assert json.loads(text)["metrics"]["f1"]["of"] == "gold spans"


def test_a_million_tokens_take_seconds():
    generator = np.random.default_rng(0)
    labels = [f"T{n}" for n in range(90)]
    gold = generator.choice(labels, size=(50_000, 20)).tolist()
    sentences = [TaggedSentence(row, row, ["T0", *row[1:]]) for row in gold]
    start = time.perf_counter()
    evaluate_tagging(sentences, frequencies=Counter(labels), bootstrap=Bootstrap())
    assert time.perf_counter() - start < 60  # 4 s when written, on one core
