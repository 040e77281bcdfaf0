"""The classification head's losses, predictions and what it refuses."""

import math

import numpy as np
import pytest
import torch
from datasets import Dataset

from seqapps.cells import Lengths
from seqapps.data.indexed import IndexedSplit, read_forms
from seqapps.data.requests import Request, merge_requests
from seqapps.data.resources import Resources
from seqapps.errors import DataError
from seqapps.heads.classification import Classification, Classified
from seqapps.modules.encoded import Encoded

TRAIN = {"tokens": [["a", "b", "c"], ["a", "b"], ["a"], ["b"]], "label": ["good", "bad", "good", "good"]}
OTHER = {"tokens": [["a"], ["b", "c"]], "label": ["bad", "unheard of"]}


class Width(torch.nn.Module):
    output_size = 6


def ready(rows=TRAIN, train=TRAIN, **fields):
    columns = [read_forms(Dataset.from_dict(data), ["tokens", "label"], "train", {"label"}) for data in (train, rows)]
    requests = merge_requests(
        [Request("tokens", "tokens"), *Classification.requests({"column": "label", "labels": []})]
    )
    resources = Resources.build(requests, columns[0])
    split = IndexedSplit(columns[1], resources, "train")
    torch.manual_seed(0)
    head = Classification(Width(), resources.vocabularies, **fields)
    lengths = Lengths(torch.as_tensor(split.lengths), int(split.lengths.max()))
    outputs = torch.randn(len(split), lengths.steps, 6, requires_grad=True)
    return head, split.batch(np.arange(len(split))), Encoded(outputs, outputs[:, 0], None, lengths), split


GOLD = [0, 1, 0, 0]  # labels by falling frequency: good, bad


def log_probabilities(head, encoded):
    return (head.output(encoded.summary) - head.output(encoded.summary).logsumexp(1, keepdim=True)).tolist()


def test_the_loss_is_cross_entropy_summed_over_texts():
    head, batch, encoded, _ = ready()
    expected = -sum(row[gold] for row, gold in zip(log_probabilities(head, encoded), GOLD, strict=True))
    loss = head.loss(encoded, batch)
    assert loss.total.item() == pytest.approx(expected, rel=1e-5)
    assert loss.nll.item() == pytest.approx(expected, rel=1e-5)
    assert (loss.count, loss.unit) == (4, "sentence")


def test_label_smoothing_gives_a_share_of_the_target_to_every_label_and_leaves_the_likelihood():
    head, batch, encoded, _ = ready(label_smoothing=0.2)
    expected, nll = 0.0, 0.0
    for row, gold in zip(log_probabilities(head, encoded), GOLD, strict=True):
        expected -= 0.9 * row[gold] + 0.1 * row[1 - gold]
        nll -= row[gold]
    loss = head.loss(encoded, batch)
    assert loss.total.item() == pytest.approx(expected, rel=1e-5)
    assert loss.nll.item() == pytest.approx(nll, rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_balanced_weights_make_labels_count_alike(smoothing):
    head, batch, encoded, _ = ready(class_weights="balanced", label_smoothing=smoothing)
    weights = {0: 4 / (2 * 3), 1: 4 / (2 * 1)}
    expected = 0.0
    for row, gold in zip(log_probabilities(head, encoded), GOLD, strict=True):
        other = smoothing / 2
        expected -= weights[gold] * ((1 - other) * row[gold] + other * row[1 - gold])
    assert head.loss(encoded, batch).total.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
def test_every_pooling_predicts_the_label_with_the_highest_probability(pooling):
    head, batch, encoded, _ = ready(pooling=pooling, hidden_sizes=[7, 5])
    scores = head.output(head.hidden(head.pool(encoded)))
    for row, found in zip(scores, head.predict(encoded, batch), strict=True):
        assert found.probabilities == pytest.approx(row.softmax(0).tolist())
        assert found.label == ["good", "bad"][int(row.argmax())]
    assert head.pool.kind == pooling
    assert head.output.in_features == 5


def test_hidden_layers_and_dropout_are_there_when_asked_for():
    head, _, encoded, _ = ready(hidden_sizes=[7], dropout=0.5)
    first, second = head.logits(encoded), head.logits(encoded)
    assert not torch.equal(first, second)
    head.eval()
    hidden = torch.relu(head.hidden.layers[0](encoded.summary))
    torch.testing.assert_close(head.logits(encoded), head.output(hidden))


def test_the_loss_at_a_position_is_the_whole_loss_of_the_texts_whose_label_is_known():
    head, batch, encoded, _ = ready(pooling="mean")
    at = head.loss_at(encoded, batch, torch.zeros(4, dtype=torch.int64))
    torch.testing.assert_close(at, head.loss(encoded, batch).total)
    (gradient,) = torch.autograd.grad(at, encoded.outputs)
    assert (gradient.abs().sum(-1) > 0).sum(1).tolist() == [3, 2, 1, 1]
    head, batch, encoded, split = ready(OTHER, pooling="mean")
    (gradient,) = torch.autograd.grad(head.loss_at(encoded, batch, torch.zeros(2, dtype=torch.int64)), encoded.outputs)
    assert (gradient.abs().sum((1, 2)) > 0).tolist() == [True, False]
    assert split.unknown_labels == {"label": {"unheard of": 1}}


def test_every_score_that_is_announced_is_measured():
    three = {"tokens": [["a"], ["b"], ["c"]], "label": ["x", "y", "z"]}
    for rows in (TRAIN, three):
        head, batch, encoded, split = ready(rows, rows)
        found = head.evaluate(split, head.predict(encoded, batch), None)
        assert set(head.scores) == set(found.scores)
        assert found.headline == head.headline
        assert ("roc_auc" in head.scores) == (rows is TRAIN)


def test_perfect_predictions_score_one_and_a_label_never_seen_is_an_error():
    head, _, _, split = ready(OTHER)
    found = head.evaluate(split, [Classified("bad", [0.0, 1.0])] * 2, None)
    assert found.scores["accuracy"].value == 0.5
    head, _, _, split = ready()
    certain = {"good": [1.0, 0.0], "bad": [0.0, 1.0]}
    found = head.evaluate(split, [Classified(label, certain[label]) for label in TRAIN["label"]], None)
    assert found.scores["accuracy"].value == found.scores["roc_auc"].value == 1.0
    assert found.scores["calibration_error"].value == 0.0


def test_baselines_predict_every_text_with_a_probability_for_every_label():
    head, _, _, split = ready()
    found = dict(head.baselines(split, split))
    assert found.keys() == {"majority_class", "ngram_logistic_regression"}
    for predictions in found.values():
        assert [len(p.probabilities) for p in predictions] == [2] * 4
    assert [p.label for p in found["majority_class"]] == ["good"] * 4


def test_one_label_is_nothing_to_learn():
    head, _, _, split = ready({**TRAIN, "label": ["good"] * 4}, {**TRAIN, "label": ["good"] * 4})
    with pytest.raises(
        DataError, match="split 'train': column 'label' holds one label only, 'good'; a classifier needs two; is"
    ):
        head.check_training(split)
    head, _, _, split = ready()
    head.check_training(split)


@pytest.mark.parametrize(
    ("field", "value"),
    [("label_smoothing", 1.0), ("label_smoothing", math.nan), ("dropout", 1.0), ("hidden_sizes", [0])],
)
def test_fields_out_of_range_are_faults(field, value):
    fields = {"labels": [], "hidden_sizes": [], "dropout": 0.0, "label_smoothing": 0.0, field: value}
    assert [name for name, _ in Classification.check_fields(fields)] == [field]


def test_answers_are_written_as_a_line_or_as_fields():
    head, *_ = ready()
    found = Classified("bad", [0.25, 0.75])
    assert head.answer(["a", "b"], found, "A  b").line() == "A  b\tbad\t0.7500"
    answer = head.answer(["a", "b"], found, None)
    assert (answer.line(), answer.probability) == ("a b\tbad\t0.7500", 0.75)
    assert answer.fields() == {"label": "bad", "probabilities": {"good": 0.25, "bad": 0.75}}
