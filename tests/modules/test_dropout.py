"""Dropout: `p` is the probability of dropping, expectations are kept."""

import pytest
import torch

from seqapps.modules.dropout import drop, word_dropout


@pytest.mark.parametrize("p", [0.1, 0.33, 0.5, 0.9])
@pytest.mark.parametrize("locked", [False, True])
def test_the_share_dropped_and_the_expectation(p, locked):
    torch.manual_seed(0)
    x = torch.ones(3 if locked else 30, 50, 200)
    y = drop(x, p, locked=locked, training=True)
    kept = y[y != 0]
    assert (y == 0).float().mean().item() == pytest.approx(p, abs=0.02)
    assert kept.unique().tolist() == pytest.approx([1 / (1 - p)], rel=1e-4)
    assert y.mean().item() == pytest.approx(1.0, abs=0.05)


def test_draws_decide_element_by_element():
    # Keep probability 0.5, x = (0.5, 0.4, -0.5), kept are the last two: (0, 0.8, -1).
    x = torch.tensor([0.5, 0.4, -0.5])
    for seed in range(200):
        torch.manual_seed(seed)
        y = drop(x.view(1, 1, 3), 0.5, locked=False, training=True).flatten()
        assert all(v in (0.0, 2 * u) for u, v in zip(x.tolist(), y.tolist(), strict=True))
        if y.tolist() == pytest.approx([0.0, 0.8, -1.0]):
            return
    pytest.fail("of 200 draws none kept just the last two")


def test_gradients_pass_through_the_same_mask():
    torch.manual_seed(0)
    x = torch.ones(4, 5, 6, requires_grad=True)
    y = drop(x, 0.4, locked=False, training=True)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_nothing_happens_outside_training_or_at_zero():
    x = torch.randn(2, 3, 4)
    assert drop(x, 0.5, locked=False, training=False) is x
    assert drop(x, 0.0, locked=False, training=True) is x


def test_rare_words_become_unknown_more_often():
    torch.manual_seed(0)
    numbers = torch.tensor([2, 3]).repeat(20000, 1)
    frequencies = torch.tensor([0.0, 0.0, 1.0, 100.0])
    dropped = word_dropout(numbers, frequencies, 0.25, unk=1) == 1
    share = dropped.float().mean(0).tolist()
    assert share == pytest.approx([0.25 / 1.25, 0.25 / 100.25], abs=0.01)
