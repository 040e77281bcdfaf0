"""The tagging head's losses and predictions."""

import math

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch.nn import functional as F

from seqapps.cells import Lengths
from seqapps.data.indexed import IndexedSplit, read_forms
from seqapps.data.requests import Request, merge_requests
from seqapps.data.resources import Resources
from seqapps.heads.tagging import Tagging
from seqapps.modules.encoded import Encoded

TAGS = [["B-X", "I-X", "O"], ["O", "B-Y"], ["B-X"]]
ROWS = Dataset.from_dict({"tokens": [["a"] * len(tags) for tags in TAGS], "tags": TAGS})


class Width(torch.nn.Module):
    output_size = 6


def ready(**fields):
    columns = read_forms(ROWS, ["tokens", "tags"], "train")
    resources = Resources.build(
        merge_requests([Request("tokens", "tokens"), Request("tags", "tags", "label")]), columns
    )
    split = IndexedSplit(columns, resources, "train")
    torch.manual_seed(0)
    head = Tagging(Width(), resources.vocabularies, column="tags", **fields)
    batch = split.batch(np.arange(3))
    lengths = Lengths(torch.tensor([3, 2, 1]), 3)
    outputs = torch.randn(3, 3, 6)
    return head, batch, Encoded(outputs, outputs[:, 0], None, lengths), split


def test_softmax_loss_is_cross_entropy_summed_over_real_tokens():
    head, batch, encoded, _ = ready()
    scores, gold = head.output(encoded.outputs), batch.fields["tags"].values
    expected = sum(F.cross_entropy(scores[b, t], gold[b, t]) for b, n in enumerate([3, 2, 1]) for t in range(n))
    loss = head.loss(encoded, batch)
    assert loss.total.item() == pytest.approx(expected.item(), rel=1e-6)
    assert (loss.count, loss.unit) == (6, "token")


def test_sigmoid_loss_asks_one_question_per_label():
    head, batch, encoded, _ = ready(activation="sigmoid")
    scores, gold = head.output(encoded.outputs).sigmoid(), batch.fields["tags"].values
    expected = 0.0
    for b, n in enumerate([3, 2, 1]):
        for t in range(n):
            for label in range(scores.size(-1)):
                p = scores[b, t, label].item()
                expected -= math.log(p if label == gold[b, t] else 1 - p)
    assert head.loss(encoded, batch).total.item() == pytest.approx(expected, rel=1e-5)


def test_a_crf_counts_sentences():
    head, batch, encoded, _ = ready(crf=True)
    loss = head.loss(encoded, batch)
    likelihood = head.crf.log_likelihood(
        head.output(encoded.outputs), batch.fields["tags"].values, torch.tensor([3, 2, 1])
    )
    assert (loss.count, loss.unit) == (3, "sentence")
    assert loss.total.item() == pytest.approx(-likelihood.sum().item(), rel=1e-6)


@pytest.mark.parametrize("fields", [{}, {"activation": "sigmoid"}])
def test_the_predicted_label_is_the_one_with_the_highest_score(fields):
    head, batch, encoded, _ = ready(**fields)
    scores = head.output(encoded.outputs)
    probabilities = scores.sigmoid() if fields else scores.softmax(-1)
    for b, (n, tagged) in enumerate(zip([3, 2, 1], head.predict(encoded, batch), strict=True)):
        best = scores[b, :n].argmax(-1).tolist()
        assert tagged.labels == [head.labels[i] for i in best]
        assert tagged.probabilities == pytest.approx([probabilities[b, t, i].item() for t, i in enumerate(best)])


def test_a_constrained_crf_predicts_only_what_the_scheme_allows():
    head, batch, encoded, _ = ready(crf=True)
    with torch.no_grad():
        head.output.bias[head.labels.index("I-X")] = 50.0
    free, free_batch, free_encoded, _ = ready(crf=True, constraints=False)
    with torch.no_grad():
        free.output.bias[free.labels.index("I-X")] = 50.0
    assert [t.labels for t in free.predict(free_encoded, free_batch)] == [["I-X"] * 3, ["I-X"] * 2, ["I-X"]]
    assert head.predict(encoded, batch)[0].labels == ["B-X", "I-X", "I-X"]
    assert "I-X" not in head.predict(encoded, batch)[2].labels


def test_span_tags_make_f1_the_headline_unless_told_otherwise():
    assert ready()[0].headline == "f1"
    assert ready(spans="no")[0].headline == "accuracy"


def test_every_score_that_is_announced_is_measured():
    for fields in ({}, {"spans": "no"}):
        head, batch, encoded, split = ready(**fields)
        found = head.evaluate(split, head.predict(encoded, batch), None)
        assert set(head.scores) == set(found.scores)
        assert found.headline == head.headline


def test_perfect_predictions_score_one():
    head, _, _, split = ready()
    from seqapps.heads.tagging import Tagged

    found = head.evaluate(split, [Tagged(tags, []) for tags in TAGS], None)
    assert found.scores["f1"].value == found.scores["accuracy"].value == 1.0


def test_baselines_are_fitted_on_train_and_predict_every_sentence():
    head, _, _, split = ready()
    for name, predictions in head.baselines(split, split):
        assert name in ("most_frequent_tag", "hidden_markov_model")
        assert [len(p.labels) for p in predictions] == [3, 2, 1]


def test_a_crf_with_sigmoids_is_a_fault():
    fields = {"crf": True, "activation": "sigmoid"}
    assert [name for name, _ in Tagging.check_fields(fields)] == ["activation"]
