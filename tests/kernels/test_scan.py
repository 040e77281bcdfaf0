"""Linear recurrences at once."""

import pytest
import torch

from seqapps.cells import LinearCell
from seqapps.cells.regularizers import Regularizers
from seqapps.cells.unroll import unroll_steps
from seqapps.kernels import scan
from seqapps.kernels.scan import Scan, associative_scan, sequential_scan

from .conftest import Blend, Peephole


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 8, 13, 64])
@pytest.mark.parametrize("way", [associative_scan, sequential_scan])
def test_a_scan_equals_the_loop(way, steps):
    torch.manual_seed(0)
    a, b, h = torch.rand(steps, 2, 3).double(), torch.randn(steps, 2, 3).double(), torch.randn(2, 3).double()
    states = way(a, b, h)
    for t in range(steps):
        h = a[t] * h + b[t]
        assert torch.allclose(states[t], h)


@pytest.fixture(params=["as on a CPU", "as on a GPU"])
def way(request, monkeypatch):
    monkeypatch.setattr(scan, "_in_steps", lambda a: request.param == "as on a CPU")


@pytest.mark.parametrize("lengths", [(7, 4, 1), (5, 5, 5), (1,)])
@pytest.mark.parametrize("regularizers", [Regularizers(), Regularizers(zoneout=0.4)])
def test_outputs_states_and_gradients_equal_the_steps(regularizers, lengths, way, results, assert_equal_results):
    torch.manual_seed(0)
    cell = Blend(5, 6).double()
    cell.regularizers = regularizers
    assert Scan().refuses(cell.begin(1), torch.empty(1)) is None
    assert_equal_results(results(cell, Scan().unroll, lengths), results(cell, unroll_steps, lengths), 1e-10)


def test_gradients_of_the_recurrence_agree_with_finite_differences(way):
    torch.manual_seed(0)
    inputs = [torch.rand(5, 2, 3).double(), torch.randn(5, 2, 3).double(), torch.randn(2, 3).double()]
    assert torch.autograd.gradcheck(scan._Recurrence.apply, [i.requires_grad_() for i in inputs])


def test_coefficients_that_broadcast_get_their_gradients(way, results, assert_equal_results):
    class Fading(LinearCell):
        def __init__(self, input_size, hidden_size, /):
            super().__init__(input_size, hidden_size)
            self.decay = torch.nn.Parameter(torch.rand(hidden_size))

        def coefficients(self, projected):
            return torch.sigmoid(self.decay), projected

    cell = Fading(5, 6).double()
    assert_equal_results(results(cell, Scan().unroll), results(cell, unroll_steps), 1e-10)


def test_only_linear_recurrences_are_taken():
    class Bent(Blend):
        def pointwise(self, projected, recurrent, state):
            output, (h,) = super().pointwise(projected, recurrent, state)
            return output, (torch.tanh(h),)

    x = torch.empty(1)
    assert Scan().refuses(Peephole(3, 4), x) == "it is no linear recurrence; a LinearCell writes coefficients"
    assert Scan().refuses(Bent(3, 4), x) == "Bent writes a rule beside its coefficients"
