"""`unroll` means the same for every cell, kernel, direction and length."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqapps.cells import GRU, LSTM, RNN, Cell, Lengths, PointwiseCell, unroll
from seqapps.cells.unroll import kernels_named
from seqapps.errors import ComponentError, ShapeError
from seqapps.kernels.native import Native

T, B, E, H = 7, 4, 5, 6
RAGGED = torch.tensor([7, 4, 2, 1])
EQUAL = torch.full((B,), T)

CELLS = [
    (RNN, {}),
    (RNN, {"nonlinearity": "relu"}),
    (RNN, {"bias": False}),
    (LSTM, {}),
    (LSTM, {"bias": False}),
    (GRU, {}),
    (GRU, {"bias": False}),
]
RUNS = list(itertools.product(CELLS, ["reference", "native"], [False, True]))


def make(cell, fields, dtype=torch.float64):
    torch.manual_seed(0)
    return cell(E, H, **fields).to(dtype)


def sequences(dtype=torch.float64):
    return torch.randn(T, B, E, dtype=dtype, generator=torch.Generator().manual_seed(1))


def everything(cell, x, lengths, kernels, reverse, state_offset=0.1):
    """Outputs, final states, and the gradients of x, the initial state and all parameters."""
    x = x.clone().requires_grad_()
    state = tuple((s + state_offset).requires_grad_() for s in cell.initial_state(x.size(1)))
    outputs, final = unroll(cell, x, state, lengths, reverse=reverse, kernels=kernels)
    weights = torch.linspace(0.1, 1.0, outputs.numel(), dtype=x.dtype).view_as(outputs)
    cell.zero_grad()
    ((outputs * weights).sum() + sum((s * s).sum() for s in final)).backward()
    return [outputs, *final, x.grad, *(s.grad for s in state), *(p.grad for p in cell.parameters())]


@pytest.mark.parametrize(("described", "lengths"), list(itertools.product(CELLS, [RAGGED, EQUAL])))
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-6)])
def test_native_kernels_equal_steps_in_values_and_all_gradients(described, lengths, reverse, dtype, tolerance):
    cell = make(*described, dtype)
    assert Native().refuses(cell, sequences(dtype)) is None
    stepped = everything(cell, sequences(dtype), lengths, "reference", reverse)
    native = everything(cell, sequences(dtype), lengths, "native", reverse)
    for a, b in zip(stepped, native, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=tolerance * max(1.0, a.detach().abs().max().item()))


@pytest.mark.parametrize(("described", "kernels", "reverse"), RUNS)
def test_a_sequence_alone_equals_itself_in_a_padded_batch(described, kernels, reverse):
    cell, x = make(*described), sequences()
    outputs, final = unroll(cell, x, None, RAGGED, reverse=reverse, kernels=kernels)
    for b, n in enumerate(RAGGED.tolist()):
        alone = x[:n, b : b + 1]
        if reverse:  # plain slicing, not our own reversal
            alone = alone.flip(0)
        expected, last = unroll(cell, alone, None, torch.tensor([n]), kernels="reference")
        expected = expected.flip(0) if reverse else expected
        assert torch.allclose(outputs[:n, b], expected[:, 0], atol=1e-12)
        assert torch.equal(outputs[n:, b], torch.zeros_like(outputs[n:, b]))
        for state, alone_state in zip(final, last, strict=True):
            assert torch.allclose(state[b], alone_state[0], atol=1e-12)


@pytest.mark.parametrize(("described", "kernels", "reverse"), RUNS)
@pytest.mark.parametrize("rubbish", [float("nan"), float("inf"), 1e30])
def test_what_stands_under_padding_does_not_matter(described, kernels, reverse, rubbish):
    cell, x = make(*described), sequences()
    clean = everything(cell, x, RAGGED, kernels, reverse)
    dirty = x.clone()
    for b, n in enumerate(RAGGED.tolist()):
        dirty[n:, b] = rubbish
    for a, b in zip(clean, everything(cell, dirty, RAGGED, kernels, reverse), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("described", "kernels", "reverse"), RUNS)
def test_a_state_carried_over_a_cut_equals_the_uncut_sequence(described, kernels, reverse):
    cell, x = make(*described), sequences()
    whole, last = unroll(cell, x, None, EQUAL, reverse=reverse, kernels=kernels)
    first, second = (x[3:], x[:3]) if reverse else (x[:3], x[3:])
    a, carried = unroll(cell, first, None, torch.full((B,), len(first)), reverse=reverse, kernels=kernels)
    b, end = unroll(cell, second, carried, torch.full((B,), len(second)), reverse=reverse, kernels=kernels)
    joined = torch.cat([b, a]) if reverse else torch.cat([a, b])
    assert torch.allclose(joined, whole, atol=1e-12)
    for s, t in zip(end, last, strict=True):
        assert torch.allclose(s, t, atol=1e-12)


@pytest.mark.parametrize(("described", "kernels"), list(itertools.product(CELLS, ["reference", "native"])))
def test_later_inputs_and_other_rows_do_not_reach_an_output(described, kernels):
    cell, x = make(*described), sequences()
    before, _ = unroll(cell, x, None, RAGGED, kernels=kernels)
    changed = x.clone()
    changed[3:, 0] += 1
    after, _ = unroll(cell, changed, None, RAGGED, kernels=kernels)
    assert torch.equal(before[:3, 0], after[:3, 0])
    assert torch.equal(before[:, 1:], after[:, 1:])
    assert not torch.equal(before[3:, 0], after[3:, 0])


@pytest.mark.parametrize("described", CELLS)
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_agree_with_finite_differences(described, reverse):
    cell = make(*described)
    x = sequences().requires_grad_()

    def outputs_and_state(x):
        outputs, final = unroll(cell, x, None, RAGGED, reverse=reverse, kernels="native")
        return outputs, *final

    assert torch.autograd.gradcheck(outputs_and_state, x)


@pytest.mark.parametrize(("ours", "theirs"), [(RNN, nn.RNN), (LSTM, nn.LSTM), (GRU, nn.GRU)])
@pytest.mark.parametrize("kernels", ["reference", "native"])
def test_torch_packed_layers_give_the_same(ours, theirs, kernels):
    layer, cell, x = theirs(E, H).double(), make(ours, {}), sequences()
    with torch.no_grad():
        for name, parameter in (
            ("weight_ih_l0", cell.input_projection.weight),
            ("bias_ih_l0", cell.input_projection.bias),
            ("weight_hh_l0", cell.recurrent.weight),
            ("bias_hh_l0", cell.recurrent.bias),
        ):
            parameter.copy_(getattr(layer, name))
    packed, last = layer(pack_padded_sequence(x, RAGGED))
    expected, _ = pad_packed_sequence(packed)
    outputs, final = unroll(cell, x, None, RAGGED, kernels=kernels)
    assert torch.allclose(outputs, expected, atol=1e-12)
    for state, theirs_state in zip(final, last if isinstance(last, tuple) else (last,), strict=True):
        assert torch.allclose(state, theirs_state[0], atol=1e-12)


def test_a_subclass_with_its_own_rule_is_not_given_to_the_native_kernel():
    class Leaky(LSTM):
        def pointwise(self, projected, recurrent, state):
            output, (h, c) = super().pointwise(projected, recurrent, state)
            return output, (h, 0.5 * c)

    cell = make(Leaky, {})
    a, _ = unroll(cell, sequences(), None, RAGGED, kernels="auto")
    b, _ = unroll(cell, sequences(), None, RAGGED, kernels="reference")
    assert torch.allclose(a, b, atol=1e-13)


def test_a_scalar_network_gives_the_textbook_numbers():
    # W = 0.5 (recurrent), U = 1 (input), b = 0, x = 1, 1, 1:
    # h1 = tanh(1) = 0.7616, h2 = tanh(0.5 h1 + 1) = 0.8811, h3 = tanh(0.5 h2 + 1) = 0.8938
    # dh3/dW = (1 - h3^2) (h2 + W (1 - h2^2) h1) = 0.1943
    cell = RNN(1, 1, bias=False).double()
    with torch.no_grad():
        cell.input_projection.weight.fill_(1.0)
        cell.recurrent.weight.fill_(0.5)
    for kernels in ("reference", "native"):
        cell.zero_grad()
        outputs, _ = unroll(cell, torch.ones(3, 1, 1).double(), None, torch.tensor([3]), kernels=kernels)
        assert outputs.flatten().tolist() == pytest.approx([0.7616, 0.8811, 0.8938], abs=5e-5)
        outputs[2].sum().backward()
        assert cell.recurrent.weight.grad.item() == pytest.approx(0.1943, abs=5e-5)


@pytest.mark.parametrize("length", [0, T + 1])
def test_a_length_that_does_not_fit_names_the_sequence(length):
    with pytest.raises(ShapeError, match=rf"sequence 2 has length {length}, expected 1 to {T}"):
        unroll(make(LSTM, {}), sequences(), None, torch.tensor([7, 4, length, 1]))


def test_an_input_of_another_size_is_refused():
    with pytest.raises(ShapeError, match=r"LSTM: x has shape \(7, 4, 9\), expected \(T, B, 5\)"):
        unroll(make(LSTM, {}), torch.zeros(T, B, 9), None, RAGGED)


def test_an_unknown_kernel_is_refused_by_name():
    with pytest.raises(ComponentError, match=r"unknown kernel 'natve'; did you mean 'native'\?"):
        kernels_named("natve")


def test_final_states_that_nobody_wants_are_not_computed():
    outputs, final = unroll(make(LSTM, {}), sequences(), None, RAGGED, final=False, kernels="native")
    expected, _ = unroll(make(LSTM, {}), sequences(), None, RAGGED, kernels="native")
    assert final is None
    assert torch.allclose(outputs, expected, atol=1e-13)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 5, 1), (5, 1, 1, 6)])
@pytest.mark.parametrize("described", CELLS)
def test_sizes_of_one_work(shape, described):
    steps, rows, features, hidden = shape
    torch.manual_seed(0)
    cell = described[0](features, hidden, **described[1])
    x = torch.randn(steps, rows, features)
    a, _ = unroll(cell, x, None, torch.full((rows,), steps), kernels="native")
    b, _ = unroll(cell, x, None, torch.full((rows,), steps), kernels="reference")
    assert torch.allclose(a, b, atol=1e-6)


def test_a_third_party_cell_of_a_dozen_lines_runs_both_ways():
    class MinimalGatedUnit(PointwiseCell):
        gates = 2

        def pointwise(self, projected, recurrent, state):
            (h,) = state
            (x_f, x_c), (h_f, h_c) = projected.chunk(2, -1), recurrent.chunk(2, -1)
            f = torch.sigmoid(x_f + h_f)
            h = (1 - f) * h + f * torch.tanh(x_c + f * h_c)
            return h, (h,)

    cell = make(MinimalGatedUnit, {})
    for reverse in (False, True):
        outputs, (final,) = unroll(cell, sequences(), None, RAGGED, reverse=reverse)
        last = [0 if reverse else n - 1 for n in RAGGED.tolist()]
        for b, t in enumerate(last):
            assert torch.equal(outputs[t, b], final[b])


@pytest.mark.parametrize("kernels", ["auto", "reference", "compiled"])
def test_lengths_of_any_integer_type_and_layout_are_read_rightly(kernels):
    cell, x = RNN(3, 4), torch.randn(6, 2, 3)
    expected, (last,) = unroll(cell, x, None, torch.tensor([6, 2]), kernels=kernels)
    for lengths in (torch.tensor([6, 2], dtype=torch.int32), torch.tensor([[6, 9], [2, 9]])[:, 0], [6, 2]):
        outputs, (final,) = unroll(cell, x, None, lengths, kernels=kernels)
        assert torch.equal(outputs, expected)
        assert torch.equal(final, last)


@pytest.mark.parametrize(
    "lengths", [torch.tensor([6.0, 2.0]), torch.tensor([[6, 2]]), Lengths(torch.tensor([5, 2]), 5)]
)
def test_lengths_that_are_none_are_refused(lengths):
    with pytest.raises(ShapeError, match=r"lengths (are|were made)"):
        unroll(RNN(3, 4), torch.randn(6, 2, 3), None, lengths)


def test_a_nonlinearity_that_is_changed_leaves_the_fused_layer():
    cell, x = RNN(3, 4), torch.randn(6, 2, 3)
    cell.nonlinearity = "sigmoid"
    got, expected = (unroll(cell, x, None, torch.tensor([6, 2]), kernels=k)[0] for k in ("auto", "reference"))
    assert torch.allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("kernels", ["auto", "reference"])
def test_a_state_changed_in_place_is_told(kernels):
    class Overwriting(RNN):
        def step(self, projected, state):
            (h,) = state
            h.mul_(0.5).add_(torch.tanh(projected + self.recurrent(h)))
            return h, (h,)

    with torch.no_grad(), pytest.raises(ComponentError, match="Overwriting: step changes the old state in place"):
        unroll(Overwriting(3, 4), torch.randn(6, 2, 3), None, torch.tensor([6, 2]), kernels=kernels)


class Unit(Cell):
    """The direction of x W: without derivatives where x is zero."""

    gates, states = 1, 1

    def __init__(self, input_size, hidden_size, /):
        super().__init__(input_size, hidden_size, bias=False)

    def step(self, projected, state):
        h = 0.5 * state[0] + projected / projected.norm(dim=-1, keepdim=True)
        return h, (h,)


def test_a_rule_without_derivatives_at_zero_has_gradients_on_ragged_batches():
    torch.manual_seed(0)
    cell, x = Unit(3, 4), torch.randn(5, 2, 3)
    outputs, _ = unroll(cell, x, None, torch.tensor([5, 2]), kernels="reference")
    outputs.sum().backward()
    assert cell.input_projection.weight.grad.isfinite().all()
