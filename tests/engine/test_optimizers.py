"""Optimizers are torch's under our field names."""

import pytest
import torch
from torch import nn

from seqapps.engine import optimizers
from seqapps.engine.optimizers import evaluation_weights
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
