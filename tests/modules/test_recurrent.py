"""Deep and bidirectional encoders."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqapps.modules.recurrent import RecurrentEncoder
from seqapps.recipe.spec import Spec

LENGTHS = torch.tensor([9, 6, 3, 1])


def encoder(cell="lstm", **fields):
    torch.manual_seed(0)
    return RecurrentEncoder(5, cell=Spec("cells", cell), hidden_size=6, **fields).double()


@pytest.mark.parametrize("kernels", ["reference", "native"])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("cell", "theirs"), [("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN)])
def test_stacks_equal_torchs_packed_ones(cell, theirs, bidirectional, num_layers, kernels):
    ours = encoder(cell, num_layers=num_layers, bidirectional=bidirectional)
    ours.kernels = kernels
    layer = theirs(5, 6, num_layers, batch_first=True, bidirectional=bidirectional).double()
    with torch.no_grad():
        for number, directions in enumerate(ours.layers):
            for direction, part in enumerate(directions):
                suffix = f"_l{number}" + ("_reverse" if direction else "")
                getattr(layer, "weight_ih" + suffix).copy_(part.input_projection.weight)
                getattr(layer, "bias_ih" + suffix).copy_(part.input_projection.bias)
                getattr(layer, "weight_hh" + suffix).copy_(part.recurrent.weight)
                getattr(layer, "bias_hh" + suffix).copy_(part.recurrent.bias)
    x = torch.randn(4, 9, 5).double()
    packed, last = layer(pack_padded_sequence(x, LENGTHS, batch_first=True))
    expected, _ = pad_packed_sequence(packed, batch_first=True)
    encoded = ours(x, LENGTHS)
    h = last[0] if isinstance(last, tuple) else last
    assert torch.allclose(encoded.outputs, expected, atol=1e-12)
    assert torch.allclose(encoded.summary, torch.cat(list(h[-1 - bidirectional :]), -1), atol=1e-12)
    for number, directions in enumerate(encoded.final):
        for direction, state in enumerate(directions):
            assert torch.allclose(state[0], h[number * (1 + bidirectional) + direction], atol=1e-12)


def test_final_states_can_be_fed_back():
    ours = encoder(num_layers=2)
    x = torch.randn(3, 8, 5).double()
    whole = ours(x, torch.full((3,), 8))
    first = ours(x[:, :5], torch.full((3,), 5))
    second = ours(x[:, 5:], torch.full((3,), 3), first.final)
    assert torch.allclose(torch.cat([first.outputs, second.outputs], 1), whole.outputs, atol=1e-12)


def test_only_one_direction_is_causal():
    assert encoder().causal
    assert not encoder(bidirectional=True).causal


def test_dropout_acts_in_training_only_on_input_layers_and_output():
    ours = encoder(num_layers=2, dropout=0.5)
    x = torch.randn(4, 9, 5).double()
    ours.train()
    dropped = ours(x, LENGTHS).outputs
    assert (dropped[0] == 0).double().mean() > 0.3
    assert not torch.equal(dropped, ours(x, LENGTHS).outputs)
    ours.eval()
    assert torch.equal(ours(x, LENGTHS).outputs, ours(x, LENGTHS).outputs)
    assert (ours(x, LENGTHS).outputs[0] == 0).sum() == 0


def test_a_locked_mask_is_the_same_at_every_step():
    ours = encoder(dropout=0.5, locked_dropout=True).train()
    outputs = ours(torch.randn(4, 9, 5).double(), torch.full((4,), 9)).outputs
    zero = outputs == 0
    assert zero.any()
    assert torch.equal(zero, zero[:, :1].expand_as(zero))
    assert not torch.equal(zero[0], zero[1])  # each sequence has its own


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"hidden_size": 0}, ("hidden_size", "hidden_size is 0, expected 1 or more")),
        ({"num_layers": -1}, ("num_layers", "num_layers is -1, expected 1 or more")),
        ({"dropout": 1.0}, ("dropout", "dropout is 1.0, expected 0 <= dropout < 1")),
    ],
)
def test_fields_out_of_range_are_faults(fields, fault):
    whole = {"hidden_size": 5, "num_layers": 1, "dropout": 0.0, **fields}
    assert RecurrentEncoder.check_fields(whole) == [fault]
