"""The generated Triton kernels against the steps. `test_triton.py` runs this where Triton interprets its kernels."""

import importlib
import itertools

import pytest
import torch
from torch import nn

from seqapps.cells import GRU, LSTM, RNN, Lengths, PointwiseCell, unroll
from seqapps.cells.regularizers import Regularizers
from seqapps.cells.unroll import unroll_steps
from seqapps.kernels.generated_triton import Triton
from seqapps.registry import registry
from seqapps.testing import check_kernel

from .conftest import POINTWISE, Motley


class Stepwise(Triton):
    """As for a recurrent matrix that does not fit on the chip."""

    room = 0


REGULARIZED = [
    Regularizers(recurrent_dropout=0.4),
    Regularizers(weight_drop=0.4),
    Regularizers(zoneout=0.4),
    Regularizers(recurrent_dropout=0.4, weight_drop=0.4, zoneout=0.3, zoneout_cell=0.5),
]
BOTH = pytest.mark.parametrize("kernel", [Triton(), Stepwise()], ids=["sequence", "step"])


def made(make, hidden=5, **fields):
    torch.manual_seed(0)
    return make(3, hidden, **fields)


@BOTH
@pytest.mark.parametrize("name", registry("cells").names())
def test_every_registered_cell_that_is_not_refused_equals_its_steps(name, kernel, results, assert_equal_results):
    cell = made(registry("cells").load(name))
    reason = kernel.refuses(cell, torch.empty(1))
    if reason is not None:
        assert not isinstance(cell, PointwiseCell) or not cell.elementwise, reason
        pytest.skip(reason)
    assert_equal_results(results(cell, kernel.unroll, (4, 3, 1)), results(cell, unroll_steps, (4, 3, 1)), 1e-5)


@pytest.mark.parametrize("kernel", [Triton, Stepwise])
def test_the_conformance_kit_accepts_it(kernel):
    assert {"LSTM", "GRU"} <= set(check_kernel(kernel, [LSTM, GRU]))


@BOTH
@pytest.mark.parametrize("make", POINTWISE)
def test_every_kind_of_rule_equals_its_steps(make, kernel, results, assert_equal_results):
    cell = made(make)
    assert kernel.refuses(cell, torch.empty(1)) is None
    assert_equal_results(results(cell, kernel.unroll, (4, 3, 1)), results(cell, unroll_steps, (4, 3, 1)), 1e-5)


@BOTH
@pytest.mark.parametrize("make", [LSTM, GRU])
@pytest.mark.parametrize(("hidden", "lengths"), [(1, (3, 1)), (16, (2, 2)), (20, (1,)), (5, (2, *[1] * 16))])
def test_sizes_that_fill_no_tile_and_more_than_one(make, hidden, lengths, kernel, results, assert_equal_results):
    cell = made(make, hidden)
    assert_equal_results(results(cell, kernel.unroll, lengths), results(cell, unroll_steps, lengths), 1e-5)


@BOTH
@pytest.mark.parametrize(("make", "regularizers"), list(itertools.product([LSTM, GRU], REGULARIZED)))
def test_regularisers_are_those_of_the_steps(make, regularizers, kernel, results, assert_equal_results):
    cell = made(make)
    if cell.states == 1:
        regularizers = regularizers._replace(zoneout_cell=0.0)
    cell.regularizers = regularizers
    assert kernel.refuses(cell.begin(1), torch.empty(1)) is None
    got, expected = results(cell, kernel.unroll, (4, 3, 1)), results(cell, unroll_steps, (4, 3, 1))
    assert_equal_results(got, expected, 1e-5)
    cell.regularizers = Regularizers()
    assert not torch.allclose(results(cell, kernel.unroll, (4, 3, 1))["outputs"], got["outputs"], atol=1e-2)


@BOTH
@pytest.mark.parametrize("fields", [{"bias": False}, {"peephole": "diagonal", "coupled": True}])
def test_options_of_an_lstm(fields, kernel, results, assert_equal_results):
    cell = made(LSTM, **fields)
    assert_equal_results(results(cell, kernel.unroll, (4, 3, 1)), results(cell, unroll_steps, (4, 3, 1)), 1e-5)


@BOTH
@pytest.mark.parametrize("make", [LSTM, GRU, Motley])
def test_without_a_backward_pass_values_are_the_same(make, kernel):
    cell = made(make)
    x, lengths = torch.randn(4, 3, 3), Lengths(torch.tensor([4, 3, 1]), 4)
    outputs, final = kernel.unroll(cell, x, cell.initial_state(3), lengths, True)
    with torch.no_grad():
        alone, last = kernel.unroll(cell, x, cell.initial_state(3), lengths, True)
    assert torch.equal(outputs, alone)
    assert all(torch.equal(a, b) for a, b in zip(final, last, strict=True))


@BOTH
@pytest.mark.parametrize("make", [LSTM, GRU])
def test_in_half_precision_only_products_are_rounded(make, kernel, results, assert_equal_results):
    cell = made(make)
    with torch.autocast("cpu", torch.float16):
        got = results(cell, kernel.unroll, (4, 3, 1))
    assert got["outputs"].dtype == torch.float32
    exact = results(cell, unroll_steps, (4, 3, 1))
    assert_equal_results(got, exact, 5e-3)
    assert not torch.equal(got["outputs"], exact["outputs"])


def test_the_interpreter_is_kept_from_bfloat16():
    with torch.autocast("cpu", torch.bfloat16):
        assert "bfloat16" in Triton().refuses(made(LSTM), torch.empty(1))


class Mathematics(PointwiseCell):
    """Functions of the input, which is taken as it is; the gradient is asked for as well."""

    has_recurrent = False
    function = staticmethod(torch.tanh)

    def project(self, x):
        return x

    def pointwise(self, projected, recurrent, state):
        return self.function(projected), state


LARGE = [-1e30, -200.0, -104.5, -90.0, -88.5, -20.0, -3.0, -0.7, -0.62, -0.1, -1e-3, -1e-10, 0.0]
POINTS = [*LARGE, *(-x for x in LARGE[:-1]), float("nan"), float("inf"), float("-inf")]
FUNCTIONS = [torch.tanh, torch.sigmoid, torch.exp, torch.log, torch.log1p, torch.sqrt, torch.abs, torch.sign]
FUNCTIONS += [nn.functional.softplus, lambda x: torch.maximum(x, 0.5 * x), lambda x: x.clamp(-1, 2)]
FUNCTIONS += [lambda x: torch.minimum(x, 0.5 * x), lambda x: torch.where((x > 0) & ~(x > 1), x, 2 * x)]


@pytest.mark.filterwarnings("ignore:(overflow|invalid value|divide by zero) encountered:RuntimeWarning")  # numpy's
@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_are_accurate_everywhere_and_keep_nan(function):
    kind = type("Function", (Mathematics,), {"function": staticmethod(function)})
    cell, x = kind(len(POINTS), len(POINTS)), torch.tensor(POINTS)
    outputs, _ = Triton().unroll(cell, x.view(1, 1, -1), cell.initial_state(1), Lengths(torch.tensor([1]), 1), True)
    # torch's own result in double precision, rounded; below 1e-37 float32 is not exact.
    expected = function(x.double()).float()
    assert torch.allclose(outputs.flatten(), expected, rtol=2e-6, atol=1e-37, equal_nan=True)


def test_a_sequence_read_backwards_equals_the_reference(monkeypatch):
    cell, x, lengths = made(LSTM), torch.randn(4, 3, 3), torch.tensor([4, 3, 1])
    expected, _ = unroll(cell, x, None, lengths, reverse=True, kernels="reference")
    monkeypatch.setattr(importlib.import_module("seqapps.cells.unroll"), "kernels_named", lambda name: (Triton(),))
    got, _ = unroll(cell, x, None, lengths, reverse=True)
    assert torch.allclose(got, expected, atol=1e-6)


def test_what_is_not_for_this_kernel_is_refused_with_its_reason():
    class Mixing(RNN):
        elementwise = False

    class LowRank(RNN):
        def __init__(self, input_size, hidden_size, /):
            super().__init__(input_size, hidden_size)
            self.recurrent = nn.Sequential(nn.Linear(hidden_size, 1), nn.Linear(1, hidden_size))

    class Stepping(RNN):
        def step(self, projected, state):
            output, state = super().step(projected, state)
            return 2 * output, state

    class Ordering(RNN):
        def pointwise(self, projected, recurrent, state):
            h = (projected + recurrent).cumsum(-1)
            return h, (h,)

    reasons = {Mixing: "mixes hidden units", LowRank: "Sequential", Stepping: "its own step", Ordering: "cumsum"}
    for kind, words in reasons.items():
        assert words in Triton().refuses(made(kind), torch.empty(1))
    assert "float64" in Triton().refuses(made(RNN).double(), torch.empty(1))
