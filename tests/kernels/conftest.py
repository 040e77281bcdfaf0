"""Cells with rules of their own, and gradients of everything."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from seqapps.cells import GRU, LSTM, RNN, Lengths, LinearCell, PointwiseCell
from seqapps.kernels import c_library


@pytest.fixture
def fresh_libraries(monkeypatch):
    """Nothing is known of the compiler, nothing is made, and nothing was said."""
    caches = (c_library.compiler, c_library.works, c_library._made)
    for cached in caches:
        cached.cache_clear()
    monkeypatch.setattr(c_library, "_said", set())
    yield
    for cached in caches:
        cached.cache_clear()


class Peephole(PointwiseCell):
    """Gers and Schmidhuber's peepholes, all three in one parameter."""

    gates, states = 4, 2

    def __init__(self, input_size, hidden_size, /):
        super().__init__(input_size, hidden_size)
        self.peephole = nn.Parameter(torch.randn(3, hidden_size))

    def pointwise(self, projected, recurrent, state):
        _, c = state
        i, f, g, o = (projected + recurrent).chunk(4, -1)
        w_i, w_f, w_o = self.peephole
        i, f = torch.sigmoid(i + w_i * c), torch.sigmoid(f + w_f * c)
        c = f * c + i * torch.tanh(g)
        h = torch.sigmoid(o + w_o * c) * torch.tanh(c)
        return h, (h, c)


class Motley(PointwiseCell):
    """Many operations, a buffer, parts of the projections left unused, an output that is no state."""

    gates = 2

    def __init__(self, input_size, hidden_size, /):
        super().__init__(input_size, hidden_size)
        self.slope = nn.Parameter(torch.randn(hidden_size))
        self.register_buffer("scale", torch.linspace(0.5, 1.5, 2 * hidden_size))

    def pointwise(self, projected, recurrent, state):
        (h,) = state
        x = F.softplus(projected[:, : self.hidden_size]) + torch.relu(recurrent[:, self.hidden_size :]) * self.slope
        y = (self.scale * projected).chunk(2, -1)[1].clamp(-1, 1)
        z = torch.where(x > 0.5, x, y) + h.abs() ** 2 + torch.maximum(x, y) + F.silu(x) - F.elu(y) / (2 + h.exp())
        h = torch.tanh(z)
        return 0.5 * h + 1, (h,)


class Independent(PointwiseCell):
    """No recurrent matrix, two states."""

    states, has_recurrent = 2, False

    def __init__(self, input_size, hidden_size, /):
        super().__init__(input_size, hidden_size)
        self.decay = nn.Parameter(torch.rand(hidden_size))

    def pointwise(self, projected, recurrent, state):
        h, m = state
        h = torch.relu(projected + self.decay * h)
        return h, (h, 0.9 * m + 0.1 * h)


class Blend(LinearCell):
    """A gate between the old state and the input."""

    gates = 3

    def coefficients(self, projected):
        z, x, _ = projected.chunk(3, -1)
        z = torch.sigmoid(z)
        return 1 - z, z * x

    def readout(self, projected, state):
        return torch.sigmoid(projected.chunk(3, -1)[2]) * state


POINTWISE = [LSTM, GRU, RNN, Peephole, Motley, Independent, Blend]


@pytest.fixture
def results():
    """Outputs, final states, and gradients with respect to input, initial state and parameters, of a way to unroll."""

    def run(cell, way, lengths=(7, 4, 1), seed=1):
        dtype = cell.input_projection.weight.dtype
        generator = torch.Generator().manual_seed(0)
        lengths = Lengths(torch.tensor(lengths), max(lengths))
        x = torch.randn(lengths.steps, len(lengths), cell.input_size, dtype=dtype, generator=generator)
        state = [torch.randn(s.shape, dtype=dtype, generator=generator) for s in cell.initial_state(len(lengths))]
        leaves = [x, *state]
        for leaf in leaves:
            leaf.requires_grad_()
        cell.zero_grad()
        torch.manual_seed(seed)
        outputs, final = way(cell.begin(len(lengths)), x, tuple(state), lengths, True)
        outputs = torch.where(lengths.mask[..., None], outputs, 0.0)
        weights = torch.linspace(0.1, 1, outputs.numel(), dtype=dtype).view_as(outputs)
        ((outputs * weights).sum() + sum(s.square().sum() for s in final)).backward()
        found = {"outputs": outputs, **{f"final {k}": s for k, s in enumerate(final)}}
        found.update((f"gradient of leaf {k}", leaf.grad) for k, leaf in enumerate(leaves))
        found.update((f"gradient of {name}", p.grad) for name, p in cell.named_parameters())
        return found

    return run


@pytest.fixture
def assert_equal_results():
    """Every tensor of two `results`, a missing gradient counting as zero."""

    def check(got, expected, tolerance):
        assert got.keys() == expected.keys()
        for name, wanted in expected.items():
            found = got[name]
            if wanted is None or found is None:
                assert not any(g is not None and g.any() for g in (wanted, found)), name
                continue
            assert torch.allclose(found, wanted, atol=tolerance, rtol=tolerance), name

    return check
