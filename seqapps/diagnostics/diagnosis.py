"""All diagnostics of a model on a sample of sequences."""

from __future__ import annotations

import copy
from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqapps.cells import Cell, Lengths, State
from seqapps.data.batching import sorted_batches
from seqapps.data.indexed import IndexedSplit
from seqapps.diagnostics.alarms import alarms_of
from seqapps.diagnostics.gates import Activity
from seqapps.diagnostics.gradients import Norms, gradient_norms, summary
from seqapps.diagnostics.jacobians import jacobian_values, matrix_values
from seqapps.diagnostics.recording import Place, Unrolled, recording, recurrent_cells
from seqapps.engine.model import Model
from seqapps.errors import DataError
from seqapps.recipe.recipe import Batching

__all__ = ["FORMAT", "diagnose_model"]

FORMAT = 1
_POSITIONS = 2048  # of a batch
_STEPS = 64  # whose Jacobians are looked at, per cell


class _StepSample(NamedTuple):
    """Inputs of some steps: projected (N, ...), state tensors (N, ...)."""

    projected: Tensor
    state: State


def diagnose_model(model: Model, split: IndexedSplit, *, sequences: int = 100, token: int = -1) -> dict[str, Any]:
    """Gradients, Jacobians and gates of every cell of the model's encoder, in float64 on the CPU, as in evaluation.

    The model itself stays as it is. Sequences are taken evenly spaced from those of the split that are long enough.

    Args:
        token: whose loss is looked at, counted in each direction's reading order: -1 the last token read, 0 the first.

    Returns:
        format; sequences, tokens: how many were looked at; token; median_steps: from the first token to that one;
        places: for each layer and direction {layer, direction, cell, hidden_size, gradient: see `gradients.summary`,
        jacobian: see `jacobians.jacobian_values`, matrices, gates, units, silent_units: see `gates`}; alarms.

    Raises:
        ComponentError: the encoder has no recurrent cells, or the head cannot tell the loss at one token.
        DataError: no sequence of the split is long enough.
    """
    recurrent_cells(model.encoder)
    model = copy.deepcopy(model).to("cpu", torch.float64).eval().requires_grad_(True)
    chosen = _sample(split, sequences, token)
    norms: dict[Place, list[Norms]] = defaultdict(list)
    activity: dict[Place, Activity] = defaultdict(Activity)
    steps: dict[Place, list[_StepSample]] = defaultdict(list)
    cells: dict[Place, Cell] = {}
    with recording(model) as noted:
        for rows in sorted_batches(split.lengths[chosen], Batching(tokens=_POSITIONS)):
            batch = split.batch(chosen[rows])
            encoded = model.encode(batch, final=model.head.reads_final)
            for place, found in gradient_norms(model, batch, encoded, noted, token).items():
                norms[place] += found
            for place, unrolled in noted.items():
                cells[place] = unrolled.cell
                activity[place].add(unrolled, encoded.lengths)
                steps[place].append(_steps_of_batch(unrolled, encoded.lengths))
    lengths = split.lengths[chosen]
    median_steps = float(np.median(lengths + token if token < 0 else np.full_like(lengths, token)))
    places: list[dict[str, Any]] = [
        {
            "layer": place.layer,
            "direction": place.reading,
            "cell": type(model.encoder.layers[place.layer][place.direction]).__name__,  # type: ignore[index]
            "hidden_size": cell.hidden_size,
            "gradient": summary(norms[place]),
            "jacobian": jacobian_values(cell, *_evenly(_joined(steps[place]), _STEPS)),
            "matrices": matrix_values(cell),
            **activity[place].to_json(),
        }
        for place, cell in sorted(cells.items())
    ]
    return {
        "format": FORMAT,
        "sequences": len(chosen),
        "tokens": int(lengths.sum()),
        "token": token,
        "median_steps": median_steps,
        "places": places,
        "alarms": [alarm for place in places for alarm in alarms_of(place, median_steps)],
    }


def _sample(split: IndexedSplit, sequences: int, token: int) -> np.ndarray:
    """Row numbers, evenly spaced among those that have a token number `token`."""
    needed = max(1, -token if token < 0 else token + 1)
    fitting = np.flatnonzero(np.asarray(split.lengths) >= needed)
    if not len(fitting):
        raise DataError(
            f"split {split.name!r}: none of its {len(split)} sequences has {needed} tokens; choose another split or "
            "token"
        )
    return fitting[np.linspace(0, len(fitting) - 1, min(sequences, len(fitting))).round().astype(np.int64)]


def _steps_of_batch(unrolled: Unrolled, lengths: Lengths) -> _StepSample:
    """Some steps of a batch, evenly spaced among the real ones; first steps only where there are no others."""
    real = torch.nonzero(lengths.mask.t())  # (N, 2): row, step
    later = real[real[:, 1] > 0]
    candidates = later if len(later) else real
    picks = candidates[torch.linspace(0, len(candidates) - 1, min(_STEPS, len(candidates))).round().long()].tolist()
    projected = torch.stack([unrolled.steps[step].projected[row].detach() for row, step in picks])
    count = len(unrolled.steps[0].before)
    state = tuple(
        torch.stack([unrolled.steps[step].before[number][row].detach() for row, step in picks])
        for number in range(count)
    )
    return _StepSample(projected, state)


def _joined(samples: list[_StepSample]) -> _StepSample:
    state = tuple(torch.cat(parts) for parts in zip(*(sample.state for sample in samples), strict=True))
    return _StepSample(torch.cat([sample.projected for sample in samples]), state)


def _evenly(sample: _StepSample, count: int) -> _StepSample:
    n = len(sample.projected)
    chosen = torch.linspace(0, n - 1, min(count, n)).round().long()
    return _StepSample(sample.projected[chosen], tuple(one[chosen] for one in sample.state))
