"""The loss at one token of each sequence, which diagnostics differentiate."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch.nn import functional as F

from seqapps.cells import Lengths
from seqapps.data.indexed import IndexedSplit, read_forms
from seqapps.data.requests import Request, merge_requests
from seqapps.data.resources import Resources
from seqapps.errors import ComponentError
from seqapps.heads.head import Head, Loss
from seqapps.heads.tagging import Tagging
from seqapps.modules.encoded import Encoded

TRAIN = {"tokens": [["a"] * 3, ["a"] * 2, ["a"]], "tags": [["x", "y", "z"], ["y", "y"], ["x"]]}
OTHER = {"tokens": [["a"] * 3], "tags": [["x", "y", "never seen"]]}


def ready(rows, **fields):
    columns = {name: read_forms(Dataset.from_dict(data), ["tokens", "tags"], name) for name, data in rows.items()}
    asked = merge_requests([Request("tokens", "tokens"), Request("tags", "tags", "label")])
    resources = Resources.build(asked, columns["train"])
    torch.manual_seed(0)
    encoder = torch.nn.Linear(1, 1)
    encoder.output_size = 6
    head = Tagging(encoder, resources.vocabularies, column="tags", **fields)
    *_, (name, last) = columns.items()
    split = IndexedSplit(last, resources, name)
    lengths = torch.as_tensor(split.lengths)
    outputs = torch.randn(len(split), 3, 6, requires_grad=True)
    return head, split.batch(np.arange(len(split))), Encoded(outputs, outputs[:, 0], None, Lengths(lengths, 3))


@pytest.mark.parametrize("fields", [{}, {"activation": "sigmoid"}, {"crf": True}])
def test_a_taggers_loss_is_that_of_the_chosen_tokens_own_scores(fields):
    head, batch, encoded = ready({"train": TRAIN}, **fields)
    found = head.loss_at(encoded, batch, torch.tensor([2, 0, 0]))
    expected = 0.0
    for row, token in ((0, 2), (1, 0), (2, 0)):
        scores, gold = head.output(encoded.outputs[row, token]), batch.fields["tags"].values[row, token]
        if fields.get("activation") == "sigmoid":
            targets = F.one_hot(gold, len(scores)).float()
            expected += F.binary_cross_entropy_with_logits(scores, targets, reduction="sum")
        else:
            expected += F.cross_entropy(scores, gold)
    torch.testing.assert_close(found, expected)
    (gradient,) = torch.autograd.grad(found, encoded.outputs)
    assert gradient.flatten(0, 1).abs().sum(-1).nonzero()[:, 0].tolist() == [2, 3, 6]


def test_a_label_that_was_never_seen_has_no_loss():
    head, batch, encoded = ready({"train": TRAIN, "other": OTHER})
    assert head.loss_at(encoded, batch, torch.tensor([2])).item() == 0.0
    assert head.loss_at(encoded, batch, torch.tensor([1])).item() > 0.0


class Whole(Tagging):
    """As a head that does not say how to tell tokens apart."""

    unit = "token"
    loss_at = Head.loss_at

    def loss(self, encoded, batch):
        return Loss(encoded.summary.sum(), encoded.summary.sum().detach(), len(batch), self.unit)


def test_by_default_it_is_the_loss_of_whole_sequences_but_not_of_a_sum_over_tokens():
    head, batch, encoded = ready({"train": TRAIN})
    head.__class__ = Whole
    with pytest.raises(ComponentError, match="Whole: its loss is a sum over tokens"):
        head.loss_at(encoded, batch, torch.zeros(3, dtype=torch.int64))
    Whole.unit = "sentence"
    assert head.loss_at(encoded, batch, torch.zeros(3, dtype=torch.int64)) == encoded.summary.sum()
