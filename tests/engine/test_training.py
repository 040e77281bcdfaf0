"""The loop: sums that are divided once, clipping, positions."""

import copy

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch import nn

from seqapps.data.batching import BatchSampler
from seqapps.data.indexed import IndexedSplit, read_forms
from seqapps.data.resources import Resources
from seqapps.engine.assembly import requests_of
from seqapps.engine.model import build_model
from seqapps.engine.schedules import Constant
from seqapps.engine.training import Clipping, Loop, Position, train
from seqapps.recipe.recipe import Batching
from seqapps.recipe.recipe import Model as ModelSection
from seqapps.recipe.spec import Spec

SECTION = ModelSection(
    embedder=Spec("embedders", "tokens", {"size": 5, "column": "tokens", "lowercase": False, "min_frequency": 1,
                                          "max_size": None, "vectors": None, "vectors_words": "training"}),
    encoder=Spec("encoders", "recurrent", {"cell": Spec("cells", "gru"), "hidden_size": 4}),
    head=Spec("heads", "tagging", {"column": "tags"}),
)  # fmt: skip


def loop(**changes):
    random = np.random.default_rng(0)
    rows = [[f"w{random.integers(9)}" for _ in range(random.integers(1, 8))] for _ in range(24)]
    data = Dataset.from_dict({"tokens": rows, "tags": [[f"t{int(w[1:]) % 3}" for w in row] for row in rows]})
    columns = read_forms(data, ["tokens", "tags"], "train")
    resources = Resources.build(requests_of(SECTION), columns)
    split = IndexedSplit(columns, resources, "train")
    torch.manual_seed(0)
    model = build_model(SECTION, resources.vocabularies, "auto").double()
    settings = {"total_steps": 10, "epochs": 1, **changes}
    sampler = settings.pop("sampler", BatchSampler(split.lengths, Batching(sentences=8, pool=1), 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    return Loop(model, optimizer, Constant(), split, sampler, Position(), **settings)


class Chosen:
    """A sampler of given batches."""

    def __init__(self, *batches):
        self.batches = [np.array(batch) for batch in batches]

    def epoch(self, number):
        return self.batches


def weights(loop):
    return {name: p.detach().clone() for name, p in loop.model.named_parameters()}


def test_accumulated_batches_of_any_size_give_the_step_of_the_one_large_batch():
    whole = loop(sampler=Chosen(range(24)))
    parts = loop(sampler=Chosen(range(15), range(15, 16), range(16, 24)), accumulate=3)
    (one,), (three,) = list(train(whole)), list(train(parts))
    assert one.loss == pytest.approx(three.loss, rel=1e-12)
    assert one.gradient_norm == pytest.approx(three.gradient_norm, rel=1e-12)
    for name, value in weights(whole).items():
        assert torch.allclose(value, weights(parts)[name], atol=1e-14), name


def test_a_gradient_above_the_limit_is_scaled_to_it_and_one_below_is_left():
    free = loop(sampler=Chosen(range(24)))
    start = weights(free)
    (step,) = list(train(free))
    move = {name: start[name] - value for name, value in weights(free).items()}  # lr is 1: the gradient itself
    assert torch.sqrt(sum(g.square().sum() for g in move.values())).item() == pytest.approx(step.gradient_norm)
    for limit in (step.gradient_norm / 2, step.gradient_norm * 2):
        clipped = loop(sampler=Chosen(range(24)), clipping=Clipping(norm=limit))
        (same,) = list(train(clipped))
        assert same.gradient_norm == pytest.approx(step.gradient_norm)
        factor = min(1.0, limit / step.gradient_norm)
        for name, value in weights(clipped).items():
            assert torch.allclose(start[name] - value, factor * move[name], atol=1e-14), name


def test_clipping_equals_torchs():
    torch.manual_seed(0)
    ours = [nn.Parameter(torch.zeros(4, 3)), nn.Parameter(torch.zeros(5))]
    for parameter in ours:
        parameter.grad = torch.randn_like(parameter)
    theirs = copy.deepcopy(ours)
    for mine, other in zip(ours, theirs, strict=True):
        other.grad = mine.grad.clone() / 7
    norm = Clipping(norm=0.1).apply(ours, count=7)
    assert norm == pytest.approx(nn.utils.clip_grad_norm_(theirs, 0.1).item())
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.allclose(mine.grad, other.grad, atol=1e-7)


def test_components_are_cut_to_the_limit_by_value():
    parameter = nn.Parameter(torch.zeros(3))
    parameter.grad = torch.tensor([-5.0, 0.2, 3.0])
    Clipping(value=0.5).apply([parameter])
    assert parameter.grad.tolist() == pytest.approx([-0.5, 0.2, 0.5])


def test_a_loop_goes_on_from_its_position():
    steps = [(s.number, round(s.epoch, 4), s.ends_epoch) for s in train(loop(epochs=2))]
    assert steps == [
        (1, 0.3333, False),
        (2, 0.6667, False),
        (3, 1.0, True),
        (4, 1.3333, False),
        (5, 1.6667, False),
        (6, 2.0, True),
    ]
    begun = loop(epochs=2)
    begun.position = Position(epoch=1, batches=1, step=4)
    assert [(s.number, round(s.epoch, 4), s.ends_epoch) for s in train(begun)] == steps[4:]


def test_tokens_count_what_is_real():
    begun = loop()
    assert sum(step.tokens for step in train(begun)) == int(begun.batches.lengths.sum())
