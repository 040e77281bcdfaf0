"""Optimizers are torch's under our field names."""

import pytest
import torch
from torch import nn

from seqapps.engine import optimizers
from seqapps.engine.averaging import evaluation_weights
from seqapps.registry import registry


@pytest.mark.parametrize(
    ("name", "fields", "theirs"),
    [
        ("adam", {"lr": 0.01, "amsgrad": True}, lambda p: torch.optim.Adam(p, 0.01, amsgrad=True)),
        ("adamw", {"lr": 0.01}, lambda p: torch.optim.AdamW(p, 0.01)),
        ("sgd", {"lr": 0.1, "momentum": 0.9}, lambda p: torch.optim.SGD(p, 0.1, 0.9)),
        ("adagrad", {"lr": 0.1, "lr_decay": 0.1}, lambda p: torch.optim.Adagrad(p, 0.1, 0.1)),
        ("asgd", {"lr": 0.1, "lambd": 1e-4, "t0": 2}, lambda p: torch.optim.ASGD(p, 0.1, t0=2)),
    ],
)  # fmt: skip
def test_the_same_steps_as_torchs_own(name, fields, theirs):
    torch.manual_seed(0)
    start, data = torch.randn(4, 3), torch.randn(6, 8, 4)

    def train(make):
        weight = nn.Parameter(start.clone())
        optimizer = make([weight])
        for x in data:
            optimizer.zero_grad()
            (x @ weight).tanh().pow(2).sum().backward()
            optimizer.step()
        return weight.detach()

    ours = train(lambda p: registry("optimizers").load(name)(p, **fields))
    assert torch.allclose(ours, train(theirs), atol=1e-6)


def test_averaged_sgd_is_evaluated_with_the_mean_of_its_weights():
    weight = nn.Parameter(torch.tensor([1.0]))
    optimizer = optimizers.ASGD([weight], lr=0.1, t0=0)
    seen = []
    for _ in range(4):
        optimizer.zero_grad()
        (weight**2).sum().backward()
        optimizer.step()
        seen.append(weight.item())
    current = weight.item()
    with evaluation_weights(optimizer):
        # torch begins its average anew with the weights after step t0 + 2.
        assert weight.item() == pytest.approx(sum(seen[1:]) / 3, rel=1e-5)
    assert weight.item() == current


def test_nesterov_without_momentum_is_a_fault():
    assert optimizers.SGD.check_fields({"lr": 0.1, "nesterov": True, "momentum": 0.0})[0][0] == "nesterov"


def test_averaging_begins_when_the_score_is_worse_than_the_best_of_long_ago():
    weight = nn.Parameter(torch.tensor([0.0]))
    optimizer = registry("optimizers").load("ntasgd")([weight], lr=1.0, patience=2)
    seen = []
    for perplexity in (9.0, 8.0, 7.0, 7.5, 8.5, 6.0, 6.0):  # the fifth is worse than 8.0, the best of those before 7.0
        weight.grad = torch.tensor([-1.0])
        optimizer.step()
        with evaluation_weights(optimizer):
            seen.append(weight.item())
        optimizer.observe(perplexity, higher_is_better=False)
    assert seen == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 6.5]
    assert weight.item() == 7.0


def test_the_average_and_what_was_seen_survive_saving():
    def optimizer():
        weight = nn.Parameter(torch.tensor([0.0]))
        return weight, registry("optimizers").load("ntasgd")([weight], lr=1.0, patience=1)

    def step(weight, made, n):
        for _ in range(n):
            weight.grad = torch.tensor([-1.0])
            made.step()

    weight, made = optimizer()
    for score in (0.9, 0.8, 0.7):  # an accuracy that falls
        made.observe(score, higher_is_better=True)
    step(weight, made, 3)
    with evaluation_weights(made):
        assert weight.item() == 2.0  # of 1, 2, 3
    again, restored = optimizer()
    restored.load_state_dict(made.state_dict())
    again.data.copy_(weight)
    step(again, restored, 1)
    with evaluation_weights(restored):
        assert again.item() == 2.5
    assert again.item() == 4.0
