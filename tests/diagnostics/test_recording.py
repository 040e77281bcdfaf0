"""What is noted while an encoder runs is what its cells do."""

import numpy as np
import pytest
import torch

from seqapps.cells import GRU, LSTM, RNN, Cell, unroll
from seqapps.diagnostics.recording import Place, named_gates, recording, recurrent_cells
from seqapps.errors import ComponentError

LENGTHS = [6, 4, 1]


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("direction", [0, 1])
def test_noted_states_are_those_of_unroll_at_every_length(model_of, split_of, name, direction):
    model, split = model_of(name, bidirectional=True, input_size=2), split_of(LENGTHS, 2)
    with recording(model) as noted:
        encoded = model.encode(split.batch(np.arange(3)))
    unrolled = noted[Place(0, direction)]
    cell = model.encoder.layers[0][direction]
    for row, length in enumerate(LENGTHS):
        for steps in range(1, length + 1):
            part = split.rows[row][length - steps :] if direction else split.rows[row][:steps]
            _, final = unroll(cell, part[:, None], None, torch.tensor([steps]), reverse=bool(direction))
            for number, state in enumerate(final):
                torch.testing.assert_close(unrolled.states(number)[steps - 1, row], state[0])
    h = unrolled.in_reading_order(unrolled.states(0), encoded.lengths)
    own = slice(3, 6) if direction else slice(0, 3)
    torch.testing.assert_close(h.transpose(0, 1), encoded.outputs[..., own])


def test_recording_changes_neither_outputs_nor_the_model(model_of, split_of):
    model, batch = model_of("lstm", bidirectional=True, num_layers=2), split_of(LENGTHS, 1).batch(np.arange(3))
    before = model.encode(batch).outputs
    with recording(model) as noted:
        torch.testing.assert_close(model.encode(batch).outputs, before)
    assert sorted(noted) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert model.encoder.kernels == "auto"
    assert all("begin" not in vars(cell) for cell in recurrent_cells(model.encoder).values())
    steps = len(noted[Place(0, 0)].steps)
    model.encode(batch)
    assert len(noted[Place(0, 0)].steps) == steps


def test_the_model_is_as_it_was_after_an_error(model_of):
    model = model_of("lstm")
    with pytest.raises(ZeroDivisionError), recording(model):
        raise ZeroDivisionError
    assert model.encoder.kernels == "auto"
    assert "begin" not in vars(model.encoder.layers[0][0])


def test_no_kernel_is_used_anywhere(model_of, split_of):
    model = model_of("lstm")
    model.embedder.kernels = "native"
    with recording(model):
        assert (model.encoder.kernels, model.embedder.kernels) == ("reference", "reference")
    assert (model.encoder.kernels, model.embedder.kernels) == ("auto", "native")


@pytest.mark.parametrize(
    ("cell", "names"), [(LSTM, ("input", "forget", "output")), (GRU, ("reset", "update")), (RNN, ())]
)
def test_gates_are_the_sigmoids_of_the_equations(model_of, split_of, cell, names):
    made = cell(2, 3)
    model, split = model_of(made), split_of([5, 3], 2)
    model.embedder.output_size = 2
    with recording(model) as noted:
        model.encode(split.batch(np.arange(2)))
    unrolled = noted[Place(0, 0)]
    assert tuple(unrolled.gates()) == names
    block = {"input": 0, "forget": 1, "output": 3, "reset": 0, "update": 1}
    for name, values in unrolled.gates().items():
        for t, step in enumerate(unrolled.steps):
            rows = slice(3 * block[name], 3 * block[name] + 3)
            linear = made.recurrent
            sums = step.projected[:, rows] + step.before[0] @ linear.weight[rows].t() + linear.bias[rows]
            torch.testing.assert_close(values[t], 1 / (1 + torch.exp(-sums)))


class Joint(Cell):
    """Two gates by one sigmoid."""

    gates, gate_names = 3, ("read", "write")

    def step(self, projected, state):
        both, candidate = projected.split([2 * self.hidden_size, self.hidden_size], -1)
        read, write = both.sigmoid().chunk(2, -1)
        h = write * state[0] + read * candidate
        return h, (h,)


def test_one_sigmoid_over_two_gates_is_taken_apart(model_of, split_of):
    model, split = model_of(Joint(1, 3)), split_of([4], 1)
    with recording(model) as noted:
        model.encode(split.batch(np.arange(1)))
    step = noted[Place(0, 0)].steps[0]
    torch.testing.assert_close(step.gates["read"], step.projected[:, :3].sigmoid())
    torch.testing.assert_close(step.gates["write"], step.projected[:, 3:6].sigmoid())


def test_sigmoids_without_names_are_numbered():
    cell = RNN(1, 3)
    values = [torch.zeros(2, 3), torch.ones(2, 3)]
    assert list(named_gates(cell, values)) == ["gate1", "gate2"]


def test_a_logistic_unit_has_no_gate(model_of, split_of):
    model, split = model_of(RNN(1, 3, nonlinearity="sigmoid")), split_of([4], 1)
    with recording(model) as noted:
        model.encode(split.batch(np.arange(1)))
    assert noted[Place(0, 0)].gates() == {}


def test_zoneout_is_part_of_what_is_stepped(model_of, split_of):
    model, split = model_of("rnn"), split_of([3], 1)
    cell = model.encoder.layers[0][0]
    cell.regularizers = cell.regularizers._replace(zoneout=0.5)
    with recording(model) as noted:
        outputs = model.encode(split.batch(np.arange(1))).outputs
    first = torch.tanh(cell.input_projection(split.rows[0][0]) + cell.recurrent.bias)
    torch.testing.assert_close(outputs[0, 0], 0.5 * first)
    torch.testing.assert_close(noted[Place(0, 0)].steps[0].after[0][0], 0.5 * first)


def test_an_encoder_without_cells_is_told():
    with pytest.raises(ComponentError, match="Linear: this encoder has no recurrent cells"):
        recurrent_cells(torch.nn.Linear(2, 2))
