"""What tracing reads off a pointwise rule."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from seqapps.cells import GRU, LSTM, PointwiseCell, unroll
from seqapps.cells.regularizers import Regularizers
from seqapps.errors import ComponentError
from seqapps.kernels.program import Builder
from seqapps.kernels.rule import NotPointwise, rule_of


def test_an_lstm_reads_only_the_sum_of_its_products_and_shows_its_first_state():
    rule = rule_of(LSTM(3, 4))
    assert (rule.projected, rule.recurrent, rule.states) == (4, 4, 2)
    assert rule.additive
    assert rule.output_is == 0


def test_a_gru_needs_both_products_apart():
    assert not rule_of(GRU(3, 4)).additive


def test_a_program_computes_what_the_rule_does():
    cell = LSTM(3, 4).double()
    rule = rule_of(cell)
    p, r = torch.randn(2, 16).double(), torch.randn(2, 16).double()
    h, c = torch.randn(2, 4).double(), torch.randn(2, 4).double()
    output, state = cell.pointwise(p, r, (h, c))
    got = rule.forward.run([*p.split(4, -1), *r.split(4, -1), h, c])
    for a, b in zip(got, [output, *state], strict=True):
        assert torch.allclose(a, b)


def test_a_rule_is_traced_once_for_a_cell_and_all_its_copies():
    cell = LSTM(3, 4)
    cell.regularizers = Regularizers(recurrent_dropout=0.5)
    assert rule_of(cell) is rule_of(cell.begin(2))


def test_zoneout_is_another_rule_with_a_further_input_per_state():
    cell = LSTM(3, 4)
    cell.regularizers = Regularizers(zoneout=0.5, zoneout_cell=0.1)
    assert rule_of(cell.begin(2)).projected == 4 + 2
    cell.eval()
    assert rule_of(cell.begin(2)).projected == 4


def test_tracing_draws_no_random_numbers():
    cell = LSTM(3, 4)
    cell.regularizers = Regularizers(zoneout=0.5)
    before = torch.get_rng_state()
    rule_of(cell.begin(2))
    assert torch.equal(torch.get_rng_state(), before)


def test_other_probabilities_are_another_rule_in_evaluation():
    cell = GRU(3, 4).eval()
    rules = []
    for p in (0.2, 0.7):
        cell.regularizers = Regularizers(zoneout=p)
        rules.append(rule_of(cell.begin(2)))
    assert rules[0].forward.statements != rules[1].forward.statements


class Rule(PointwiseCell):
    gates = 2

    def __init__(self, rule, **parameters):
        super().__init__(3, 4)
        self.rule = rule
        for name, value in parameters.items():
            setattr(self, name, nn.Parameter(value))

    def pointwise(self, projected, recurrent, state):
        return self.rule(self, projected, recurrent, state)


def mean(self, p, r, state):
    h = p.chunk(2, -1)[0] - p.chunk(2, -1)[1].mean(0)
    return h, (h,)


def sorted_units(self, p, r, state):
    h = (p + r).chunk(2, -1)[0].sort(-1)[0]
    return h, (h,)


def odd_cut(self, p, r, state):
    h = (p + r)[:, 1:5]
    return h, (h,)


def noise(self, p, r, state):
    h = state[0] + torch.rand_like(state[0])
    return h, (h,)


def constant(self, p, r, state):
    h = state[0] + torch.ones(4).cumsum(0).double()
    return h, (h,)


def matrix(self, p, r, state):
    h = torch.tanh(state[0] @ self.weight)
    return h, (h,)


def wide(self, p, r, state):
    return p + r, state


@pytest.mark.parametrize(
    ("rule", "parameters", "reason"),
    [
        (mean, {}, "its rule uses mean"),
        (sorted_units, {}, "its rule uses sort"),
        (odd_cut, {}, "cuts a tensor at channel 1, not between blocks of hidden_size"),
        (noise, {}, "its rule uses rand_like"),
        (constant, {}, "its rule uses"),
        (matrix, {"weight": torch.eye(5)}, r"parameter 'weight' \(5, 5\) is not one value per hidden unit"),
        (matrix, {"weight": torch.eye(4)}, "its rule"),
        (wide, {}, r"its rule gives \[\(2, 8\), \(2, 4\)\], not \(batch, hidden_size\) each"),
    ],
)
def test_a_rule_that_mixes_says_what_it_does(rule, parameters, reason):
    with pytest.raises(NotPointwise, match=reason):
        rule_of(Rule(rule, **parameters))


def reversed_units(self, p, r, state):
    h = torch.roll(p.chunk(2, -1)[0], 1, -1)
    return h, (h,)


def test_rolled_units_are_not_mistaken_for_a_pointwise_rule():
    with pytest.raises(NotPointwise):
        rule_of(Rule(reversed_units))


def test_the_same_computation_is_written_once_and_what_nobody_reads_not_at_all():
    build = Builder()
    first = build("mul", "a", "b")
    assert build("mul", "a", "b") == first
    build("exp", "a")
    assert [s.operation for s in build.program(["a", "b"], [first]).statements] == ["mul"]


@pytest.mark.parametrize(
    ("operation", "operands", "expected"),
    [
        ("add", ("a", 0.0), "a"),
        ("add", (0.0, "a"), "a"),
        ("mul", ("a", 1.0), "a"),
        ("mul", ("a", 0.0), 0.0),
        ("sub", ("a", 0.0), "a"),
        ("div", ("a", 1.0), "a"),
        ("where", ("c", "a", "a"), "a"),
        ("add", (2.0, 3.0), 5.0),
        ("sigmoid", (0.0,), 0.5),
    ],
)
def test_what_changes_nothing_is_not_written(operation, operands, expected):
    build = Builder()
    assert build(operation, *operands) == expected
    assert build.statements == []


@pytest.mark.parametrize(
    "surroundings",
    [
        lambda: torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t),
        torch.inference_mode,
        torch.no_grad,
        lambda: torch.autocast("cpu", torch.bfloat16),
    ],
)
def test_tracing_knows_nothing_of_what_is_going_on_around_it(surroundings):
    expected = rule_of(LSTM(3, 4))
    with surroundings():
        rule = rule_of(LSTM(3, 4))
    assert (rule.forward, rule.backward) == (expected.forward, expected.backward)


class Scaled(PointwiseCell):
    def __init__(self, input_size, hidden_size, /):
        super().__init__(input_size, hidden_size)
        self.alpha = 2.0
        self.slope = nn.LeakyReLU(0.1)

    def pointwise(self, projected, recurrent, state):
        h = torch.tanh(self.slope(projected + recurrent) * self.alpha)
        return h, (h,)


def test_a_number_that_changes_is_another_rule():
    cell, x = Scaled(3, 4), torch.randn(5, 2, 3)
    lengths = torch.tensor([5, 3])
    for change in (
        lambda: None,
        lambda: setattr(cell, "alpha", 0.5),
        lambda: setattr(cell.slope, "negative_slope", 0.9),
    ):
        change()
        got, expected = (unroll(cell, x, None, lengths, kernels=k)[0] for k in ("compiled", "reference"))
        assert torch.allclose(got, expected, atol=1e-6)


def test_threads_may_share_a_cell():
    for _ in range(3):
        cell, x = Scaled(3, 4), torch.randn(5, 2, 3)
        cell.scale = nn.Parameter(torch.rand(4))
        expected = unroll(cell, x, None, torch.tensor([5, 3]), kernels="reference")[0]
        with ThreadPoolExecutor(4) as pool:
            runs = [pool.submit(unroll, cell, x, None, torch.tensor([5, 3]), kernels="compiled") for _ in range(8)]
            for run in runs:
                assert torch.allclose(run.result()[0], expected, atol=1e-6)
        assert isinstance(cell.scale, nn.Parameter)


def test_a_rule_that_draws_leaves_the_generator_alone_while_it_is_traced():
    cell = Rule(noise)
    before = torch.get_rng_state()
    with pytest.raises(NotPointwise, match="rand_like"):
        rule_of(cell)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_rule_that_keeps_something_in_its_cell_is_refused_and_the_cell_is_as_it_was():
    def remembering(self, p, r, state):
        self.last = torch.tanh((p + r).chunk(2, -1)[0])
        return self.last, (self.last,)

    cell = Rule(remembering)
    with pytest.raises(NotPointwise, match="its rule changes the cell"):
        rule_of(cell)
    assert not hasattr(cell, "last")


def hard(self, p, r, state):
    keep = ((p + r).chunk(2, -1)[0] > 0).to(p.dtype)
    h = keep * state[0] + (1 - keep)
    return h, (h,)


def bounded(self, p, r, state):
    h = torch.clamp(p.chunk(2, -1)[0], min=self.low)
    return h, (h,)


@pytest.mark.parametrize(("rule", "parameters"), [(hard, {}), (bounded, {"low": torch.zeros(4)})])
def test_whatever_cannot_be_read_runs_by_steps(rule, parameters):
    cell, x = Rule(rule, **parameters), torch.randn(5, 2, 3)
    got, expected = (unroll(cell, x, None, torch.tensor([5, 3]), kernels=k)[0] for k in ("auto", "reference"))
    assert torch.allclose(got, expected, atol=1e-6)


class Adapted(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize("make", [LSTM, GRU, Scaled])
def test_a_product_of_ones_own_is_seen(make):
    cell, x = make(3, 4), torch.randn(5, 2, 3)
    cell.recurrent = Adapted(4, cell.gates * 4)
    got, expected = (unroll(cell, x, None, torch.tensor([5, 3]), kernels=k)[0] for k in ("auto", "reference"))
    assert torch.allclose(got, expected, atol=1e-6)


def test_a_second_derivative_is_refused():
    cell, x = Scaled(3, 4), torch.randn(5, 2, 3, requires_grad=True)
    outputs, _ = unroll(cell, x, None, torch.tensor([5, 3]), kernels="compiled")
    with pytest.raises(ComponentError, match="no second derivative; use 'kernels: reference'"):
        torch.autograd.grad(outputs.sum(), x, create_graph=True)
