"""Are all contestants the same model, trained the same way? The first steps from equal weights say so."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import click
import numpy as np
import torch

from benchmarks.tagging_speed.contestants import NAMES, Setting, make
from benchmarks.tagging_speed.task import Contestant

__all__ = ["Comparison", "compare", "differences", "verify"]

STEPS = 4
TOLERANCE = 1e-4  # nats per token
CLIP_NORM = 0.1  # so low that every step is clipped


class Comparison(NamedTuple):
    """A contestant's number of parameters, and its mean loss per token in each of the first steps."""

    parameters: int
    losses: list[float]


class _Listed:
    """The same batches in every epoch."""

    def __init__(self, batches: Sequence[np.ndarray]):
        self.batches = list(batches)

    def epoch(self, number: int) -> list[np.ndarray]:
        return self.batches


def verify(setting: Setting) -> dict[str, Any]:
    """Compare all contestants without dropout. Ends the program with a line for each that differs from the first."""
    setting = setting.with_options(dropout=0.0, clip_norm=CLIP_NORM)
    compared = compare({name: make(name, setting) for name in NAMES})
    if wrong := differences(compared):
        raise click.ClickException("\n".join(wrong))
    losses = [one.losses for one in compared.values()]
    return {
        "parameters": compared[NAMES[0]].parameters,
        "steps": STEPS,
        "apart": float(np.ptp(losses, axis=0).max()),
    }


def compare(contestants: Mapping[str, Contestant]) -> dict[str, Comparison]:
    """Give all of them the first one's weights and batches, and let each take the same steps.

    The first loss is the model's alone; the later ones depend on gradients, clipping and update, too.
    """
    first = next(iter(contestants.values()))
    start = {name: weight.detach().clone() for name, weight in first.weights().items()}
    batches = _Listed(first.batches.epoch(0)[:STEPS])
    compared = {}
    for name, contestant in contestants.items():
        weights = contestant.weights()
        if weights.keys() != start.keys():
            raise click.ClickException(f"{name}: its parameters are {sorted(weights)}, expected {sorted(start)}")
        with torch.no_grad():
            for key, weight in weights.items():
                weight.copy_(start[key])
        contestant.batches = batches
        with contextlib.closing(contestant.steps()) as steps:
            losses = [done.loss for done in itertools.islice(steps, STEPS)]
        compared[name] = Comparison(sum(weight.numel() for weight in weights.values()), losses)
    return compared


def differences(compared: Mapping[str, Comparison]) -> list[str]:
    """One line for every way in which a contestant does not agree with the first."""
    (base, expected), *others = compared.items()
    lines = []
    for name, found in others:
        if found.parameters != expected.parameters:
            lines.append(f"{name}: {found.parameters} parameters, {base} has {expected.parameters}")
        apart = max(abs(a - b) for a, b in zip(found.losses, expected.losses, strict=True))
        if not apart <= TOLERANCE:
            lines.append(
                f"{name}: a loss is {apart:.1e} nats from that of {base}, at most {TOLERANCE:.0e} was expected"
            )
    return lines
