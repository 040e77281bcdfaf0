"""Regularisers do what their papers say, in any cell, in training; and what they should do in evaluation."""

import itertools

import pytest
import torch
from torch import nn

from seqapps.cells import GRU, LSTM, RNN, Cell, LinearCell, MinGRU, unroll
from seqapps.cells.regularizers import DrawnLinear, Regularizers
from seqapps.errors import ComponentError
from seqapps.kernels.native import Native

T, B, E, H = 7, 4, 5, 6
RAGGED = torch.tensor([7, 4, 2, 1])
EQUAL = torch.full((B,), T)


class ResetBefore(Cell):
    """Two recurrent matrices, neither pointwise: Cho et al.'s GRU."""

    gates = 3

    def __init__(self, input_size, hidden_size, /, *, bias: bool = True):
        super().__init__(input_size, hidden_size, bias=bias)
        self.gating = nn.Linear(hidden_size, 2 * hidden_size, bias=False)
        self.candidate = nn.Linear(hidden_size, hidden_size, bias=False)

    def step(self, projected, state):
        (h,) = state
        x_r, x_z, x_n = projected.chunk(3, -1)
        h_r, h_z = self.gating(h).chunk(2, -1)
        r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
        h = (1 - z) * torch.tanh(x_n + self.candidate(r * h)) + z * h
        return h, (h,)


class Matrix(Cell):
    """States (B, H) and (B, H, H), and an output that is neither: 2 H wide."""

    gates, states = 3, 2

    def __init__(self, input_size, hidden_size, /, *, bias: bool = True):
        super().__init__(input_size, hidden_size, bias=bias)
        self.output_size = 2 * hidden_size
        self.recurrent = nn.Linear(hidden_size, hidden_size)

    def initial_state(self, batch_size):
        zeros = self.input_projection.weight.new_zeros
        return zeros(batch_size, self.hidden_size), zeros(batch_size, self.hidden_size, self.hidden_size)

    def step(self, projected, state):
        h, memory = state
        q, k, v = (projected + self.recurrent(h).repeat(1, 3)).tanh().chunk(3, -1)
        memory = 0.9 * memory + k[:, :, None] * v[:, None, :]
        read = torch.einsum("bi,bij->bj", q, memory)
        h = torch.tanh(h + read)
        return torch.cat([h, read], -1), (h, memory)


class Doubled(LinearCell):
    """A linear cell with a rule of its own: its outputs are twice the states."""

    gates = 1

    def coefficients(self, projected):
        return torch.sigmoid(projected), torch.tanh(projected)

    def pointwise(self, projected, recurrent, state):
        a, b = self.coefficients(projected)
        h = a * state[0] + b
        return 2 * h, (h,)


CELLS = [RNN, LSTM, GRU, ResetBefore, Matrix, MinGRU, Doubled]
RECURRENT = [RNN, LSTM, GRU, ResetBefore, Matrix]


def make(cell, training=True, **probabilities):
    torch.manual_seed(0)
    made = cell(E, H).double().train(training)
    made.regularizers = Regularizers(**probabilities)
    return made


def sequences():
    return torch.randn(T, B, E, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def everything(cell, kernels, seed=3):
    """Outputs, final states, and the gradients of x and all parameters."""
    torch.manual_seed(seed)
    x = sequences().requires_grad_()
    outputs, final = unroll(cell, x, None, RAGGED, kernels=kernels)
    weights = torch.linspace(0.1, 1.0, outputs.numel(), dtype=x.dtype).view_as(outputs)
    cell.zero_grad()
    ((outputs * weights).sum() + sum((s * s).sum() for s in final)).backward()
    return [outputs, *final, x.grad, *(p.grad for p in cell.parameters())]


def assert_close(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("cell", RECURRENT)
def test_one_mask_per_sequence_drops_the_same_units_at_every_step(cell, monkeypatch):
    made = make(cell, recurrent_dropout=0.5)
    seen = []
    forward = DrawnLinear.forward
    monkeypatch.setattr(
        DrawnLinear, "forward", lambda self, h: (seen.append((id(self), self.mask)), forward(self, h))[1]
    )
    unroll(made, sequences(), None, EQUAL, kernels="reference")
    by_module = {}
    for module, mask in seen:
        by_module.setdefault(module, []).append(mask)
    assert len(by_module) == len(made.recurrent_names())
    for masks in by_module.values():
        assert len(masks) == T
        assert all(torch.equal(mask, masks[0]) for mask in masks)
        assert not torch.equal(masks[0][0], masks[0][1])  # each sequence has its own


def test_masks_drop_the_share_asked_for_and_scale_what_stays():
    cell = LSTM(2, 500)
    cell.regularizers = Regularizers(recurrent_dropout=0.3)
    mask = cell.begin(200).recurrent.mask
    assert mask.shape == (200, 500)
    assert (mask == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert mask[mask > 0].unique().tolist() == pytest.approx([1 / 0.7])
    assert not torch.equal(mask, cell.begin(200).recurrent.mask)


@pytest.mark.parametrize("cell", [RNN, LSTM, GRU])
def test_recurrent_dropout_equals_a_loop_that_masks_the_old_state(cell):
    made = make(cell, recurrent_dropout=0.4)
    x = sequences()
    torch.manual_seed(5)
    mask = made.begin(B).recurrent.mask
    torch.manual_seed(5)
    outputs, _ = unroll(made, x, None, EQUAL, kernels="reference")
    state = made.initial_state(B)
    for t in range(T):
        recurrent = (state[0] * mask) @ made.recurrent.weight.t() + made.recurrent.bias
        output, state = made.pointwise(made.input_projection(x[t]), recurrent, state)
        assert torch.allclose(outputs[t], output, atol=1e-12)


@pytest.mark.parametrize("cell", [RNN, LSTM, GRU])
def test_weight_drop_stays_on_the_native_kernel_with_all_gradients_right(cell):
    made = make(cell, weight_drop=0.4)
    assert Native().refuses(made.begin(B), sequences()) is None
    assert_close(everything(made, "native"), everything(made, "reference"))


@pytest.mark.parametrize("cell", [RNN, LSTM, GRU])
def test_weight_drop_equals_the_plain_cell_with_that_matrix(cell):
    made, plain = make(cell, weight_drop=0.4), make(cell)
    torch.manual_seed(3)
    dropped = made.begin(B).recurrent.weight.detach()
    with torch.no_grad():
        kept = dropped != 0
        plain.recurrent.weight.copy_(dropped)
    ours, theirs = everything(made, "native"), everything(plain, "native")
    names = [name for name, _ in made.named_parameters()]
    position = len(ours) - len(names) + names.index("recurrent.weight")
    theirs[position] = theirs[position] * kept / 0.6  # a dropped element gets no gradient, a kept one is scaled
    assert_close(ours, theirs)


def test_weight_drop_draws_once_a_batch_and_drops_the_share_asked_for():
    cell = LSTM(2, 200)
    cell.regularizers = Regularizers(weight_drop=0.3)
    dropped = cell.begin(3).recurrent.weight
    assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    kept = dropped != 0
    assert torch.allclose(dropped[kept], cell.recurrent.weight[kept] / 0.7)
    assert not torch.equal(dropped, cell.begin(3).recurrent.weight)


def test_a_batch_is_run_with_one_draw_of_the_weights(monkeypatch):
    cell = make(ResetBefore, weight_drop=0.5)
    weights = set()
    forward = DrawnLinear.forward
    monkeypatch.setattr(DrawnLinear, "forward", lambda self, h: (weights.add(self.weight), forward(self, h))[1])
    unroll(cell, sequences(), None, EQUAL)
    assert len(weights) == 2  # two matrices, seven steps


def old_kept(cell, seed):
    """What unroll draws at this seed: for each state (T, B, numbers of one sequence), 1 = the old value is kept."""
    torch.manual_seed(seed)
    begun = cell.begin(B)
    extra = begun.project(sequences())[..., cell.gates * H :]
    return extra.split([state[0].numel() for state in cell.initial_state(1)], -1)


def zoned_step(cell, kind, projected, state, keeps):
    """Krueger et al. 2016, written out: one plain step, then the mixture. Outputs that are states are mixed states."""
    output, new = kind.step(cell, projected, state)
    mixed = tuple(
        torch.where(k.view_as(s) == 1, s, n) if isinstance(k, torch.Tensor) else k * s + (1 - k) * n
        for k, s, n in zip(keeps, state, new, strict=True)
    )
    return (mixed[0] if output is new[0] else output), mixed


@pytest.mark.parametrize(("cell", "reverse"), list(itertools.product(CELLS, [False, True])))
def test_zoneout_in_training_equals_a_loop_with_the_same_draws(cell, reverse):
    made = make(cell, zoneout=0.3, zoneout_cell=0.6 if cell.states > 1 else 0.0)
    x = sequences()
    keeps = old_kept(made, 5)
    for keep in keeps:
        assert set(keep.unique().tolist()) == {0.0, 1.0}
    torch.manual_seed(5)
    outputs, final = unroll(made, x, None, EQUAL, reverse=reverse, kernels="reference")
    projected, state = made.project(x.flip(0) if reverse else x), made.initial_state(B)
    for t in range(T):
        output, state = zoned_step(made, cell, projected[t], state, [keep[t] for keep in keeps])
        assert torch.allclose(outputs[T - 1 - t if reverse else t], output, atol=1e-12)
    for ours, theirs in zip(final, state, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_zoneout_in_evaluation_is_the_expected_mixture(cell):
    rates = [0.3, 0.6][: cell.states]
    made = make(cell, training=False, zoneout=0.3, zoneout_cell=0.6 if cell.states > 1 else 0.0)
    outputs, final = unroll(made, sequences(), None, EQUAL)
    projected, state = made.project(sequences()), made.initial_state(B)
    for t in range(T):
        output, state = zoned_step(made, cell, projected[t], state, rates)
        assert torch.allclose(outputs[t], output, atol=1e-12)
    for ours, theirs in zip(final, state, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_every_kernel_that_takes_a_zoned_out_cell_equals_its_steps(cell, training):
    made = make(cell, training, zoneout=0.3, zoneout_cell=0.6 if cell.states > 1 else 0.0)
    assert Native().refuses(made.begin(B), sequences())
    assert_close(everything(made, "auto"), everything(made, "reference"))


def test_a_linear_cell_stays_on_the_scan_when_zoned_out():
    made = make(MinGRU, zoneout=0.3)
    assert_close(everything(made, "scan"), everything(made, "reference"))


def test_a_linear_cell_with_a_rule_of_its_own_is_refused_by_the_scan_when_zoned_out():
    with pytest.raises(ComponentError, match="kernel 'scan' cannot run ZonedOutDoubled"):
        unroll(make(Doubled, zoneout=0.3), sequences(), None, RAGGED, kernels="scan")


def test_a_pointwise_cell_with_a_step_of_its_own_is_zoned_out_by_its_step():
    class Late(RNN):
        def step(self, projected, state):
            h = state[0] + super().step(projected, state)[0]
            return h, (h,)

    made = make(Late, zoneout=0.3)
    assert_close(everything(made, "auto"), everything(made, "reference"))


def test_zoneout_keeps_the_share_asked_for_of_each_state():
    cell = LSTM(2, 100)
    cell.regularizers = Regularizers(zoneout=0.1, zoneout_cell=0.5)
    extra = cell.begin(50).project(torch.zeros(20, 50, 2))[..., 400:]
    assert extra[..., :100].mean().item() == pytest.approx(0.1, abs=0.005)
    assert extra[..., 100:].mean().item() == pytest.approx(0.5, abs=0.01)
    assert not torch.equal(extra[0], extra[1])  # drawn anew at every step


REGULARIZERS = [
    {"recurrent_dropout": 0.5},
    {"weight_drop": 0.5},
    {"zoneout": 0.5},
    {"recurrent_dropout": 0.3, "weight_drop": 0.3, "zoneout": 0.3},
]


@pytest.mark.parametrize(("cell", "wanted"), list(itertools.product(RECURRENT, REGULARIZERS)))
def test_a_regularizer_is_on_in_training(cell, wanted):
    made = make(cell, **wanted)
    torch.manual_seed(1)
    one, _ = unroll(made, sequences(), None, RAGGED)
    two, _ = unroll(made, sequences(), None, RAGGED)
    plain, _ = unroll(make(cell), sequences(), None, RAGGED)
    assert not torch.allclose(one, two)
    assert not torch.allclose(one, plain)


@pytest.mark.parametrize("wanted", REGULARIZERS[:2])
@pytest.mark.parametrize("cell", RECURRENT)
def test_dropping_is_off_in_evaluation(cell, wanted):
    made = make(cell, training=False, **wanted)
    for kernels in ("reference", "auto"):
        outputs, final = unroll(made, sequences(), None, RAGGED, kernels=kernels)
        plain, last = unroll(make(cell, training=False), sequences(), None, RAGGED, kernels=kernels)
        assert torch.equal(outputs, plain)
        assert all(torch.equal(a, b) for a, b in zip(final, last, strict=True))


@pytest.mark.parametrize(("cell", "wanted"), list(itertools.product(RECURRENT, REGULARIZERS)))
def test_gradients_of_a_fixed_draw_agree_with_finite_differences(cell, wanted):
    made = make(cell, **wanted)
    names, values = zip(*made.named_parameters(), strict=True)

    def outputs_and_state(x, *parameters):
        torch.manual_seed(2)
        with torch.nn.utils.stateless._reparametrize_module(made, dict(zip(names, parameters, strict=True))):
            outputs, final = unroll(made, x, None, torch.tensor([3, 1]), kernels="reference")
        return outputs, *final

    x = sequences()[:3, :2].clone().requires_grad_()
    assert torch.autograd.gradcheck(outputs_and_state, (x, *values), fast_mode=True)


@pytest.mark.parametrize("cell", CELLS)
def test_only_zoneout_changes_the_class_and_nothing_changes_the_parameters(cell):
    made = make(cell, zoneout=0.1, recurrent_dropout=0.5 if cell in RECURRENT else 0.0)
    names = list(made.state_dict())
    begun = made.begin(B)
    assert type(made) is cell
    assert isinstance(begun, cell)
    assert list(made.state_dict()) == names
    assert begun.input_projection is made.input_projection
    made.regularizers = Regularizers(weight_drop=0.5 if cell in RECURRENT else 0.0)
    assert type(made.begin(B)) is cell


def test_a_cell_that_was_begun_draws_nothing_more():
    begun = make(LSTM, recurrent_dropout=0.5, zoneout=0.5).begin(B)
    assert begun.begin(B) is begun


def test_without_regularizers_the_cell_itself_is_stepped():
    made = make(LSTM)
    assert made.begin(B) is made
    asked = make(LSTM, training=False, recurrent_dropout=0.5, weight_drop=0.5)
    assert asked.begin(B) is asked
