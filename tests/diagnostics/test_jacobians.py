"""Jacobians of one step against closed forms, and Lanczos against the exact values."""

import pytest
import torch

from seqapps.cells import GRU, LSTM, RNN
from seqapps.diagnostics.jacobians import EXACT, jacobian, jacobian_values, largest_singular_values, matrix_values


def drawn(cell, count, seed=1):
    """Projected inputs and states of `count` steps."""
    torch.manual_seed(seed)
    cell = cell.double()
    state = tuple(torch.randn(count, cell.hidden_size).double() * 0.5 for _ in range(cell.states))
    return cell, torch.randn(count, cell.gates * cell.hidden_size).double(), state


def test_the_jacobian_of_a_simple_recurrent_network_is_its_closed_form():
    cell, projected, (h,) = drawn(RNN(2, 4), 1)
    found = jacobian(cell, projected[0], (h[0],))
    new = torch.tanh(projected[0] + cell.recurrent(h[0]))
    torch.testing.assert_close(found, torch.diag(1 - new**2) @ cell.recurrent.weight)  # diag(1 - h_t^2) U


def test_the_jacobian_of_an_lstm_has_its_four_blocks():
    cell, projected, (h, c) = drawn(LSTM(2, 3), 1)
    found = jacobian(cell, projected[0], (h[0], c[0]))
    i, f, g, o = (projected[0] + cell.recurrent(h[0])).chunk(4)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    new = f * c[0] + i * g
    slope = o * (1 - new.tanh() ** 2)
    U = cell.recurrent.weight.chunk(4)
    c_by_h = (
        torch.diag(c[0] * f * (1 - f)) @ U[1] + torch.diag(g * i * (1 - i)) @ U[0] + torch.diag(i * (1 - g**2)) @ U[2]
    )
    h_by_h = torch.diag(new.tanh() * o * (1 - o)) @ U[3] + torch.diag(slope) @ c_by_h
    expected = torch.cat([torch.cat([h_by_h, torch.diag(slope * f)], 1), torch.cat([c_by_h, torch.diag(f)], 1)], 0)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("cell", [RNN, LSTM, GRU])
def test_lanczos_gives_the_largest_singular_value_of_every_step(cell):
    made, projected, state = drawn(cell(2, 30), 5)
    exact = [torch.linalg.svdvals(jacobian(made, projected[n], tuple(s[n] for s in state)))[0] for n in range(5)]
    torch.testing.assert_close(largest_singular_values(made, projected, state), torch.stack(exact), rtol=1e-3, atol=0)
    full = largest_singular_values(made, projected, state, rounds=30 * made.states)
    torch.testing.assert_close(full, torch.stack(exact), rtol=1e-8, atol=0)


def test_a_state_that_is_forgotten_has_singular_value_zero():
    cell, projected, state = drawn(RNN(2, 4), 2)
    torch.nn.init.zeros_(cell.recurrent.weight)
    assert largest_singular_values(cell, projected, state).tolist() == [0.0, 0.0]
    assert jacobian_values(cell, projected, state)["largest_singular_value"] == [0.0, 0.0]


def test_singular_value_and_radius_of_a_shear_differ():
    """[[0.5, 10], [0, 0.5]] shrinks in the long run and stretches by ten at first."""
    cell, projected, state = drawn(RNN(1, 2, nonlinearity="relu"), 1)
    cell.recurrent.weight.data = torch.tensor([[0.5, 10.0], [0.0, 0.5]]).double()
    found = jacobian_values(cell, projected * 0 + 100.0, state)  # where relu is the identity
    assert found["spectral_radius"] == pytest.approx([0.5])
    assert found["largest_singular_value"][0] == pytest.approx(10.025, abs=1e-3)
    assert (found["size"], found["steps"], found["method"]) == (2, 1, "exact")


def test_large_states_go_by_lanczos_without_a_radius():
    cell, projected, state = drawn(RNN(1, EXACT + 1), 2)
    found = jacobian_values(cell, projected, state)
    assert (found["method"], found["spectral_radius"]) == ("lanczos", None)
    exact = torch.linalg.svdvals(jacobian(cell, projected[0], (state[0][0],)))[0]
    assert found["largest_singular_value"][0] == pytest.approx(float(exact), rel=1e-2)


def test_a_matrix_that_is_not_square_has_no_radius():
    (found,) = matrix_values(LSTM(2, 6, projection=3).double())[:1]
    assert (found["matrix"], found["block"], found["spectral_radius"]) == ("recurrent", 0, None)
    assert found["largest_singular_value"] > 0


def test_recurrent_matrices_are_taken_apart_by_gate():
    cell = GRU(2, 3).double()
    with torch.no_grad():
        cell.recurrent.weight.copy_(torch.cat([n * torch.eye(3) for n in (1, 2, 3)]))
    found = matrix_values(cell)
    assert [row["block"] for row in found] == [0, 1, 2]
    assert [row["spectral_radius"] for row in found] == pytest.approx([1, 2, 3])
    assert [row["largest_singular_value"] for row in found] == pytest.approx([1, 2, 3])
