"""What the cells' docstrings say beside their equations: options that are one model, starts, torch's rule or not."""

import itertools

import pytest
import torch

from seqapps.cells import GRU, LSTM, QRNN, RNN, SRU, SRU2, IndRNN, MinGRU, MinimalGatedUnit, MinLSTM, unroll
from seqapps.cells.cell import gate_slice
from seqapps.kernels.native import Native
from seqapps.registry import registry

T, B, E, H = 6, 3, 5, 4
RAGGED = torch.tensor([6, 3, 1])


def outputs(cell, seed=1):
    x = torch.randn(T, B, cell.input_size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return torch.cat([unroll(cell, x, None, RAGGED, kernels="reference")[0].flatten(1)])


def made(cell, **fields):
    torch.manual_seed(0)
    return cell(E, H, **fields).double()


def negate_gate(cell, gate):
    """Weights and biases of one gate, in both linear modules, with the opposite sign."""
    rows = gate_slice(cell, gate)
    with torch.no_grad():
        for linear in (cell.input_projection, cell.recurrent):
            for parameter in linear.parameters():
                parameter[rows] *= -1


def test_the_output_gate_only_shows():
    cell = LSTM(2, 3).double()
    c = torch.randn(1, 3).double()
    projected = torch.zeros(1, 12).double()
    projected[:, gate_slice(cell, 3)] = -1e4
    output, (h, new) = cell.pointwise(projected, torch.zeros_like(projected), (torch.zeros_like(c), c))
    assert output.abs().max() == 0
    assert torch.equal(h, output)
    assert torch.allclose(new, torch.sigmoid(torch.zeros(())).double() * c)


@pytest.mark.parametrize(("reset", "bias"), list(itertools.product(["after", "before"], [True, False])))
def test_an_update_gate_that_keeps_is_one_that_writes_with_the_gate_negated(reset, bias):
    keep = made(GRU, update_gate="keep", reset=reset, bias=bias)
    write = made(GRU, update_gate="write", reset=reset, bias=bias)
    write.load_state_dict(keep.state_dict())
    assert not torch.allclose(outputs(keep), outputs(write), atol=1e-3)
    negate_gate(write, 1)
    assert torch.allclose(outputs(keep), outputs(write), atol=1e-14)


def test_coupling_by_the_forget_gate_is_coupling_by_the_input_gate_with_the_gate_negated():
    # f = 1 - i: an LSTM whose forget gate is computed from the negated rows of its input gate.
    coupled, free = made(LSTM, coupled=True), made(LSTM)
    with torch.no_grad():
        for ours, theirs in ((coupled.input_projection, free.input_projection), (coupled.recurrent, free.recurrent)):
            for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
                f, g, o = a.chunk(3)
                b.copy_(torch.cat([-f, f, g, o]))  # i = sigmoid(-a) = 1 - sigmoid(a)
    assert torch.allclose(outputs(coupled), outputs(free), atol=1e-14)


def test_reset_before_and_after_are_two_models():
    after, before = made(GRU), made(GRU, reset="before")
    with torch.no_grad():
        for name in ("weight", "bias"):
            whole = getattr(after.recurrent, name)
            getattr(before.input_projection, name).copy_(getattr(after.input_projection, name))
            getattr(before.recurrent, name).copy_(whole[: 2 * H])
            getattr(before.candidate, name).copy_(whole[2 * H :])
    assert not torch.allclose(outputs(after), outputs(before), atol=1e-3)
    for cell in (after, before):  # an open reset gate makes them one
        with torch.no_grad():
            cell.input_projection.bias[:H] = 1e4
    assert torch.allclose(outputs(after), outputs(before), atol=1e-14)


def test_a_full_peephole_with_diagonal_matrices_is_a_diagonal_one():
    diagonal, full = made(LSTM, peephole="diagonal"), made(LSTM, peephole="full")
    state = diagonal.state_dict()
    full.load_state_dict({n: torch.diag(p) if n.startswith("peephole") else p for n, p in state.items()})
    assert torch.allclose(outputs(diagonal), outputs(full), atol=1e-14)


def test_peepholes_of_zero_are_none():
    plain, peephole = made(LSTM), made(LSTM, peephole="diagonal")
    zeros = {name: torch.zeros_like(p) for name, p in peephole.state_dict().items() if name.startswith("peephole")}
    peephole.load_state_dict({**plain.state_dict(), **zeros})
    assert torch.equal(outputs(plain), outputs(peephole))


@pytest.mark.parametrize("cell", [LSTM, GRU])
def test_layer_norm_is_blind_to_the_scale_of_each_product(cell):
    normal = made(cell, layer_norm=True)
    before = outputs(normal)
    with torch.no_grad():
        normal.input_projection.weight *= 100
        normal.recurrent.weight *= 100
    # Not exactly: there is 1e-5 beside the variance, and h_0 = 0 stays 0.
    assert torch.allclose(outputs(normal), before, atol=1e-3)
    plain = made(cell)
    before = outputs(plain)
    with torch.no_grad():
        plain.input_projection.weight *= 100
    assert not torch.allclose(outputs(plain), before, atol=1e-1)


def test_shut_gates_of_a_minlstm_share_what_there_is():
    # f and i are both 0 in floating point; f / (f + i) would be 0 / 0. Equal logits give one half each.
    cell = made(MinLSTM)
    projected = torch.tensor([-2000.0, -2000.0, 0.3]).double().repeat_interleave(H)[None]
    a, b = cell.coefficients(projected)
    assert a.flatten().tolist() == [0.5] * H
    assert b.flatten().tolist() == pytest.approx([0.15] * H)


@pytest.mark.parametrize("cell", [SRU, SRU2])
def test_the_highway_of_an_sru_carries_x_itself_where_sizes_allow(cell):
    alpha = {SRU: 1.0, SRU2: 3**0.5}[cell]
    torch.manual_seed(0)
    equal, other = cell(H, H).double(), cell(E, H).double()
    assert (equal.input_projection.out_features, other.input_projection.out_features) == (3 * H, 4 * H)
    with torch.no_grad():
        equal.input_projection.bias[gate_slice(equal, 2)] = -1e4  # r shut: only the highway is seen
    x = torch.randn(T, B, H).double()
    shown, _ = unroll(equal, x, None, torch.full((B,), T), kernels="reference")
    assert torch.allclose(shown, alpha * x)


@pytest.mark.parametrize("highway_bias", [0.0, -3.0])
def test_the_output_of_an_sru2_varies_about_as_much_as_its_input(highway_bias):
    # What alpha is for: without it the variance of h would fall layer by layer.
    torch.manual_seed(0)
    x = torch.randn(50, 20, 256)
    for _ in range(4):
        cell = SRU2(256, 256, highway_bias=highway_bias)
        with torch.no_grad():
            x, _ = unroll(cell, x, None, torch.full((20,), 50), kernels="reference")
    assert 0.5 < x[10:].var().item() < 1.5


FORGETFUL = [{"peephole": p, "coupled": c, "layer_norm": n, "projection": r}
             for p, c, n, r in itertools.product(["none", "diagonal", "full"], [0, 1], [0, 1], [None, 2])]  # fmt: skip


@pytest.mark.parametrize("fields", FORGETFUL)
def test_the_forget_bias_of_every_lstm_starts_as_one(fields):
    cell = LSTM(E, H, **{**fields, "coupled": bool(fields["coupled"]), "layer_norm": bool(fields["layer_norm"])})
    total = cell.input_projection.bias.clone()
    if cell.recurrent.bias is not None:
        total += cell.recurrent.bias
    rows = gate_slice(cell, 0 if cell.coupled else 1)
    assert total[rows].tolist() == [1.0] * H
    assert (total.detach() == 1.0).sum() == H
    for name, parameter in cell.named_parameters():
        if name.startswith("peephole"):
            assert 0 < parameter.detach().abs().max() <= H**-0.5
        if "norm" in name:
            assert parameter.unique().tolist() == [1.0 if name.endswith("weight") else 0.0]


def test_the_forget_bias_of_a_minlstm_starts_as_one():
    assert MinLSTM(E, H).input_projection.bias[:H].tolist() == [1.0] * H


@pytest.mark.parametrize("cell", [RNN, LSTM, GRU, MinimalGatedUnit, MinGRU, QRNN])
def test_parameters_start_within_torchs_bounds(cell):
    made = cell(50, 16)
    for name, parameter in made.named_parameters():
        if cell is LSTM and name.endswith("bias"):
            continue  # holds the forget bias
        assert parameter.detach().abs().max() <= 0.25
        if name.endswith("weight"):
            assert parameter.detach().std().item() == pytest.approx(0.25 / 3**0.5, rel=0.25)


def test_the_recurrent_weights_of_an_indrnn_start_between_zero_and_one():
    u = IndRNN(3, 2000).recurrent_weight.detach()
    assert u.min() >= 0
    assert u.max() <= 1
    assert u.mean().item() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("cell", [SRU, SRU2])
def test_parameters_of_an_sru_start_as_published(cell):
    made = cell(48, 16, highway_bias=-2.0)
    weight = made.input_projection.weight.detach()
    assert weight.abs().max() <= 0.25  # sqrt(3 / 48)
    assert weight.var().item() == pytest.approx(1 / 48, rel=0.1)
    assert made.input_projection.bias.tolist() == [0.0] * 32 + [-2.0] * 16 + [0.0] * 16


TORCHS = [
    (RNN, {}),
    (RNN, {"nonlinearity": "relu"}),
    (LSTM, {}),
    (GRU, {}),
    (LSTM, {"bias": False}),
]
OTHERS = [
    (RNN, {"nonlinearity": "sigmoid"}),
    (LSTM, {"peephole": "diagonal"}),
    (LSTM, {"peephole": "full"}),
    (LSTM, {"coupled": True}),
    (LSTM, {"layer_norm": True}),
    (LSTM, {"projection": 2}),
    (GRU, {"reset": "before"}),
    (GRU, {"update_gate": "write"}),
    (GRU, {"layer_norm": True}),
    (IndRNN, {}),
    (MinimalGatedUnit, {}),
]


@pytest.mark.parametrize(("cell", "fields"), TORCHS + OTHERS)
def test_torchs_fused_layers_run_exactly_the_cells_that_have_torchs_rule(cell, fields):
    refused = Native().refuses(cell(E, H, **fields), torch.zeros(T, B, E)) is not None
    assert refused == ((cell, fields) in OTHERS)


@pytest.mark.parametrize(
    ("name", "fields", "fault"),
    [
        ("lstm", {"projection": 0}, ("projection", "projection is 0, expected 1 or more")),
        ("sru", {"bias": False, "highway_bias": -1.0},
         ("highway_bias", "highway_bias is -1.0, but bias is false; set bias: true")),
        ("sru2", {"bias": False, "highway_bias": -1.0},
         ("highway_bias", "highway_bias is -1.0, but bias is false; set bias: true")),
    ],
)  # fmt: skip
def test_fields_that_do_not_fit_are_told(name, fields, fault):
    assert registry("cells").load(name).check_fields({"projection": None, **fields}) == [fault]


@pytest.mark.parametrize(
    ("cell", "fields", "names"),
    [
        (LSTM, {"projection": 2, "peephole": "full"}, ("recurrent",)),
        (GRU, {}, ("recurrent",)),
        (GRU, {"reset": "before", "layer_norm": True}, ("recurrent", "candidate")),
        (MinimalGatedUnit, {}, ("recurrent", "candidate")),
        (IndRNN, {}, ()),
        (MinGRU, {}, ()),
        (SRU2, {}, ()),
    ],
)
def test_regularisers_act_on_what_multiplies_the_old_state(cell, fields, names):
    assert cell(E, H, **fields).recurrent_names() == names


@pytest.mark.parametrize("note", ["not x_{t-1}", "defines c_t, not h_t", "f_t = 1 - i_t is the same model"])
def test_the_lstms_docstring_says_where_teaching_texts_slip(note):
    assert note in " ".join(LSTM.__doc__.split())
