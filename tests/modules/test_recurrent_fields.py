"""Fields of the recurrent encoder: how a layer starts, and what is refused."""

import inspect
import math

import pytest
import torch

from seqapps.cells import Cell, unroll
from seqapps.cells.cell import gate_slice
from seqapps.errors import ComponentError, ShapeError
from seqapps.modules.recurrent import RecurrentEncoder
from seqapps.recipe.spec import Spec


def encoder(cell="lstm", cell_fields=None, **fields):
    torch.manual_seed(0)
    fields.setdefault("hidden_size", 6)
    return RecurrentEncoder(5, cell=Spec("cells", cell, cell_fields or {}), **fields)


def total_bias(cell, gate):
    return (cell.input_projection.bias + cell.recurrent.bias)[gate_slice(cell, gate)]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_orthogonal_blocks_keep_lengths(cell):
    for made in encoder(cell, num_layers=2, bidirectional=True, initialization="orthogonal").cells():
        for block in made.recurrent.weight.detach().split(6):
            assert torch.allclose(block @ block.t(), torch.eye(6), atol=1e-5)


def test_blocks_of_a_projected_lstm_are_orthogonal_too():
    (made,) = encoder(cell_fields={"projection": 3}, initialization="orthogonal").cells()
    for block in made.recurrent.weight.detach().split(6):
        assert torch.allclose(block.t() @ block, torch.eye(3), atol=1e-5)


def test_the_identity_lets_a_relu_network_sum_its_inputs():
    ours = encoder("rnn", {"nonlinearity": "relu"}, initialization="identity")
    (made,) = ours.cells()
    with torch.no_grad():
        made.input_projection.bias.zero_(), made.recurrent.bias.zero_(), made.input_projection.weight.abs_()
    x = torch.rand(2, 9, 5)
    expected = (x @ made.input_projection.weight.t()).cumsum(1)
    assert torch.allclose(ours(x, torch.tensor([9, 9])).outputs, expected, atol=1e-5)


def test_xavier_draws_each_gate_within_its_own_bounds():
    (made,) = encoder(hidden_size=50, initialization="xavier").cells()
    bound = math.sqrt(6 / 100)
    for block in made.recurrent.weight.detach().split(50):
        assert block.abs().max() <= bound
        assert block.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)


def test_an_initialization_leaves_all_else_as_it_was():
    plain, other = encoder(num_layers=2).state_dict(), encoder(num_layers=2, initialization="orthogonal").state_dict()
    assert plain.keys() == other.keys()
    differ = [name for name in plain if not torch.equal(plain[name], other[name])]
    assert differ == ["layers.0.0.recurrent.weight", "layers.1.0.recurrent.weight"]


@pytest.mark.parametrize(("cell", "gate"), [("lstm", 1), ("gru", 1)])
def test_a_forget_bias_is_that_of_the_gate_that_keeps(cell, gate):
    for made in encoder(cell, num_layers=2, forget_bias=2.5).cells():
        assert total_bias(made, gate).tolist() == [2.5] * 6
        assert made.input_projection.bias[gate_slice(made, 0)].abs().max() < 1  # the other gates stay


def test_a_forget_bias_of_zero_is_not_the_cells_own():
    (made,) = encoder(forget_bias=0.0).cells()
    assert total_bias(made, 1).tolist() == [0.0] * 6


def test_chrono_biases_give_memories_of_one_to_the_longest_dependency():
    (made,) = encoder(hidden_size=2000, chrono=50).cells()
    u = total_bias(made, 1).exp()
    assert 1 <= u.min() < 1.5
    assert 48.5 < u.max() <= 49
    assert u.mean().item() == pytest.approx(25, abs=1)  # uniform in 1 .. 49
    assert torch.equal(total_bias(made, 0), -total_bias(made, 1))


def test_chrono_biases_of_a_gru_are_its_update_gates():
    (made,) = encoder("gru", chrono=50).cells()
    u = total_bias(made, 1).exp()
    assert ((u >= 1) & (u <= 49)).all()


@pytest.mark.parametrize(
    ("cell", "cell_fields", "fields", "message"),
    [
        ("rnn", {}, {"forget_bias": 1.0}, "forget_bias: RNN has no gate that keeps its old state; remove forget_bias"),
        ("rnn", {}, {"chrono": 9}, "chrono: RNN has no gate that keeps its old state; remove chrono"),
        ("lstm", {"bias": False}, {"chrono": 9}, "chrono: LSTM has no biases; set 'bias: true' in the cell, or"),
        ("indrnn", {}, {"initialization": "xavier"}, "initialization: IndRNN has no linear module that multiplies"),
        ("mingru", {}, {"weight_drop": 0.1}, "weight_drop: MinGRU has no linear module that multiplies"),
        ("mingru", {}, {"recurrent_dropout": 0.1}, "recurrent_dropout: MinGRU has no linear module that multiplies"),
        ("gru", {}, {"zoneout_cell": 0.1}, "zoneout_cell: GRU has one state only"),
    ],
)
def test_what_a_cell_has_nothing_for_is_refused(cell, cell_fields, fields, message):
    with pytest.raises(ComponentError) as error:
        encoder(cell, cell_fields, **fields)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(RecurrentEncoder).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY
}


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"hidden_size": 0}, "hidden_size", "hidden_size is 0, expected 1 or more"),
        ({"hidden_size": [5, 0], "num_layers": 2}, "hidden_size", "hidden_size is [5, 0], expected 1 or more"),
        (
            {"hidden_size": [5, 6]},
            "hidden_size",
            "hidden_size lists 2 sizes, but num_layers is 1; list one for each layer",
        ),
        ({"num_layers": -1}, "num_layers", "num_layers is -1, expected 1 or more"),
        ({"dropout": 1.0}, "dropout", "dropout is 1.0, expected 0 <= dropout < 1"),
        ({"recurrent_dropout": -0.1}, "recurrent_dropout", "recurrent_dropout is -0.1, expected"),
        ({"weight_drop": 1.0}, "weight_drop", "weight_drop is 1.0, expected 0 <= weight_drop < 1"),
        ({"zoneout": 1.0}, "zoneout", "zoneout is 1.0, expected 0 <= zoneout < 1"),
        ({"zoneout_cell": 2.0}, "zoneout_cell", "zoneout_cell is 2.0, expected 0 <= zoneout_cell < 1"),
        ({"merge": "separate"}, "merge", "merge is separate, but there is one direction; set 'bidirectional: true'"),
        ({"connections": "highway"}, "connections", "connections is highway, but they lead past the second layer"),
        ({"chrono": 1}, "chrono", "chrono is 1, expected 2 steps or more"),
        ({"chrono": 9, "forget_bias": 1.0}, "chrono", "chrono and forget_bias set the same biases; remove one of them"),
    ],
)
def test_fields_out_of_range_are_faults(fields, field, message):
    ((name, text),) = RecurrentEncoder.check_fields({**DEFAULTS, **fields})
    assert name == field
    assert text.startswith(message)


@pytest.mark.parametrize("cell", ["lstm", "gru", "indrnn", "mingru"])
def test_learnt_initial_states_start_as_the_cells_own_and_get_gradients(cell):
    learnt = encoder(cell, num_layers=2, bidirectional=True, initial_state="learnt")
    fixed = encoder(cell, num_layers=2, bidirectional=True)
    x, lengths = torch.randn(3, 7, 5), torch.tensor([7, 4, 1])
    encoded = learnt(x, lengths)
    assert torch.equal(encoded.outputs, fixed(x, lengths).outputs)
    encoded.outputs.sum().backward()
    states = dict(learnt.learnt_state.named_parameters())
    assert len(states) == 4 * learnt.layers[0][0].states
    assert all(state.grad.any() for state in states.values())


def test_learnt_initial_states_are_used():
    ours = encoder(initial_state="learnt")
    x = torch.randn(2, 3, 5)
    lengths = torch.tensor([3, 2])
    with torch.no_grad():
        for value, state in enumerate(ours.learnt_state[0][0], 1):
            state.fill_(value)
    given = (((torch.full((2, 6), 1.0), torch.full((2, 6), 2.0)),),)
    assert torch.equal(ours(x, lengths).outputs, encoder()(x, lengths, given).outputs)


def test_learnt_initial_states_are_saved_and_loaded():
    saved = encoder(initial_state="learnt", num_layers=2)
    with torch.no_grad():
        for parameter in saved.parameters():
            parameter.uniform_()
    loaded = encoder(initial_state="learnt", num_layers=2)
    loaded.load_state_dict(saved.state_dict())
    x, lengths = torch.randn(2, 3, 5), torch.tensor([3, 2])
    assert torch.equal(saved(x, lengths).outputs, loaded(x, lengths).outputs)


def test_regularizers_add_no_parameters():
    fields = {"recurrent_dropout": 0.2, "weight_drop": 0.2, "zoneout": 0.1, "zoneout_cell": 0.3}
    ours = encoder(num_layers=2, **fields).train()
    ours(torch.randn(2, 3, 5), torch.tensor([3, 2])).outputs.sum().backward()
    assert list(ours.state_dict()) == list(encoder(num_layers=2).state_dict())
    assert all(parameter.grad is not None for parameter in ours.parameters())


def test_zoneout_acts_on_all_states_unless_told_apart():
    regularizers = [
        next(encoder(cell, **fields).cells()).regularizers[2:]
        for cell, fields in [
            ("lstm", {"zoneout": 0.1}),
            ("lstm", {"zoneout": 0.1, "zoneout_cell": 0.0}),
            ("lstm", {"zoneout_cell": 0.3}),
            ("gru", {"zoneout": 0.1}),
        ]
    ]
    assert regularizers == [(0.1, 0.1), (0.1, 0.0), (0.0, 0.3), (0.1, 0.0)]


@pytest.mark.parametrize("length", [0, 8])
def test_a_length_that_does_not_fit_names_the_sequence(length):
    with pytest.raises(ShapeError, match=rf"sequence 1 has length {length}, expected 1 to 7"):
        encoder()(torch.randn(3, 7, 5), torch.tensor([7, length, 1]))


@pytest.mark.parametrize(
    ("x", "lengths", "message"),
    [
        (torch.zeros(7, 5), [7], r"recurrent encoder: x has shape \(7, 5\), expected \(B, T, E\)"),
        (torch.zeros(3, 7, 4), [7, 4, 1], r"LSTM: x has shape \(7, 3, 4\), expected \(T, B, 5\)"),
        (torch.zeros(3, 7, 5), [7, 4], "LSTM: 2 lengths for 3 sequences; give one for each"),
        (torch.zeros(3, 7, 5).half(), [7, 4, 1], "LSTM: x is torch.float16, its parameters torch.float32; convert"),
    ],
)
def test_input_of_another_shape_or_type_is_refused(x, lengths, message):
    with pytest.raises(ShapeError, match=message):
        encoder()(x, torch.tensor(lengths))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ((), r"recurrent encoder: state has \[\] directions in its layers, expected \[1\]"),
        (((((torch.zeros(2, 6),) * 2),),), r"LSTM: the state has shapes \[\(2, 6\), \(2, 6\)\], expected \[\(3, 6\)"),
        (((((torch.zeros(3, 6),)),),), r"LSTM: the state has shapes \[\(3, 6\)\], expected \[\(3, 6\), \(3, 6\)\]"),
    ],
)
def test_a_state_of_another_encoder_is_refused(state, message):
    with pytest.raises(ShapeError, match=message):
        encoder()(torch.zeros(3, 7, 5), torch.tensor([7, 4, 1]), state)


@pytest.mark.parametrize("kernels", ["reference", "native"])
def test_input_that_is_not_contiguous_is_read_as_any_other(kernels):
    ours = encoder(bidirectional=True)
    ours.kernels = kernels
    x, lengths = torch.randn(3, 5, 14)[:, :, ::2].transpose(1, 2), torch.tensor([7, 4, 1])
    assert not x.is_contiguous()
    assert not x.transpose(0, 1).is_contiguous()
    assert torch.equal(ours(x, lengths).outputs, ours(x.contiguous(), lengths).outputs)


@pytest.mark.parametrize("kernels", ["reference", "native"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_float16_on_a_cpu_gives_float16_near_the_true_values(cell, kernels):
    ours = encoder(cell, bidirectional=True)
    x, lengths = torch.randn(3, 7, 5), torch.tensor([7, 4, 1])
    expected = ours(x, lengths)
    ours.half().kernels = kernels
    encoded = ours(x.half(), lengths)
    assert encoded.outputs.dtype == torch.float16
    assert torch.allclose(encoded.outputs.float(), expected.outputs, atol=5e-3)
    assert torch.allclose(encoded.final[0][1][0].float(), expected.final[0][1][0], atol=5e-3)


@pytest.mark.parametrize("form", [{}, {"initial_state": "learnt"}, {"num_layers": 2, "connections": "highway"}])
def test_one_unit_one_step_and_one_sequence_work(form):
    ours = encoder(hidden_size=1, bidirectional=True, **form)
    encoded = ours(torch.randn(1, 1, 5), torch.tensor([1]))
    assert encoded.outputs.shape == (1, 1, 2)
    assert torch.equal(encoded.summary, encoded.outputs[0])


class Slip(Cell):
    """A cell that breaks its contract in the way that `wrong` names."""

    wrong = ""

    def step(self, projected, state):
        (h,) = state
        h = torch.tanh(projected + h)
        if self.wrong == "memory":
            self.last = h
        wrong = {
            "output": (h[:, :2], (h,)),
            "number": (h, (h, h)),
            "shape": (h, (h[:, :2],)),
            "pair": h,
            "list": (h, h),
        }
        return wrong.get(self.wrong, (h, (h,)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("output", "Slip: step returns an output of shape (3, 2), expected (3, 6); set `output_size` if"),
        ("number", "Slip: step turns states of shapes [(3, 6)] into [(3, 6), (3, 6)]; return as many as came"),
        ("shape", "Slip: step turns states of shapes [(3, 6)] into [(3, 2)]; return as many as came"),
        ("pair", "Slip: step returns no pair of the output and the tuple of new states; write 'return h, (h,)'"),
        ("list", "Slip: step returns no pair of the output and the tuple of new states; write 'return h, (h,)'"),
        ("memory", "Slip: step sets self.last, but a cell remembers nothing; return it as one more tensor"),
    ],
)
def test_a_cell_that_breaks_its_contract_is_told_how(wrong, message):
    cell = Slip(5, 6)
    unroll(cell, torch.randn(7, 3, 5), None, torch.tensor([7, 4, 1]))  # as it should be
    cell.wrong = wrong
    with pytest.raises(ComponentError) as error:
        unroll(cell, torch.randn(7, 3, 5), None, torch.tensor([7, 4, 1]))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
