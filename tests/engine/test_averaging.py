"""The exponential average of weights, and that it is what is evaluated."""

import pytest
import torch
from torch import nn

from seqapps.engine.averaging import ExponentialAverage, evaluation_weights, to_be_averaged


def walk(average, weight, values, first=1):
    for step, value in enumerate(values, first):
        weight.data.fill_(value)
        average.update(step)


def test_the_share_of_a_step_is_ten_in_nine_more_than_its_number_until_the_decay_is_reached():
    torch.manual_seed(0)
    values = torch.rand(300).tolist()
    weight = nn.Parameter(torch.zeros(2))
    average = ExponentialAverage([weight], 0.95)
    walk(average, weight, values)
    expected = 0.0
    for step, value in enumerate(values, 1):
        share = max(0.05, 10 / (9 + step))
        expected = (1 - share) * expected + share * value
    assert average.averages[0].tolist() == pytest.approx([expected] * 2, rel=1e-5)


def test_it_begins_with_the_weights_after_the_first_step():
    weight = nn.Parameter(torch.tensor([5.0]))
    average = ExponentialAverage([weight], 0.999)
    walk(average, weight, [2.0])
    assert average.averages[0].item() == 2.0


def test_the_average_is_evaluated_and_training_goes_on_from_the_weights():
    weight = nn.Parameter(torch.tensor([0.0]))
    average = ExponentialAverage([weight], 0.5)
    walk(average, weight, [1.0, 2.0])
    optimizer = torch.optim.SGD([weight], lr=1.0)
    with evaluation_weights(optimizer, average):
        assert weight.item() == pytest.approx(1 + 10 / 11)
    assert weight.item() == 2.0


def test_it_goes_on_from_what_was_saved():
    weight = nn.Parameter(torch.zeros(3))
    whole, half = ExponentialAverage([weight], 0.9), ExponentialAverage([weight], 0.9)
    values = torch.rand(40).tolist()
    walk(whole, weight, values)
    walk(half, weight, values[:20])
    saved = {name: tensor.clone() for name, tensor in half.tensors().items()}
    resumed = ExponentialAverage([weight], 0.9)
    resumed.load(saved)
    walk(resumed, weight, values[20:], first=21)
    assert torch.equal(resumed.averages[0], whole.averages[0])


def test_statistics_of_batch_normalisation_are_averaged_and_what_is_frozen_is_not():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    model[2].requires_grad_(False)
    names = {tensor.data_ptr(): name for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    assert {names[tensor.data_ptr()] for tensor in to_be_averaged(model)} == {
        "0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var",
    }  # fmt: skip
