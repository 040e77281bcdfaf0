"""The multi-label head's losses, predictions and what it refuses."""

import numpy as np
import pytest
import torch
from datasets import Dataset

from seqapps.cells import Lengths
from seqapps.data.indexed import IndexedSplit, read_forms
from seqapps.data.requests import Request, merge_requests
from seqapps.data.resources import Resources
from seqapps.errors import DataError
from seqapps.heads.classification import Classification
from seqapps.heads.multi_label import Labelled, MultiLabel
from seqapps.modules.encoded import Encoded

TRAIN = {
    "tokens": [["a", "b", "c"], ["a", "b"], ["a"], ["b"]],
    "labels": [["good", "long"], ["good"], [], ["odd", "good", "odd"]],
}
GOLD = [[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 0, 1]]  # by falling frequency: good 3, odd 2 times, long 1
NAMES = ["good", "odd", "long"]


class Width(torch.nn.Module):
    output_size = 6


def ready(rows=TRAIN, train=TRAIN, name="train", **fields):
    columns = [
        read_forms(Dataset.from_dict(data), ["tokens", "labels"], name, written={"labels"}) for data in (train, rows)
    ]
    asked = MultiLabel.requests({"column": "labels", "labels": [], **fields})
    resources = Resources.build(merge_requests([Request("tokens", "tokens"), *asked]), columns[0])
    split = IndexedSplit(columns[1], resources, name)
    torch.manual_seed(0)
    head = MultiLabel(Width(), resources.vocabularies, **fields)
    lengths = Lengths(torch.as_tensor(split.lengths), int(split.lengths.max()))
    outputs = torch.randn(len(split), lengths.steps, 6, requires_grad=True)
    return head, split.batch(np.arange(len(split))), Encoded(outputs, outputs[:, 0], None, lengths), split


def targets(head):
    gold = [["good", "long"], ["good"], [], ["odd", "good"]]
    return torch.tensor([[float(label in labels) for label in head.labels] for labels in gold])


def test_the_loss_is_binary_cross_entropy_summed_over_labels_and_texts():
    head, batch, encoded, _ = ready()
    assert head.labels == NAMES
    p = head.output(encoded.summary).sigmoid()
    y = targets(head)
    expected = -(y * p.log() + (1 - y) * (1 - p).log()).sum()
    loss = head.loss(encoded, batch)
    torch.testing.assert_close(loss.total, expected)
    torch.testing.assert_close(loss.nll, expected)
    assert (loss.count, loss.unit) == (4, "sentence")


def test_the_loss_of_a_batch_is_the_sum_of_those_of_its_texts():
    head, batch, encoded, split = ready()
    singles = 0.0
    for row in range(4):
        part = Encoded(encoded.outputs[row : row + 1], encoded.summary[row : row + 1], None, Lengths([1], 3))
        singles += head.loss(part, split.batch(np.array([row]))).total.item()
    assert head.loss(encoded, batch).total.item() == pytest.approx(singles, rel=1e-5)


def test_a_label_that_training_never_saw_is_no_target():
    rows = {"tokens": [["a"], ["b"]], "labels": [["good", "new"], ["new"]]}
    head, batch, _, split = ready(rows, name="test")
    assert head._targets(batch).tolist() == [[1, 0, 0], [0, 0, 0]]
    assert split.unknown_labels == {"labels": {"new": 2}}


@pytest.mark.parametrize("threshold", [0.5, 0.3, 0.9])
def test_labels_are_those_whose_probability_reaches_the_threshold(threshold):
    head, batch, encoded, _ = ready(threshold=threshold, pooling="mean")
    with torch.no_grad():
        head.output.weight.mul_(5)
    p = head.logits(encoded).sigmoid()
    for row, found in zip(p.tolist(), head.predict(encoded, batch), strict=True):
        assert found.probabilities == pytest.approx(row)
        assert found.labels == [name for name, value in zip(head.labels, row, strict=True) if value >= threshold]


def test_every_score_that_is_announced_is_measured_and_perfect_predictions_score_one():
    head, batch, encoded, split = ready()
    found = head.evaluate(split, head.predict(encoded, batch), None)
    assert set(head.scores) == set(found.scores)
    assert found.headline == head.headline
    perfect = [Labelled(list(dict.fromkeys(labels)), [0.0] * 3) for labels in TRAIN["labels"]]
    assert {s.value for s in head.evaluate(split, perfect, None).scores.values()} == {1.0}


def test_baselines_predict_every_text_by_the_threshold_of_the_head():
    head, _, _, split = ready(threshold=0.2)
    found = dict(head.baselines(split, split))
    assert found.keys() == {"majority_labels", "ngram_one_vs_rest"}
    assert [p.probabilities for p in found["majority_labels"]] == [pytest.approx([0.75, 0.25, 0.25])] * 4
    assert [p.labels for p in found["majority_labels"]] == [NAMES] * 4


def test_a_record_lists_gold_and_predicted_labels_once_each():
    head, batch, encoded, split = ready()
    record = head.record(split, 3, head.predict(encoded, batch)[3])
    assert record["gold"] == ["odd", "good"]
    assert isinstance(record["predicted"], list)
    assert record["probabilities"].keys() == set(NAMES)


def test_an_answer_writes_its_labels_behind_the_text_and_all_probabilities_as_json():
    head, *_ = ready()
    answer = head.answer(["a", "b"], Labelled(["good", "long"], [0.9, 0.1, 0.50004]), None)
    assert answer.line() == "a b\tgood, long"
    probabilities = {"good": 0.9, "odd": 0.1, "long": 0.5}
    assert answer.fields() == {"labels": ["good", "long"], "probabilities": probabilities}
    assert head.answer(["a"], Labelled([], [0.0] * 3), "A!").line() == "A!\t"


def test_texts_without_any_label_are_nothing_to_learn():
    head, *_, split = ready({"tokens": [["a"]], "labels": [["good"]]})
    head.check_training(split)
    rows = Dataset.from_dict({"tokens": [["a"]], "labels": [["good"]]})
    rows = rows.map(lambda row: {"labels": []}, features=rows.features)
    empty = IndexedSplit(read_forms(rows, ["tokens", "labels"], "train", written={"labels"}), split.resources, "train")
    with pytest.raises(
        DataError, match="split 'train': no text has a label in column 'labels'; is it the right column"
    ):
        head.check_training(empty)


def test_declared_labels_keep_their_order_and_need_not_occur():
    head, batch, encoded, _ = ready(labels=["long", "rare", "odd", "good"])
    assert head.labels == ["long", "rare", "odd", "good"]
    assert head._targets(batch).tolist()[0] == [1, 0, 0, 1]
    assert len(head.predict(encoded, batch)[0].probabilities) == 4


def test_a_text_with_a_label_that_is_not_declared_is_an_error_naming_it():
    rows = {"tokens": [["a"], ["b"], ["b"]], "labels": [[], ["good", "lng"], ["x"]]}
    expected = r"split 'test', row 2: labels is 'lng', which is not declared in labels; did you mean 'long'\? \(2 such"
    with pytest.raises(DataError, match=expected):
        ready(rows, name="test", labels=NAMES)


def test_a_classifier_refuses_a_label_that_is_not_declared_too():
    rows = {"tokens": [["a"], ["b"]], "label": ["up", "sideways"]}
    columns = read_forms(Dataset.from_dict(rows), ["tokens", "label"], "train", {"label"})
    asked = Classification.requests({"column": "label", "labels": ["down", "up"]})
    resources = Resources.build(merge_requests([Request("tokens", "tokens"), *asked]), columns)
    assert resources.vocabularies["label"].symbols == ["down", "up"]
    assert resources.vocabularies["label"].counts == [0, 1]
    expected = "split 'train', row 2: label is 'sideways', which is not declared in labels; known: down, up"
    with pytest.raises(DataError, match=expected):
        IndexedSplit(columns, resources, "train")


@pytest.mark.parametrize(
    ("field", "value"), [("threshold", 0.0), ("threshold", 1.0), ("dropout", 1.0), ("labels", ["a", "b", "a"])]
)
def test_values_out_of_range_are_refused_by_name(field, value):
    fields = {"labels": [], "threshold": 0.5, "hidden_sizes": [], "dropout": 0.0}
    assert MultiLabel.check_fields(fields) == []
    assert [name for name, _ in MultiLabel.check_fields({**fields, field: value})] == [field]


def test_a_single_declared_label_is_none_for_a_classifier_and_one_for_multi_label():
    fields = {"labels": ["a"], "hidden_sizes": [], "dropout": 0.0, "label_smoothing": 0.0, "threshold": 0.5}
    assert [name for name, _ in Classification.check_fields(fields)] == ["labels"]
    assert MultiLabel.check_fields(fields) == []
