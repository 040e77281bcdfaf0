"""Gates are counted over real tokens only."""

import numpy as np
import pytest
import torch

from seqapps.cells import LSTM, RNN, Cell
from seqapps.diagnostics.gates import Activity
from seqapps.diagnostics.recording import Place, recording


class Echo(Cell):
    """Its only gate is the sigmoid of the input, times 1, 2, 3 for its units."""

    gate_names = ("echo",)

    def step(self, projected, state):
        h = 2 * torch.sigmoid(projected)
        return h, (h,)


def echo(model_of, split_of, rows):
    cell = Echo(1, 2, bias=False)
    torch.nn.init.ones_(cell.input_projection.weight)
    model, split = model_of(cell), split_of([len(row) for row in rows], 1)
    split.rows = [torch.tensor(row, dtype=torch.float64)[:, None] for row in rows]
    return activity(model, split)


def activity(model, split):
    with recording(model) as noted:
        encoded = model.encode(split.batch(np.arange(len(split))))
    counted = Activity()
    counted.add(noted[Place(0, 0)], encoded.lengths)
    return counted


def test_shares_count_values_of_real_tokens_only(model_of, split_of):
    # sigmoid(-9) < 0.05, sigmoid(9) > 0.95; on padding the gate of this cell would be 0.5
    found = echo(model_of, split_of, [[9.0, 0.0, -9.0, -9.0], [9.0]]).to_json()["gates"]["echo"]
    assert found["shut"] == pytest.approx(2 / 5)
    assert found["open"] == pytest.approx(2 / 5)
    assert sum(found["histogram"]) == 2 * 5
    assert (found["histogram"][0], found["histogram"][10], found["histogram"][-1]) == (4, 2, 4)


def test_a_unit_is_stuck_where_its_gate_is_on_one_side_at_more_than_95_per_cent_of_tokens(model_of, split_of):
    for shut, stuck in ((95, 0), (96, 2)):  # of 100
        found = echo(model_of, split_of, [[-9.0] * shut + [0.0] * (100 - shut)]).to_json()["gates"]["echo"]
        assert (found["units_shut"], found["units_open"]) == (stuck, 0)
    found = echo(model_of, split_of, [[9.0] * 96 + [0.0] * 4]).to_json()["gates"]["echo"]
    assert (found["units_shut"], found["units_open"]) == (0, 2)


def test_batches_add_up(model_of, split_of):
    model, split = model_of("lstm"), split_of([5, 3, 2], 1)
    whole, parts = activity(model, split), Activity()
    for row in range(3):
        with recording(model) as noted:
            encoded = model.encode(split.batch(np.array([row])))
        parts.add(noted[Place(0, 0)], encoded.lengths)
    assert parts.to_json() == whole.to_json()
    assert whole.tokens == 10


def test_silent_units_are_those_that_are_zero_at_every_token(model_of, split_of):
    cell = RNN(1, 4, nonlinearity="relu")
    with torch.no_grad():
        cell.input_projection.bias.copy_(torch.tensor([-100.0, -100.0, 5.0, 0.0]))
    found = activity(model_of(cell), split_of([6, 2], 1)).to_json()
    assert (found["units"], found["silent_units"], found["gates"]) == (4, 2, {})


def test_a_bias_shuts_a_gate(model_of, split_of):
    cell = LSTM(1, 3)
    with torch.no_grad():
        cell.input_projection.bias[0] = -50.0  # the input gate of unit 0
        cell.input_projection.bias[3:5] = 50.0  # the forget gates of units 0 and 1
    gates = activity(model_of(cell), split_of([30, 30], 1)).to_json()["gates"]
    assert (gates["input"]["units_shut"], gates["forget"]["units_open"], gates["output"]["units_shut"]) == (1, 2, 0)
