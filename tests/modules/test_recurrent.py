"""Deep and bidirectional encoders."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqapps.cells import Cell
from seqapps.errors import ShapeError
from seqapps.modules.recurrent import RecurrentEncoder
from seqapps.recipe.spec import Spec
from seqapps.registry import registry

LENGTHS = torch.tensor([9, 6, 3, 1])
EQUAL = torch.full((4,), 9)


class Projected(Cell):
    """Two states (B, 3) and (B, H), output_size 3."""

    gates, states = 2, 2

    def __init__(self, input_size, hidden_size, /, *, bias: bool = True):
        super().__init__(input_size, hidden_size, bias=bias)
        self.output_size = 3
        self.recurrent = nn.Linear(3, 2 * hidden_size, bias=False)
        self.projection = nn.Linear(hidden_size, 3, bias=False)

    def recurrent_names(self):
        return ("recurrent",)

    def initial_state(self, batch_size):
        zeros = self.input_projection.weight.new_zeros
        return zeros(batch_size, 3), zeros(batch_size, self.hidden_size)

    def step(self, projected, state):
        r, c = state
        f, g = (projected + self.recurrent(r)).chunk(2, -1)
        c = torch.sigmoid(f) * c + torch.tanh(g)
        r = self.projection(torch.tanh(c))
        return r, (r, c)


class Matrix(Cell):
    """States (B, H) and a matrix memory (B, H, H); no linear module multiplies either."""

    gates, states = 3, 2

    def initial_state(self, batch_size):
        zeros = self.input_projection.weight.new_zeros
        return zeros(batch_size, self.hidden_size), zeros(batch_size, self.hidden_size, self.hidden_size)

    def step(self, projected, state):
        h, memory = state
        q, k, v = projected.tanh().chunk(3, -1)
        memory = 0.9 * memory + k[:, :, None] * (v + 0.1 * h)[:, None, :]
        h = torch.einsum("bi,bij->bj", q, memory)
        return h, (h, memory)


CELLS = ["lstm", "gru", "rnn", Projected, Matrix]
FORMS = [
    {},
    {"bidirectional": True},
    {"num_layers": 3, "connections": "residual"},
    {"num_layers": 3, "bidirectional": True, "connections": "highway"},
    {"num_layers": 2, "bidirectional": True, "merge": "separate"},
    {"num_layers": 3, "bidirectional": True, "merge": "separate", "connections": "residual"},
    {"num_layers": 2, "bidirectional": True, "initial_state": "learnt"},
    {"num_layers": 2, "bidirectional": True, "hidden_size": [6, 4]},
]


@pytest.fixture(autouse=True)
def known_cells():
    """The cells above, for as long as a test runs."""
    cells = registry("cells")
    for kind in (Projected, Matrix):
        cells.register(kind.__name__)(kind)
    yield
    for kind in (Projected, Matrix):
        cells._local.pop(kind.__name__)


def encoder(cell="lstm", hidden_size=6, cell_fields=None, **fields):
    torch.manual_seed(0)
    spec = Spec("cells", cell if isinstance(cell, str) else cell.__name__, cell_fields or {})
    made = RecurrentEncoder(5, cell=spec, hidden_size=hidden_size, **fields).double().eval()
    if made.learnt_state is not None:
        for parameter in made.learnt_state.parameters():
            nn.init.normal_(parameter)
    return made


def sequences():
    return torch.randn(4, 9, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def flat(final):
    return [state for layer in final for direction in layer for state in direction]


def load_torchs(ours, layer):
    with torch.no_grad():
        for number, directions in enumerate(ours.layers):
            for direction, part in enumerate(directions):
                suffix = f"_l{number}" + ("_reverse" if direction else "")
                part.input_projection.weight.copy_(getattr(layer, "weight_ih" + suffix))
                part.input_projection.bias.copy_(getattr(layer, "bias_ih" + suffix))
                part.recurrent.weight.copy_(getattr(layer, "weight_hh" + suffix))
                part.recurrent.bias.copy_(getattr(layer, "bias_hh" + suffix))


def packed(layer, x, lengths):
    outputs, last = layer(pack_padded_sequence(x, lengths, batch_first=True))
    return pad_packed_sequence(outputs, batch_first=True)[0], last if isinstance(last, tuple) else (last,)


@pytest.mark.parametrize("kernels", ["reference", "native"])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("cell", "theirs"), [("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN)])
def test_stacks_equal_torchs_packed_ones(cell, theirs, bidirectional, num_layers, kernels):
    ours = encoder(cell, num_layers=num_layers, bidirectional=bidirectional)
    ours.kernels = kernels
    layer = theirs(5, 6, num_layers, batch_first=True, bidirectional=bidirectional).double()
    load_torchs(ours, layer)
    expected, last = packed(layer, sequences(), LENGTHS)
    encoded = ours(sequences(), LENGTHS)
    assert torch.allclose(encoded.outputs, expected, atol=1e-12)
    assert torch.allclose(encoded.summary, torch.cat(list(last[0][-1 - bidirectional :]), -1), atol=1e-12)
    for number, directions in enumerate(encoded.final):
        for direction, state in enumerate(directions):
            for own, torchs in zip(state, last, strict=True):
                assert torch.allclose(own, torchs[number * (1 + bidirectional) + direction], atol=1e-12)


def test_separate_stacks_equal_two_of_torchs_one_of_them_on_the_reversed_sequence():
    ours = encoder("lstm", num_layers=2, bidirectional=True, merge="separate")
    x = sequences()
    for direction in (0, 1):
        layer = nn.LSTM(5, 6, 2, batch_first=True).double()
        with torch.no_grad():
            for number, directions in enumerate(ours.layers):
                getattr(layer, f"weight_ih_l{number}").copy_(directions[direction].input_projection.weight)
                getattr(layer, f"bias_ih_l{number}").copy_(directions[direction].input_projection.bias)
                getattr(layer, f"weight_hh_l{number}").copy_(directions[direction].recurrent.weight)
                getattr(layer, f"bias_hh_l{number}").copy_(directions[direction].recurrent.bias)
        half = slice(6 * direction, 6 * direction + 6)
        encoded = ours(x, LENGTHS)
        for b, n in enumerate(LENGTHS.tolist()):
            alone = x[b : b + 1, :n]
            expected, (h, _) = layer(alone.flip(1) if direction else alone)
            expected = expected.flip(1) if direction else expected
            assert torch.allclose(encoded.outputs[b : b + 1, :n, half], expected, atol=1e-12)
            assert torch.allclose(encoded.summary[b, half], h[-1, 0], atol=1e-12)


@pytest.mark.parametrize(("cell", "form"), list(itertools.product(CELLS, FORMS)))
def test_each_sequence_is_encoded_as_if_it_were_alone(cell, form):
    ours = encoder(cell, **form)
    x = sequences()
    for b, n in enumerate(LENGTHS.tolist()):
        x[b, n:] = float("nan")
    encoded = ours(x, LENGTHS)
    for b, n in enumerate(LENGTHS.tolist()):
        alone = ours(x[b : b + 1, :n], torch.tensor([n]))
        assert torch.allclose(encoded.outputs[b, :n], alone.outputs[0], atol=1e-12)
        assert torch.equal(encoded.outputs[b, n:], torch.zeros(9 - n, ours.output_size).double())
        assert torch.allclose(encoded.summary[b], alone.summary[0], atol=1e-12)
        for batched, single in zip(flat(encoded.final), flat(alone.final), strict=True):
            assert torch.allclose(batched[b], single[0], atol=1e-12)


@pytest.mark.parametrize(("cell", "form"), list(itertools.product(CELLS, FORMS)))
def test_the_summary_is_the_output_at_each_directions_last_step(cell, form):
    ours = encoder(cell, **form)
    encoded = ours(sequences(), LENGTHS)
    forward = ours.layers[-1][0].output_size
    for b, n in enumerate(LENGTHS.tolist()):
        assert torch.equal(encoded.summary[b, :forward], encoded.outputs[b, n - 1, :forward])
        assert torch.equal(encoded.summary[b, forward:], encoded.outputs[b, 0, forward:])


@pytest.mark.parametrize("initial_state", ["fixed", "learnt"])
@pytest.mark.parametrize("connections", ["none", "highway"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_state_carried_over_a_cut_equals_the_uncut_sequence(cell, connections, initial_state):
    ours = encoder(cell, num_layers=2, connections=connections, initial_state=initial_state)
    x = sequences()
    whole = ours(x, EQUAL)
    first = ours(x[:, :5], torch.full((4,), 5))
    second = ours(x[:, 5:], torch.full((4,), 4), first.final)
    assert torch.allclose(torch.cat([first.outputs, second.outputs], 1), whole.outputs, atol=1e-12)
    for carried, uncut in zip(flat(second.final), flat(whole.final), strict=True):
        assert torch.allclose(carried, uncut, atol=1e-12)


def test_only_one_direction_is_causal():
    assert encoder().causal
    assert not encoder(bidirectional=True).causal
    assert not encoder(bidirectional=True, merge="separate").causal


def test_each_layer_can_have_its_own_size():
    ours = encoder(hidden_size=[6, 4], num_layers=2, bidirectional=True)
    assert [cell.hidden_size for cell in ours.cells()] == [6, 6, 4, 4]
    assert [cell.input_size for cell in ours.cells()] == [5, 5, 12, 12]
    assert ours(sequences(), LENGTHS).outputs.shape == (4, 9, ours.output_size) == (4, 9, 8)
    apart = encoder(hidden_size=[6, 4], num_layers=2, bidirectional=True, merge="separate")
    assert [cell.input_size for cell in apart.cells()] == [5, 5, 6, 6]


@pytest.mark.parametrize("cell", ["lstm", Projected])
@pytest.mark.parametrize("merge", ["concat", "separate"])
@pytest.mark.parametrize("connections", ["residual", "highway"])
def test_connections_lead_each_layers_input_past_it_from_the_second_on(cell, merge, connections):
    ours = encoder(cell, num_layers=2, bidirectional=True, merge=merge, connections=connections)
    layers = [encoder(cell, bidirectional=True) for _ in range(2)]
    width = ours.output_size // 2
    x = sequences()
    first = ours.layers[0]
    layers[0].layers = nn.ModuleList([first])
    below = layers[0](x, LENGTHS).outputs
    layers[1].layers = nn.ModuleList([ours.layers[1]])
    if merge == "concat":
        above = layers[1](below, LENGTHS).outputs
    else:
        halves = []
        for half in (below[..., :width], below[..., width:]):
            halves.append(layers[1](half, LENGTHS).outputs)
        above = torch.cat([halves[0][..., :width], halves[1][..., width:]], -1)
    if connections == "residual":
        expected = above + below
    elif merge == "concat":
        t = torch.sigmoid(ours.connections[0][0].gate(below))
        expected = t * above + (1 - t) * below
    else:
        streams = [below[..., :width], below[..., width:]]
        t = torch.cat([torch.sigmoid(c.gate(s)) for c, s in zip(ours.connections[0], streams, strict=True)], -1)
        expected = t * above + (1 - t) * below
    assert torch.allclose(ours(x, LENGTHS).outputs, expected, atol=1e-12)


def test_highways_begin_by_carrying():
    ours = encoder(num_layers=3, connections="highway")
    for gates in ours.connections:
        assert gates[0].gate.bias.tolist() == [-1.0] * 6


def test_connections_between_layers_of_different_sizes_are_refused_with_the_sizes():
    with pytest.raises(ShapeError, match=r"^connections: residual needs .* layer 2 reads 12 features and returns 8;"):
        encoder(num_layers=2, bidirectional=True, hidden_size=[6, 4], connections="residual")


def test_dropped_inputs_still_reach_the_next_layer_by_a_residual_connection_whole():
    ours = encoder(num_layers=2, connections="residual", dropout=0.5).train()
    for parameter in ours.layers[1].parameters():
        nn.init.zeros_(parameter)  # the second layer returns 0, so what leaves it is its input
    seen = []
    for dropout in (ours.dropout, ours.output_dropout):  # what enters the second layer, what leaves it
        dropout.register_forward_hook(lambda module, given, dropped: seen.append(given[0]))
    ours(sequences(), EQUAL)
    read, left = seen
    assert torch.equal(read, left)


def test_what_enters_the_first_layer_and_what_leaves_the_last_can_be_dropped_apart():
    ours = encoder(num_layers=2, dropout=0.5, input_dropout=0.0, output_dropout=0.25).train()
    assert (ours.input_dropout.p, ours.dropout.p, ours.output_dropout.p) == (0.0, 0.5, 0.25)
    encoded = ours(sequences(), EQUAL)
    assert not (encoded.undropped == 0).any()
    assert 0.1 < (encoded.outputs == 0).double().mean() < 0.4
    assert encoder(dropout=0.5).input_dropout.p == encoder(dropout=0.5).output_dropout.p == 0.5


def test_dropout_acts_in_training_only_on_input_layers_and_output():
    ours = encoder(num_layers=2, dropout=0.5)
    x = sequences()
    ours.train()
    dropped = ours(x, LENGTHS).outputs
    assert (dropped[0] == 0).double().mean() > 0.3
    assert not torch.equal(dropped, ours(x, LENGTHS).outputs)
    ours.eval()
    assert torch.equal(ours(x, LENGTHS).outputs, ours(x, LENGTHS).outputs)
    assert (ours(x, LENGTHS).outputs[0] == 0).sum() == 0


@pytest.mark.parametrize("form", [{}, {"num_layers": 2, "bidirectional": True, "merge": "separate"}])
def test_a_locked_mask_is_the_same_at_every_step(form):
    ours = encoder(dropout=0.5, locked_dropout=True, **form).train()
    outputs = ours(sequences(), EQUAL).outputs
    zero = outputs == 0
    assert zero.any()
    assert torch.equal(zero, zero[:, :1].expand_as(zero))
    assert not torch.equal(zero[0], zero[1])  # each sequence has its own
