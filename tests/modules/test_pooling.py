"""One vector from a sequence: against loops over each sequence alone, with NaN where there is padding."""

import math

import pytest
import torch

from seqapps.cells import Lengths
from seqapps.modules.encoded import Encoded
from seqapps.modules.pooling import Pool

RAGGED = [4, 1, 3]


def encoded(x, lengths, summary=None):
    return Encoded(x, x[:, 0] if summary is None else summary, None, Lengths(torch.tensor(lengths), x.size(1)))


def with_nan(lengths=RAGGED):
    """(B, T, F) whose padding is NaN; one position more than the longest sequence has."""
    torch.manual_seed(0)
    x = torch.randn(len(lengths), max(lengths) + 1, 5, dtype=torch.float64)
    for row, n in enumerate(lengths):
        x[row, n:] = math.nan
    return x.requires_grad_()


def by_hand(pool, x):
    """One sequence (n, F) without padding, one position and one component after another."""
    rows = list(x)
    if pool.kind == "mean":
        return sum(rows) / len(rows)
    if pool.kind == "max":
        return torch.stack([max(row[f] for row in rows) for f in range(x.size(1))])
    scores = [torch.dot(pool.context, torch.tanh(pool.hidden.weight @ row + pool.hidden.bias)) for row in rows]
    total = sum(score.exp() for score in scores)
    return sum(score.exp() / total * row for score, row in zip(scores, rows, strict=True))


@pytest.mark.parametrize("kind", ["mean", "max", "attention"])
@pytest.mark.parametrize("lengths", [RAGGED, [1, 1], [3, 3]])
def test_a_batch_pools_each_sequence_as_if_it_were_alone_whatever_stands_on_padding(kind, lengths):
    x = with_nan(lengths)
    pool = Pool(5, kind).double()
    found = pool(encoded(x, lengths))
    expected = torch.stack([by_hand(pool, x[row, :n]) for row, n in enumerate(lengths)])
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(found)
    wanted = [x, *pool.parameters()]
    ours = torch.autograd.grad((found * weights).sum(), wanted)
    theirs = torch.autograd.grad((expected * weights).sum(), wanted)
    for gradient, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(gradient, other)


def test_last_is_the_encoders_summary():
    summary = torch.randn(3, 5)
    assert Pool(5, "last")(encoded(with_nan(), RAGGED, summary)) is summary


def test_the_maximum_of_negative_outputs_is_not_the_zero_of_padding():
    x = torch.full((2, 3, 1), -2.0)
    x[1, 1:] = 0.0
    assert Pool(1, "max")(encoded(x, [3, 1])).tolist() == [[-2.0], [-2.0]]
