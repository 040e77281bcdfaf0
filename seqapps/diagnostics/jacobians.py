"""The Jacobian of one step, ds_t / ds_{t-1}, s being the whole state: an LSTM's (h, c) side by side.

Its largest singular value is the most by which a step can stretch a difference between two states, or a gradient on its
way back; where it stays below 1 everything vanishes. Its spectral radius (the largest absolute eigenvalue) is the rate
at which repeating this one step would grow or shrink things. Neither above 1 is sufficient for an explosion.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from seqapps.cells import Cell, State

__all__ = ["jacobian", "jacobian_values", "largest_singular_values", "matrix_values"]

EXACT = 512  # numbers in a state up to which Jacobians are written out
_ROUNDS = 40


def jacobian(cell: Cell, projected: Tensor, state: State) -> Tensor:
    """(S, S), S numbers in a state: row i is the gradient of new state number i with respect to the old state.

    A cell keeps the rows of a batch apart, so S copies in one batch give all rows in one backward pass.

    Args:
        projected: (gates x H,) of one sequence.
        state: of one sequence, without the batch dimension.
    """
    size = sum(one.numel() for one in state)
    copies = [one.expand(size, *one.shape).clone().requires_grad_() for one in state]
    with torch.enable_grad():
        _, new = cell.step(projected.expand(size, -1), tuple(copies))
        chosen = torch.cat([one.flatten(1) for one in new], 1).diagonal().sum()
        gradients = torch.autograd.grad(chosen, copies, allow_unused=True, materialize_grads=True)
    return torch.cat([gradient.flatten(1) for gradient in gradients], 1)


def largest_singular_values(cell: Cell, projected: Tensor, state: State, rounds: int = _ROUNDS) -> Tensor:
    """(N,): of the Jacobians at N steps at once, without writing them out.

    Lanczos bidiagonalisation (Golub and Kahan 1965): products J v and J' u alone, the first by differentiating the
    second with respect to u. After `rounds` of them the value is a lower bound that is usually exact to many digits.

    Args:
        projected: (N, gates x H).
        state: tensors (N, ...).
    """
    old = [one.clone().requires_grad_() for one in state]
    with torch.enable_grad():
        _, new = cell.step(projected, tuple(old))
        after = torch.cat([one.flatten(1) for one in new], 1)
        u = torch.zeros_like(after, requires_grad=True)
        back = torch.autograd.grad(after, old, u, create_graph=True, allow_unused=True, materialize_grads=True)
        transposed = torch.cat([one.flatten(1) for one in back], 1)  # J' u, linear in u

    def times(v: Tensor) -> Tensor:
        return torch.autograd.grad(transposed, u, v, retain_graph=True)[0]

    def times_transposed(w: Tensor) -> Tensor:
        found = torch.autograd.grad(after, old, w, retain_graph=True, allow_unused=True, materialize_grads=True)
        return torch.cat([one.flatten(1) for one in found], 1)

    return _lanczos(times, times_transposed, after.detach(), min(rounds, after.size(1)))


def _lanczos(times: Any, times_transposed: Any, like: Tensor, rounds: int) -> Tensor:
    random = torch.Generator().manual_seed(0)
    v = torch.randn(like.shape, generator=random, dtype=like.dtype).to(like.device)
    v = v / v.norm(dim=1, keepdim=True)
    left, scale = torch.zeros_like(like), like.new_zeros(len(like), 1)
    bidiagonal = like.new_zeros(len(like), rounds, rounds)
    for k in range(rounds):
        left, diagonal = _unit(times(v) - scale * left)
        bidiagonal[:, k, k] = diagonal[:, 0]
        v, scale = _unit(times_transposed(left) - diagonal * v)
        if k + 1 < rounds:
            bidiagonal[:, k, k + 1] = scale[:, 0]
    return torch.linalg.svdvals(bidiagonal)[:, 0]


def _unit(x: Tensor) -> tuple[Tensor, Tensor]:
    """Directions and norms (N, 1); a zero vector stays one."""
    norm = x.norm(dim=1, keepdim=True)
    return x / norm.clamp_min(torch.finfo(x.dtype).tiny), norm


def jacobian_values(cell: Cell, projected: Tensor, state: State) -> dict[str, Any]:
    """Of N steps: the largest singular value and the spectral radius of each Jacobian.

    A state of more than `EXACT` numbers has its largest singular value by Lanczos and no spectral radius.
    """
    size = sum(one[0].numel() for one in state)
    found: dict[str, Any] = {"size": size, "steps": len(projected), "method": "exact" if size <= EXACT else "lanczos"}
    if size > EXACT:
        values = largest_singular_values(cell, projected, state)
        return {**found, "largest_singular_value": _rounded(values), "spectral_radius": None}
    singular, radius = [], []
    for row in range(len(projected)):
        matrix = jacobian(cell, projected[row], tuple(one[row] for one in state))
        singular.append(torch.linalg.svdvals(matrix)[0])
        radius.append(torch.linalg.eigvals(matrix).abs().max())
    return {**found, "largest_singular_value": _rounded(singular), "spectral_radius": _rounded(radius)}


def matrix_values(cell: Cell) -> list[dict[str, Any]]:
    """Largest singular value and spectral radius of every matrix that multiplies the old state.

    One with several gates below each other is taken apart into its square blocks, numbered in the cell's gate order;
    one without square blocks has no spectral radius.
    """
    rows = []
    for name in cell.recurrent_names():
        linear = getattr(cell, name)
        assert isinstance(linear, nn.Linear)
        weight = linear.weight.detach()
        square = weight.size(1) == cell.hidden_size and weight.size(0) % weight.size(1) == 0
        for block, matrix in enumerate(weight.split(weight.size(1)) if square else [weight]):
            rows.append(
                {
                    "matrix": name,
                    "block": block,
                    "largest_singular_value": float(torch.linalg.svdvals(matrix)[0]),
                    "spectral_radius": float(torch.linalg.eigvals(matrix).abs().max()) if square else None,
                }
            )
    return rows


def _rounded(values: Any) -> list[float]:
    return [float(f"{float(value):.6g}") for value in values]
