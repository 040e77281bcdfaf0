"""Cells from and to the layers of torch.nn, held to torch's own packed sequences."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqapps.cells import GRU, LSTM, RNN, IndRNN, cell_from_torch, copy_to_torch, unroll
from seqapps.errors import ComponentError, ShapeError

T, B, E, H = 7, 4, 5, 6
RAGGED = torch.tensor([7, 4, 2, 1])
KINDS = [
    (nn.RNN, {"nonlinearity": "tanh"}),
    (nn.RNN, {"nonlinearity": "relu"}),
    (nn.GRU, {}),
    (nn.LSTM, {}),
    (nn.LSTM, {"proj_size": 3}),
]
STACKS = [
    (kind, {**fields, "num_layers": depth, "bidirectional": both, "bias": bias})
    for (kind, fields), depth, both, bias in itertools.product(KINDS, [1, 2], [False, True], [True, False])
]


def stacked(module, fields):
    torch.manual_seed(0)
    return module(E, H, **fields).double()


def places(module):
    """(layer, reverse) in torch's order of final states."""
    return list(itertools.product(range(module.num_layers), [False, True] if module.bidirectional else [False]))


def run(cells, x):
    """Outputs and final states of {(layer, reverse): cell}."""
    finals = []
    for layer in sorted({layer for layer, _ in cells}):
        both = [
            unroll(cell, x, None, RAGGED, reverse=reverse)
            for (number, reverse), cell in cells.items()
            if number == layer
        ]
        x = torch.cat([outputs for outputs, _ in both], -1)
        finals += [final for _, final in both]
    return x, finals


@pytest.mark.parametrize(("kind", "fields"), STACKS)
def test_cells_from_torch_compute_what_the_packed_layers_do(kind, fields):
    module = stacked(kind, fields)
    x = torch.randn(T, B, E, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    packed, last = module(pack_padded_sequence(x, RAGGED))
    expected, _ = pad_packed_sequence(packed)
    cells = {place: cell_from_torch(module, place[0], reverse=place[1]) for place in places(module)}
    outputs, finals = run(cells, x)
    assert torch.allclose(outputs, expected, atol=1e-12)
    last = last if isinstance(last, tuple) else (last,)
    for number, final in enumerate(finals):
        for ours, theirs in zip(final, last, strict=True):
            assert torch.allclose(ours, theirs[number], atol=1e-12)


@pytest.mark.parametrize(("kind", "fields"), STACKS)
def test_there_and_back_is_the_same_module(kind, fields):
    module = stacked(kind, fields)
    torch.manual_seed(1)
    other = kind(E, H, **fields).double()
    for layer, reverse in places(module):
        copy_to_torch(cell_from_torch(module, layer, reverse=reverse), other, layer, reverse=reverse)
    assert list(module.state_dict()) == list(other.state_dict())
    for name, parameter in module.state_dict().items():
        assert torch.equal(parameter, other.state_dict()[name])


@pytest.mark.parametrize(
    ("cell", "kind", "fields"),
    [
        (LSTM, nn.LSTM, {}),
        (GRU, nn.GRU, {}),
        (RNN, nn.RNN, {}),
        (LSTM, nn.LSTM, {"proj_size": 2}),
    ],
)
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_a_cell_of_ours_runs_in_torch(cell, kind, fields):
    torch.manual_seed(0)
    ours = cell(E, H, projection=2) if fields else cell(E, H)
    theirs = kind(E, H, **fields)
    copy_to_torch(ours, theirs)
    x = torch.randn(T, B, E)
    expected, _ = unroll(ours, x, None, torch.full((B,), T), kernels="reference")
    assert torch.allclose(theirs(x)[0], expected, atol=1e-6)


def test_copies_share_nothing():
    module = stacked(nn.LSTM, {})
    cell = cell_from_torch(module)
    before = module.weight_ih_l0.detach().clone()
    with torch.no_grad():
        cell.input_projection.weight.zero_()
    assert torch.equal(module.weight_ih_l0, before)
    assert cell.recurrent.weight.dtype == torch.float64


class OwnLSTM(nn.LSTM):
    pass


@pytest.mark.parametrize("module", [nn.Linear(2, 3), nn.LSTMCell(2, 3), OwnLSTM(2, 3)])
def test_other_modules_are_refused(module):
    with pytest.raises(ComponentError, match=rf"{type(module).__name__}: not a torch.nn.LSTM, GRU or RNN"):
        cell_from_torch(module)


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(ShapeError, match="layer is 2, expected 0 to 1"):
        cell_from_torch(nn.GRU(E, H, num_layers=2), 2)


def test_a_direction_that_is_not_there_is_refused():
    with pytest.raises(ShapeError, match="the module reads in one direction"):
        cell_from_torch(nn.GRU(E, H), reverse=True)


@pytest.mark.parametrize(
    ("cell", "module", "reason"),
    [
        (GRU(E, H), nn.LSTM(E, H), "it is a GRU, expected LSTM"),
        (IndRNN(E, H), nn.RNN(E, H), "it is a IndRNN, expected RNN"),
        (RNN(E, H), nn.RNN(E, H, nonlinearity="relu"), "its nonlinearity is tanh, the module's relu"),
        (LSTM(E, H, peephole="diagonal"), nn.LSTM(E, H), "it has options that torch does not have"),
        (LSTM(E, H, coupled=True), nn.LSTM(E, H), "it has options that torch does not have"),
        (LSTM(E, H, layer_norm=True), nn.LSTM(E, H), "it has options that torch does not have"),
        (GRU(E, H, update_gate="write"), nn.GRU(E, H), "it has options that torch does not have"),
        (GRU(E, H, reset="before"), nn.GRU(E, H), "it has options that torch does not have"),
    ],
)
def test_a_rule_that_torch_does_not_have_is_not_copied(cell, module, reason):
    with pytest.raises(ComponentError, match=reason):
        copy_to_torch(cell, module)


@pytest.mark.parametrize(
    ("cell", "module"),
    [
        (LSTM(E, H), nn.LSTM(E, H + 1)),
        (LSTM(E, H), nn.LSTM(E, H, bias=False)),
        (LSTM(E, H, bias=False), nn.LSTM(E, H)),
        (LSTM(E, H, projection=2), nn.LSTM(E, H)),
        (LSTM(E, H), nn.LSTM(E, H, proj_size=2)),
    ],
)
def test_other_sizes_are_refused(cell, module):
    with pytest.raises(ShapeError, match=r"copy_to_torch: the cell's parameters have shapes"):
        copy_to_torch(cell, module)
