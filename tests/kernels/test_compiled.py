"""The generated CPU kernel against the steps, compiled and on tensors."""

import logging
import subprocess

import pytest
import torch

from seqapps.cells import GRU, LSTM, Cell, PointwiseCell, unroll
from seqapps.cells.regularizers import Regularizers
from seqapps.cells.unroll import unroll_steps
from seqapps.errors import ComponentError
from seqapps.kernels import c_library, compiled
from seqapps.kernels.c_text import c_source
from seqapps.kernels.compiled import Compiled
from seqapps.kernels.rule import rule_of
from seqapps.registry import registry

from .conftest import POINTWISE, Motley, Peephole

needs_compiler = pytest.mark.skipif(c_library.compiler() is None, reason="no C compiler")
REGULARIZED = [Regularizers(), Regularizers(recurrent_dropout=0.3, weight_drop=0.2), Regularizers(zoneout=0.4)]


@pytest.fixture(params=[pytest.param(True, marks=needs_compiler), False], ids=["compiled", "on tensors"])
def in_c(request, monkeypatch):
    if not request.param:
        monkeypatch.setattr(compiled, "_library", lambda rule, dtype: None)


@pytest.mark.parametrize(
    ("lengths", "dtype"),
    [((7, 4, 1), torch.float64), ((7, 4, 1), torch.float32), ((5, 5, 5), torch.float64), ((1,), torch.float64)],
)
@pytest.mark.parametrize("regularizers", REGULARIZED)
@pytest.mark.parametrize("make", POINTWISE)
def test_outputs_states_and_gradients_equal_the_steps(
    make, regularizers, lengths, dtype, in_c, results, assert_equal_results
):
    torch.manual_seed(0)
    cell = make(5, 6).to(dtype)
    if not cell.recurrent_names():
        regularizers = regularizers._replace(recurrent_dropout=0.0, weight_drop=0.0)
    cell.regularizers = regularizers
    kernel = Compiled()
    assert kernel.refuses(cell.begin(1), torch.empty(1)) is None
    got, expected = results(cell, kernel.unroll, lengths), results(cell, unroll_steps, lengths)
    assert_equal_results(got, expected, 1e-10 if dtype == torch.float64 else 5e-5)


class Functions(PointwiseCell):
    """Each a state of its own."""

    functions = (torch.exp, torch.tanh, torch.sigmoid, torch.log, torch.log1p)
    gates = states = len(functions)
    has_recurrent = False

    def pointwise(self, projected, recurrent, state):
        new = tuple(f(x) for f, x in zip(self.functions, projected.chunk(self.gates, -1), strict=True))
        return new[0], new


@needs_compiler
@pytest.mark.parametrize("number", range(Functions.states), ids=[f.__name__ for f in Functions.functions])
def test_functions_are_right_to_the_last_digits(number):
    cell = Functions(1, 1)
    with torch.no_grad():
        cell.input_projection.weight.fill_(1.0)
        cell.input_projection.bias.zero_()
    powers = torch.logspace(-37, 30, 20000)
    x = torch.cat([torch.linspace(-100, 100, 20001), powers, -powers, 1 + torch.linspace(-1e-3, 1e-3, 2001)])
    x = torch.cat([x, torch.tensor([0.0, -1.0, float("inf"), -float("inf"), float("nan")])])
    _, final = unroll(cell, x[None, :, None], None, torch.ones(len(x), dtype=torch.long), kernels="compiled")
    got, expected = final[number][:, 0], Functions.functions[number](x.double())
    assert torch.equal(got.isnan(), expected.isnan())
    single = expected.float()
    usual = single.isfinite() & (single.abs() > 2e-38) & (single.abs() < 2e38)
    error = ((got.double() - expected) / expected).abs()[usual]
    assert error.max() < 4e-7
    rest = ~usual & ~single.isnan() & (single.isinf() | (single == 0))
    assert torch.equal(got[rest], single[rest])


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "dropout"])
@pytest.mark.parametrize("make", [Peephole, LSTM, GRU])
def test_bfloat16_autocast_rounds_what_recurrent_products_multiply(make, masked, in_c):
    torch.manual_seed(0)
    cell, x = make(5, 40), torch.randn(7, 3, 5)
    cell.regularizers = Regularizers(recurrent_dropout=0.3 if masked else 0.0)
    lengths = torch.tensor([7, 4, 1])

    def gradients(bf16, kernels, projection=cell.project):
        cell.zero_grad()
        cell.project = projection
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            outputs, _ = unroll(cell, x, None, lengths, kernels=kernels)
        assert outputs.dtype == torch.float32
        outputs.pow(2).sum().backward()
        return outputs.detach(), {name: p.grad.clone() for name, p in cell.named_parameters()}

    def in_fp32(x):
        with torch.autocast("cpu", enabled=False):
            return type(cell).project(cell, x)

    outputs, found = gradients(True, "compiled", in_fp32)
    exact, expected = gradients(False, "reference")
    assert not torch.allclose(outputs, exact, atol=1e-6)
    assert torch.allclose(outputs, exact, atol=0.01)
    for name, gradient in found.items():
        assert gradient.dtype == torch.float32
        assert (gradient - expected[name]).norm() < 0.02 * expected[name].norm()


def test_a_projection_that_is_not_contiguous_is_read_rightly(results, assert_equal_results):
    class Shuffled(Peephole):
        def project(self, x):
            return super().project(x.flip(1)).flip(1).transpose(0, 1).contiguous().transpose(0, 1)

    torch.manual_seed(0)
    cell = Shuffled(5, 6).double()
    assert_equal_results(results(cell, Compiled().unroll), results(cell, unroll_steps), 1e-10)


class Stepping(Cell):
    def step(self, projected, state):
        return state[0], state


class Mixing(PointwiseCell):
    elementwise = False

    def pointwise(self, projected, recurrent, state):
        h = projected.softmax(-1)
        return h, (h,)


class Sneaky(PointwiseCell):
    def pointwise(self, projected, recurrent, state):
        h = projected.softmax(-1)
        return h, (h,)


class OwnStep(LSTM):
    def step(self, projected, state):
        output, state = super().step(projected, state)
        return 2 * output, state


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Stepping, "cannot run Stepping: it writes its own step; derive it from PointwiseCell and write pointwise"),
        (OwnStep, "cannot run OwnStep: it writes its own step"),
        (Mixing, "cannot run Mixing: its rule mixes hidden units"),
        (Sneaky, "cannot run Sneaky: its rule uses _softmax, which no kernel is generated for; use auto or reference"),
    ],
)
def test_a_cell_that_is_not_pointwise_is_refused_with_the_reason(make, message):
    with pytest.raises(ComponentError, match=message):
        unroll(make(3, 4), torch.randn(2, 2, 3), None, torch.tensor([2, 2]), kernels="compiled")


def test_half_precision_is_refused():
    reason = Compiled().refuses(Peephole(3, 4).half(), torch.randn(2, 2, 3).half())
    assert reason == "it computes in float32 or float64, not in torch.float16"


def test_without_a_compiler_the_same_program_runs_and_says_so_once(monkeypatch, caplog, fresh_libraries):
    monkeypatch.setattr(c_library.shutil, "which", lambda name: None)
    with caplog.at_level(logging.WARNING, "seqapps"):
        for rule in (rule_of(Peephole(3, 4)), rule_of(Motley(3, 4))):
            assert c_library.load(c_source(rule, "float")) is None
    assert [record.getMessage() for record in caplog.records] == [
        "no C compiler found (CC, cc, gcc, clang): custom cells run uncompiled, about half as fast"
    ]


@needs_compiler
def test_a_compiler_that_fails_is_no_disaster(monkeypatch, caplog, tmp_path, fresh_libraries):
    monkeypatch.setenv("SEQAPPS_CACHE", str(tmp_path))
    with caplog.at_level(logging.WARNING, "seqapps"):
        assert c_library.load("this is no C") is None
        assert c_library.load("nor is this") is None
    assert len(caplog.records) == 1
    assert list((tmp_path / "kernels").iterdir()) == []


@needs_compiler
def test_a_library_is_kept_between_runs(monkeypatch, tmp_path, fresh_libraries):
    monkeypatch.setenv("SEQAPPS_CACHE", str(tmp_path))
    source = c_source(rule_of(Peephole(3, 4)), "float")
    assert c_library.load(source) is not None
    c_library._made.cache_clear()

    def fail(*args, **kwargs):
        raise AssertionError("compiled again")

    c_library._identity(c_library.compiler())
    monkeypatch.setattr(subprocess, "run", fail)
    assert c_library.load(source) is not None


BUILT_IN = [
    *((name, {}) for name in ("rnn", "lstm", "gru", "indrnn", "sru", "sru2", "mingru", "minlstm", "qrnn")),
    ("lstm", {"peephole": "diagonal"}),
    ("lstm", {"coupled": True}),
    ("lstm", {"peephole": "diagonal", "coupled": True, "bias": False}),
    ("gru", {"update_gate": "write"}),
    ("rnn", {"nonlinearity": "sigmoid"}),
]


@needs_compiler
@pytest.mark.parametrize("hidden_size", [1, 2, 5])
@pytest.mark.parametrize(("name", "fields"), BUILT_IN)
def test_elementwise_cells_of_any_size_are_taken(name, fields, hidden_size):
    cell = registry("cells").load(name)(3, hidden_size, **fields)
    assert Compiled().refuses(cell, torch.empty(1)) is None


def test_one_sequence_and_a_parameter_of_as_many_rows_as_are_traced(results, assert_equal_results):
    class Pairs(PointwiseCell):
        def __init__(self, input_size, hidden_size, /):
            super().__init__(input_size, hidden_size)
            self.weights = torch.nn.Parameter(torch.randn(2, hidden_size))

        def pointwise(self, projected, recurrent, state):
            first, second = self.weights.unbind(0)
            h = torch.tanh(first * projected + second * recurrent)
            return h, (h,)

    cell = Pairs(5, 6).double()
    assert_equal_results(results(cell, Compiled().unroll, (4,)), results(cell, unroll_steps, (4,)), 1e-10)


class Switch(PointwiseCell):
    """Which way is all that its products say: their gradients are zero, both."""

    def pointwise(self, projected, recurrent, state):
        h = torch.where(projected > 0, state[0], -state[0]) * 0.5 + 0.1
        return h, (h,)


def test_a_rule_without_gradients_is_not_taken_for_additive(in_c, results, assert_equal_results):
    cell = Switch(5, 6).double()
    assert not rule_of(cell).additive
    assert_equal_results(results(cell, Compiled().unroll), results(cell, unroll_steps), 1e-10)


def test_what_is_not_a_number_stays_so(in_c):
    class Rectified(PointwiseCell):
        has_recurrent, states = False, 2

        def pointwise(self, projected, recurrent, state):
            return torch.relu(projected), (torch.sign(projected), projected.clamp(-1, 1))

    cell = Rectified(1, 1)
    with torch.no_grad():
        cell.input_projection.weight.fill_(1.0)
        cell.input_projection.bias.zero_()
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), -2.0, 0.0, 2.0])[None, :, None]
    lengths = torch.ones(6, dtype=torch.long)
    expected, (sign, clamped) = unroll(cell, x, None, lengths, kernels="reference")
    got, final = unroll(cell, x, None, lengths, kernels="compiled")
    for a, b in zip((got, *final), (expected, sign, clamped), strict=True):
        assert torch.equal(a.isnan(), b.isnan())
        assert torch.equal(a.nan_to_num(), b.nan_to_num())


def test_auto_says_once_why_a_pointwise_rule_runs_by_steps(caplog):
    class Unreadable(Sneaky):
        pass

    with caplog.at_level(logging.WARNING, "seqapps"):
        for _ in range(2):
            unroll(Unreadable(3, 4), torch.randn(2, 2, 3), None, torch.tensor([2, 1]))
    (record,) = caplog.records
    assert record.getMessage().startswith("Unreadable runs step by step, which is slower: native: ")
    assert "compiled: its rule uses _softmax, which no kernel is generated for" in record.getMessage()
