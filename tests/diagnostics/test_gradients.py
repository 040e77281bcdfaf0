"""Norms of gradients through time against analytic values, finite differences and an independent computation."""

import numpy as np
import pytest
import torch

from seqapps.diagnostics.gradients import Norms, gradient_norms, summary
from seqapps.diagnostics.recording import Place, recording


def norms_of(model, split, token=-1):
    with recording(model) as noted:
        batch = split.batch(np.arange(len(split)))
        encoded = model.encode(batch)
    return gradient_norms(model, batch, encoded, noted, token)


@pytest.mark.parametrize("w", [0.1, 1.0, -2.0])
def test_a_linear_scalar_cell_multiplies_by_w_a_step(model_of, split_of, scalar, w):
    found = norms_of(model_of(scalar(w)), split_of([6, 3, 1], 1))[Place(0, 0)]
    for one, length in zip(found, [6, 3, 1], strict=True):
        np.testing.assert_allclose(one.norms["h"], np.abs(w) ** np.arange(length))
        np.testing.assert_allclose(one.norms["whole"], one.norms["h"])


@pytest.mark.parametrize(("token", "distances"), [(-2, [4, 2]), (0, [0, 0]), (2, [2, 2])])
def test_distances_are_counted_from_the_token_asked_for(model_of, split_of, scalar, token, distances):
    found = norms_of(model_of(scalar(0.5)), split_of([6, 4], 1), token)[Place(0, 0)]
    for one, furthest in zip(found, distances, strict=True):
        np.testing.assert_allclose(one.norms["h"], 0.5 ** np.arange(furthest + 1))


def test_a_backward_cell_is_followed_from_the_first_token(model_of, split_of, scalar):
    found = norms_of(model_of(scalar(0.5), scalar(0.25)), split_of([5, 2], 1))
    for w, direction in ((0.5, 0), (0.25, 1)):
        factor = 1.0 if direction == 0 else 2.0  # the head's weights of the two directions
        for one, length in zip(found[Place(0, direction)], [5, 2], strict=True):
            np.testing.assert_allclose(one.norms["h"], factor * w ** np.arange(length))


def test_the_gradient_of_an_lstm_is_that_of_finite_differences(model_of, split_of):
    model, split = model_of("lstm", input_size=2), split_of([5], 2)
    cell, x = model.encoder.layers[0][0], split.rows[0]
    found = norms_of(model, split)[Place(0, 0)][0]

    def loss_from(t, state):
        """Of the last token, when the state after token t is `state`."""
        for projected in cell.project(x[t + 1 :]):
            _, state = cell.step(projected[None], state)
        return float(state[0][0] @ model.head.weight)

    with torch.no_grad():
        state = cell.initial_state(1)
        for t in range(4):  # the last state has no steps behind it
            _, state = cell.step(cell.project(x[t])[None], state)
            # dL/dc_t counts the way through h_t = o_t tanh(c_t); so let c move h along.
            o = torch.sigmoid((cell.project(x[t]) + cell.recurrent(before(cell, x, t)))[9:])
            for name, moved in (("h", lambda e, o=o, s=state: (s[0] + e, s[1])), ("c", moving_c(state, o))):
                slope = [
                    (loss_from(t, moved(1e-6 * unit)) - loss_from(t, moved(-1e-6 * unit))) / 2e-6
                    for unit in torch.eye(3, dtype=torch.float64)
                ]
                assert found.norms[name][4 - t] == pytest.approx(np.linalg.norm(slope), rel=1e-5)


def before(cell, x, t):
    state = cell.initial_state(1)
    for one in x[:t]:
        _, state = cell.step(cell.project(one)[None], state)
    return state[0][0]


def moving_c(state, o):
    return lambda e: (o * torch.tanh(state[1] + e), state[1] + e)


def test_padding_and_other_rows_do_not_matter(model_of, split_of):
    model, split = model_of("gru", bidirectional=True, num_layers=2), split_of([6, 4, 1], 1)
    together = norms_of(model, split)
    for row, length in enumerate([6, 4, 1]):
        alone = split_of([length], 1)
        alone.rows = [split.rows[row]]
        for place, (one,) in norms_of(model, alone).items():
            for name, values in one.norms.items():
                np.testing.assert_allclose(together[place][row].norms[name], values, rtol=1e-9)


def test_whole_is_all_states_together(model_of, split_of):
    (one,) = norms_of(model_of("lstm"), split_of([4], 1))[Place(0, 0)]
    np.testing.assert_allclose(one.norms["whole"] ** 2, one.norms["h"] ** 2 + one.norms["c"] ** 2)


def sequence(*norms):
    return Norms({"whole": np.array(norms), "h": np.array(norms)})


def test_the_summary_is_geometric_and_relative_to_the_token():
    found = summary([sequence(2.0, 2.0, 0.02), sequence(1.0, 0.01)])
    # distance 1: sqrt(1 * 0.01); distance 2: the first sequence alone
    assert found["states"]["whole"]["mean"] == pytest.approx([1.0, 0.1, 0.01])
    assert found["counts"] == [2, 2, 1]
    assert found["at_token"] == pytest.approx(2**0.5)


def test_quartiles_are_those_of_the_logarithms():
    found = summary([sequence(1.0, 10.0**-n) for n in range(5)])
    assert found["states"]["h"]["low"][1] == pytest.approx(1e-3)
    assert found["states"]["h"]["high"][1] == pytest.approx(1e-1)


def test_sequences_without_a_gradient_at_the_token_are_left_out_and_counted():
    found = summary([sequence(0.0, 0.0), sequence(np.inf), sequence(1.0, 0.5)])
    assert (found["sequences"], found["left_out"], found["counts"]) == (1, 2, [1, 1])
    none = summary([sequence(0.0)])
    assert (none["sequences"], none["left_out"], none["states"]) == (0, 1, {})


def test_a_gradient_that_is_exactly_zero_further_back_stays_on_the_scale():
    found = summary([sequence(1.0, 0.0)])
    assert found["states"]["whole"]["mean"] == pytest.approx([1.0, 1e-30])
