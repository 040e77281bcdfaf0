"""The tutorial's second cell: the diagonal peephole LSTM from its pointwise rule."""

import ast
import inspect
from pathlib import Path

import pytest
import seqapps_mgu
import torch
from torch import nn

from seqapps.cells import LSTM, PointwiseCell, unroll
from seqapps.testing import check_cell, options

README = Path(__file__).parents[1] / "README.md"


class PeepholeLSTM(PointwiseCell):
    """LSTM whose gates see the cell (Gers, Schraudolph and Schmidhuber 2002). Fields: bias."""

    gates, states = 4, 2
    gate_names = ("input", "forget", "output")
    keep_gates, write_gates = (1,), (0,)

    def __init__(self, input_size, hidden_size, /, *, bias: bool = True):
        super().__init__(input_size, hidden_size, bias=bias)
        self.peepholes = nn.Parameter(torch.empty(3, hidden_size))
        self.reset_parameters()

    def pointwise(self, projected, recurrent, state):
        _, c = state
        i, f, g, o = (projected + recurrent).chunk(4, -1)
        p_i, p_f, p_o = self.peepholes
        c = torch.sigmoid(i + p_i * c) * torch.tanh(g) + torch.sigmoid(f + p_f * c) * c
        h = torch.sigmoid(o + p_o * c) * torch.tanh(c)
        return h, (h, c)


@pytest.mark.parametrize("fields", options(PeepholeLSTM))
def test_it_keeps_the_contract_of_cells(fields):
    check_cell(PeepholeLSTM, **fields)


def test_it_is_the_lstm_with_diagonal_peepholes():
    torch.manual_seed(0)
    cell, lstm = PeepholeLSTM(5, 6).double(), LSTM(5, 6, peephole="diagonal").double()
    weights = cell.state_dict()
    peepholes = weights.pop("peepholes")
    lstm.load_state_dict({**weights, **dict(zip(("peephole_i", "peephole_f", "peephole_o"), peepholes, strict=True))})
    x, lengths = torch.randn(9, 3, 5).double(), torch.tensor([9, 4, 1])
    outputs, final = unroll(cell, x, None, lengths)
    expected, expected_final = unroll(lstm, x, None, lengths, kernels="reference")
    for one, other in zip((outputs, *final), (expected, *expected_final), strict=True):
        assert torch.allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("cell", [seqapps_mgu.MGU, PeepholeLSTM])
def test_a_cell_is_at_most_15_lines_and_the_tutorial_shows_them(cell):
    source = inspect.getsource(cell)
    docstring = ast.parse(source).body[0].body[0]
    lines = source.splitlines()
    code = [*lines[: docstring.lineno - 1], *lines[docstring.end_lineno :]]
    assert len([line for line in code if line.strip()]) <= 15
    body = "\n".join(lines[docstring.end_lineno :]).strip("\n")
    assert body in README.read_text(encoding="utf8")
