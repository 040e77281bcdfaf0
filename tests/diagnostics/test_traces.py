"""Traces are what stepping by hand gives, each value at its token."""

import numpy as np
import pytest
import torch

from seqapps.cells import RNN, Cell
from seqapps.diagnostics.traces import trace_batch, varying_units

LENGTHS = [5, 3, 1]


def values_of(traces, direction, name):
    (found,) = [one.values for one in traces if (one.direction, one.name) == (direction, name)]
    return found


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_trace_is_what_stepping_by_hand_gives(model_of, split_of, direction):
    model, split = model_of("lstm", bidirectional=True, input_size=2), split_of(LENGTHS, 2)
    traced = trace_batch(model, split.batch(np.arange(3)))
    cell = model.encoder.layers[0][direction == "backward"]
    for row, length in enumerate(LENGTHS):
        order = range(length) if direction == "forward" else reversed(range(length))
        h = c = torch.zeros(3).double()
        for t in order:
            sums = cell.project(split.rows[row][t]) + cell.recurrent(h)
            i, f, g, o = sums.chunk(4)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            expected = {"h": h, "c": c, "input": i.sigmoid(), "forget": f.sigmoid(), "output": o.sigmoid()}
            for name, value in expected.items():
                torch.testing.assert_close(values_of(traced[row], direction, name)[t], value)


def test_traces_have_the_lengths_of_their_sequences_and_their_keys(model_of, split_of):
    model, split = model_of("gru", num_layers=2), split_of(LENGTHS, 1)
    for traces, length in zip(trace_batch(model, split.batch(np.arange(3))), LENGTHS, strict=True):
        assert [one.key for one in traces] == [
            f"layer{layer}/forward/{name}" for layer in (0, 1) for name in ("h", "reset", "update")
        ]
        assert [one.kind for one in traces[:3]] == ["state", "gate", "gate"]
        assert all(one.values.shape == (length, 3) for one in traces)


class Doubling(Cell):
    """Shows twice its state."""

    def step(self, projected, state):
        h = torch.tanh(projected + state[0])
        return 2 * h, (h,)


def test_an_output_that_is_no_state_is_traced_too(model_of, split_of):
    (traces,) = trace_batch(model_of(Doubling(1, 3)), split_of([4], 1).batch(np.arange(1)))
    assert [(one.kind, one.name) for one in traces] == [("state", "h"), ("output", "cell_output")]
    torch.testing.assert_close(traces[1].values, 2 * traces[0].values)
    (plain,) = trace_batch(model_of(RNN(1, 3)), split_of([4], 1).batch(np.arange(1)))
    assert [one.name for one in plain] == ["h"]


def test_dropout_is_off_and_the_mode_comes_back(model_of, split_of):
    model, batch = model_of("lstm", dropout=0.5), split_of([4], 1).batch(np.arange(1))
    model.train()
    first, second = (trace_batch(model, batch)[0][0].values for _ in range(2))
    assert torch.equal(first, second)
    assert model.training


def test_varying_units_are_the_ones_that_vary():
    values = torch.tensor([[0.0, 5.0, 1.0], [0.0, 5.0, -1.0], [0.1, 5.0, 1.0]])
    assert varying_units([values[:2], values[2:]], 2) == [0, 2]
    assert varying_units([values], 9) == [0, 1, 2]
