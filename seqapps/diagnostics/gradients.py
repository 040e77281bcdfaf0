"""How the gradient of a loss changes on its way back through time.

The argument of Hochreiter (1991), Bengio, Simard and Frasconi (1994) and Pascanu, Mikolov and Bengio (2013, arXiv
1211.5063), measured: the norm of dL_T / ds_t by the distance T - t, where L_T is the loss at one token T alone and s_t
the state after token t.

A state's gradient is the total derivative: that of an LSTM's c_t counts its way through h_t, and that of a lower layer
its way through the layers above. A backward cell is asked about the token that it reads last, the first one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqapps.cells import Lengths
from seqapps.data.batch import Batch
from seqapps.diagnostics.recording import Place, Unrolled
from seqapps.engine.model import Model
from seqapps.modules.encoded import Encoded

__all__ = ["Norms", "gradient_norms", "steps_of", "summary"]

LOWEST, HIGHEST = 1e-30, 1e30  # norms relative to the one at distance 0 are cut there: a logarithm needs bounds


class Norms(NamedTuple):
    """Of one sequence: norms[name][d] is the norm of the gradient with respect to a state d steps before the token.

    The name `whole` stands for all states together.
    """

    norms: dict[str, np.ndarray]


def steps_of(lengths: Tensor, token: int) -> Tensor:
    """(B,): at which step each sequence reads token number `token`, counted as it is read; -1 is the last one."""
    return lengths + token if token < 0 else torch.full_like(lengths, token)


def gradient_norms(
    model: Model, batch: Batch, encoded: Encoded, noted: Mapping[Place, Unrolled], token: int
) -> dict[Place, list[Norms]]:
    """Norms for every sequence of a batch that `recording` noted; the graph stays.

    Every sequence must have a token number `token`.
    """
    lengths = encoded.lengths
    steps = steps_of(lengths.on_device, token)
    found: dict[Place, list[Norms]] = {}
    for direction in sorted({place.direction for place in noted}):
        positions = lengths.on_device - 1 - steps if direction else steps
        loss = model.head.loss_at(encoded, batch, positions)
        for place, unrolled in noted.items():
            if place.direction == direction:
                found[place] = _norms(loss, unrolled, lengths, steps)
    return found


def _norms(loss: Tensor, unrolled: Unrolled, lengths: Lengths, steps: Tensor) -> list[Norms]:
    names = unrolled.state_names
    states = [step.after[number] for number in range(len(names)) for step in unrolled.steps]
    gradients = torch.autograd.grad(loss, states, retain_graph=True, allow_unused=True, materialize_grads=True)
    count = len(unrolled.steps)
    norms = {
        name: torch.stack(gradients[number * count : (number + 1) * count]).flatten(2).norm(dim=-1).cpu().numpy()
        for number, name in enumerate(names)
    }  # name -> (T, B)
    norms["whole"] = np.sqrt(sum(norm**2 for norm in norms.values()))
    return [
        Norms({name: norm[step::-1, row] for name, norm in norms.items()}) for row, step in enumerate(steps.tolist())
    ]


def summary(sequences: Sequence[Norms]) -> dict[str, Any]:
    """Geometric means and quartiles over sequences, by distance.

    Norms are divided by the sequence's own norm for the whole state at distance 0, which leaves out how wrong the model
    was there. Sequences whose gradient is zero or not finite there are left out and counted.

    Returns:
        sequences, left_out: numbers; at_token: geometric mean of what was divided by; counts: sequences that reach
        so far back; states: name -> {mean, low, high}, each by distance.
    """
    starts = [one.norms["whole"][0] for one in sequences]
    kept = [one for one, start in zip(sequences, starts, strict=True) if 0 < start < np.inf]
    if not kept:
        return {"sequences": 0, "left_out": len(starts), "at_token": None, "counts": [], "states": {}}
    longest = max(len(one.norms["whole"]) for one in kept)
    states = {}
    for name in kept[0].norms:
        logarithms = np.full((len(kept), longest), np.nan)
        for row, one in enumerate(kept):
            relative = one.norms[name] / one.norms["whole"][0]
            logarithms[row, : len(relative)] = np.log(np.clip(np.nan_to_num(relative, nan=HIGHEST), LOWEST, HIGHEST))
        low, high = np.nanquantile(logarithms, [0.25, 0.75], axis=0)
        curves = {"mean": np.nanmean(logarithms, 0), "low": low, "high": high}
        states[name] = {curve: [float(f"{v:.6g}") for v in np.exp(values)] for curve, values in curves.items()}
    return {
        "sequences": len(kept),
        "left_out": len(starts) - len(kept),
        "at_token": float(np.exp(np.mean([np.log(one.norms["whole"][0]) for one in kept]))),
        "counts": [sum(len(one.norms["whole"]) > d for one in kept) for d in range(longest)],
        "states": states,
    }
