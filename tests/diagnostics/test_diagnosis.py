"""A whole diagnosis, and its alarms, on models built to be ill or well."""

import numpy as np
import pytest
import torch

from seqapps.cells import LSTM, RNN
from seqapps.diagnostics.alarms import alarms_of, reached, vanishes_within
from seqapps.diagnostics.clipping import clipped_share
from seqapps.diagnostics.diagnosis import diagnose_model
from seqapps.errors import ComponentError, DataError

LENGTHS = [12] * 20


@pytest.mark.parametrize(("w", "within"), [(0.1, 4), (0.09, 3), (0.5, 10)])  # 0.1 ** 3 is not below 1e-3
def test_a_small_weight_vanishes(model_of, split_of, scalar, w, within):
    found = diagnose_model(model_of(scalar(w)), split_of(LENGTHS, 1))
    assert found["alarms"] == [
        f"layer 0 forward: the gradient vanishes within {within} steps: it is below 0.001 of its norm at the token, "
        "while the token stands 11 steps after the first one (median)"
    ]
    assert vanishes_within(found["places"][0]["gradient"]) == within


def test_a_weight_of_two_explodes(model_of, split_of, scalar):
    found = diagnose_model(model_of(scalar(2.0)), split_of(LENGTHS, 1))
    assert found["alarms"] == [
        "layer 0 forward: the gradient explodes: 11 steps back it is 2.05e+03 times its norm at the token"
    ]


@pytest.mark.parametrize("w", [0.9, 1.0, 1.2])
def test_a_weight_around_one_is_nothing_to_report(model_of, split_of, scalar, w):
    found = diagnose_model(model_of(scalar(w)), split_of(LENGTHS, 1))
    assert found["alarms"] == []
    assert found["places"][0]["jacobian"]["largest_singular_value"] == pytest.approx([w] * 64)


def test_a_gradient_that_vanishes_only_beyond_the_median_is_no_alarm(model_of, split_of, scalar):
    model = model_of(scalar(0.3))  # below a thousandth after 6 steps
    assert diagnose_model(model, split_of([7] * 20, 1))["alarms"] == []
    assert len(diagnose_model(model, split_of([8] * 20, 1))["alarms"]) == 1


def test_tanh_can_vanish_although_the_weight_is_two(model_of, split_of):
    """|W| > 1 is necessary for an explosion, not sufficient: the derivative of tanh is small where it saturates."""
    cell = RNN(1, 1)
    with torch.no_grad():
        cell.recurrent.weight.fill_(2.0)
        cell.input_projection.bias.fill_(1.0)
    found = diagnose_model(model_of(cell), split_of(LENGTHS, 1))
    assert "vanishes" in found["alarms"][0]
    assert found["places"][0]["matrices"][0]["spectral_radius"] == pytest.approx(2.0)
    assert max(found["places"][0]["jacobian"]["largest_singular_value"]) < 2


def test_stuck_gates_and_dead_units_are_alarms(model_of, split_of):
    cell = LSTM(1, 3)
    with torch.no_grad():
        cell.input_projection.bias[0] = -50.0
    alarms = diagnose_model(model_of(cell), split_of(LENGTHS, 1))["alarms"]
    assert "layer 0 forward: the input gate of 1 of 3 units is shut (below 0.05) at more than 95 % of tokens" in alarms
    dead = RNN(1, 3, nonlinearity="relu")
    with torch.no_grad():
        dead.input_projection.bias[1] = -100.0
    alarms = diagnose_model(model_of(dead), split_of(LENGTHS, 1))["alarms"]
    assert "layer 0 forward: 1 of 3 units never differ from 0 (dead units)" in alarms


def test_distances_that_few_sequences_reach_are_not_spoken_of(model_of, split_of, scalar):
    found = diagnose_model(model_of(scalar(2.0)), split_of([3] * 20 + [30], 1))
    gradient = found["places"][0]["gradient"]
    assert (len(gradient["counts"]), reached(gradient)) == (30, 3)
    assert found["alarms"] == []
    few = diagnose_model(model_of(scalar(0.01)), split_of([4, 4, 9], 1))  # half of three is two
    assert reached(few["places"][0]["gradient"]) == 4
    assert len(few["alarms"]) == 1


def test_no_gradient_at_all_is_an_alarm():
    place = {
        "layer": 1,
        "direction": "backward",
        "gradient": {"sequences": 0, "left_out": 7, "counts": [], "states": {}},
        "gates": {},
        "units": 3,
        "silent_units": 0,
    }
    (alarm,) = alarms_of(place, 5.0)
    assert alarm.startswith(
        "layer 1 backward: the gradient is zero or not finite at the token itself in all 7 sequences"
    )


def test_every_layer_and_direction_is_looked_at_in_float64_and_the_model_stays(model_of, split_of):
    model = model_of("gru", num_layers=2, bidirectional=True, input_size=1).float()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = diagnose_model(model, split_of([9, 5, 1], 1))
    assert [(place["layer"], place["direction"], place["cell"]) for place in found["places"]] == [
        (layer, direction, "GRU") for layer in (0, 1) for direction in ("forward", "backward")
    ]
    for name, value in model.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, before[name])
    assert (found["sequences"], found["tokens"], found["median_steps"]) == (3, 15, 4.0)


def test_jacobians_are_those_of_steps_along_the_sequences(model_of, split_of):
    cell = RNN(1, 1)
    model, split = model_of(cell), split_of([4], 1)
    (place,) = diagnose_model(model, split)["places"]
    W, b, U, d = (p.item() for p in (*cell.input_projection.parameters(), *cell.recurrent.parameters()))
    h, expected = 0.0, []
    for t, x in enumerate(split.rows[0][:, 0].tolist()):
        h = np.tanh(W * x + b + U * h + d)
        if t > 0:
            expected.append(abs((1 - h**2) * U))
    assert place["jacobian"]["largest_singular_value"] == pytest.approx(expected, rel=1e-5)


def test_a_sample_of_long_enough_sequences_is_taken(model_of, split_of, scalar):
    model = model_of(scalar(0.5))
    found = diagnose_model(model, split_of([1, 2, 3, 4, 5, 6], 1), sequences=2, token=2)
    assert (found["sequences"], found["tokens"], found["median_steps"]) == (2, 3 + 6, 2.0)
    assert diagnose_model(model, split_of([1], 1))["places"][0]["gradient"]["counts"] == [1]
    with pytest.raises(DataError, match="split 'validation': none of its 2 sequences has 5 tokens"):
        diagnose_model(model, split_of([3, 4], 1), token=4)
    with pytest.raises(DataError, match="has 5 tokens"):
        diagnose_model(model, split_of([3, 4], 1), token=-5)


def test_an_encoder_without_cells_is_an_error(model_of, split_of):
    model = model_of("rnn")
    model.encoder = torch.nn.Linear(1, 1)
    with pytest.raises(ComponentError, match="no recurrent cells"):
        diagnose_model(model, split_of([3], 1))


def test_the_clipped_share_weighs_evaluations_by_their_steps():
    events = [
        {"event": "start"},
        {"event": "evaluation", "step": 10, "clipped": 1.0},
        {"event": "evaluation", "step": 40, "clipped": 0.0},
        {"event": "end"},
    ]
    assert clipped_share(events, 5.0) == {
        "limit": 5.0,
        "share": pytest.approx(0.25),
        "steps": 40,
        "curve": [[10, 1.0], [40, 0.0]],
    }
    assert clipped_share(events, None) is None
    assert clipped_share(events[:1], 5.0) is None
