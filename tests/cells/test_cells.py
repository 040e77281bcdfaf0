"""Each cell computes what its docstring says."""

import pytest
import torch

from seqapps.cells import GRU, LSTM, RNN
from seqapps.cells.cell import gate_slice


def test_cell_state_arithmetic_of_the_textbook():
    # c = (0.5, -0.2, 0.5), f = (1, 0, 0.5), i * g = (-0.5, 0.5, 2) gives f * c + i * g = (0, 0.5, 2.25).
    # Gates are set through their pre-activations: sigmoid(+-1e4) is 1 or 0, logit(0.5) = 0; i * g with i = sigmoid(x).
    cell = LSTM(1, 3).double()
    c = torch.tensor([[0.5, -0.2, 0.5]], dtype=torch.float64)
    f = torch.tensor([1e4, -1e4, 0.0])
    written = torch.tensor([-0.5, 0.5, 2.0])
    # tanh stays below 1, so the third value is out of reach of one step from i <= 1; scale by 1/4 throughout.
    i = torch.full((3,), 1e4)
    g = torch.atanh(written / 4)
    projected = torch.cat([i, f, g, torch.zeros(3)])[None].double()
    _, (_, new) = cell.pointwise(projected, torch.zeros_like(projected), (torch.zeros_like(c), c / 4))
    assert (4 * new).flatten().tolist() == pytest.approx([0.0, 0.5, 2.25], abs=1e-6)


def test_the_output_gate_only_shows():
    cell = LSTM(2, 3).double()
    c = torch.randn(1, 3).double()
    projected = torch.zeros(1, 12).double()
    projected[:, gate_slice(cell, 3)] = -1e4
    output, (h, new) = cell.pointwise(projected, torch.zeros_like(projected), (torch.zeros_like(c), c))
    assert output.abs().max() == 0
    assert torch.equal(h, output)
    assert torch.allclose(new, torch.sigmoid(torch.zeros(())).double() * c)


def test_an_update_gate_of_one_keeps_the_state_and_of_zero_writes_the_candidate():
    cell = GRU(2, 3).double()
    h = torch.randn(1, 3).double()
    for z, expected in ((1e4, h), (-1e4, torch.tanh(torch.full((1, 3), 0.3)).double())):
        projected = torch.cat([torch.zeros(3), torch.full((3,), z), torch.full((3,), 0.3)])[None].double()
        _, (new,) = cell.pointwise(projected, torch.zeros_like(projected), (h,))
        assert torch.allclose(new, expected)


def test_concatenated_input_and_state_equal_the_split_form():
    # [U W] on the vector [h; x] is U h + W x.
    cell = RNN(4, 3).double()
    x, h = torch.randn(2, 4).double(), torch.randn(2, 3).double()
    joined = torch.cat([cell.recurrent.weight, cell.input_projection.weight], 1)
    expected = torch.tanh(torch.cat([h, x], 1) @ joined.t() + cell.input_projection.bias + cell.recurrent.bias)
    output, _ = cell.step(cell.project(x), (h,))
    assert torch.allclose(output, expected)


def test_the_forget_bias_of_an_lstm_starts_as_one():
    cell = LSTM(4, 3)
    total = cell.input_projection.bias + cell.recurrent.bias
    assert total[gate_slice(cell, 1)].tolist() == [1.0] * 3


@pytest.mark.parametrize("cell", [RNN, LSTM, GRU])
def test_parameters_start_within_torchs_bounds(cell):
    made = cell(50, 16)
    for name, parameter in made.named_parameters():
        if cell is LSTM and name.endswith("bias"):
            continue  # holds the forget bias
        assert parameter.detach().abs().max() <= 0.25
        if name.endswith("weight"):
            assert parameter.detach().std().item() == pytest.approx(0.25 / 3**0.5, rel=0.25)
