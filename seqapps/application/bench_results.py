"""What `seqapps bench` measured: ratios, and all of it as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seqapps.application.benching import Bench, Clock, Contestant, Group
from seqapps.engine.machine import versions
from seqapps.recipe.components import describe_spec
from seqapps.recipe.spec import Spec

__all__ = ["as_report", "processor", "quartiles", "ratios"]


def ratios(contestant: Contestant, base: Contestant, clock: Clock) -> list[float]:
    """Times as multiples of the base's in the same round; empty if it was not measured."""
    return [a / b for a, b in zip(contestant.times(clock), base.times(clock), strict=False)]


def quartiles(values: Sequence[float]) -> list[float]:
    """Lower quartile, median and upper quartile."""
    return [float(value) for value in np.quantile(values, [0.25, 0.5, 0.75])]


def as_report(bench: Bench, groups: Sequence[Group]) -> dict[str, Any]:
    """All times, their ratios, and all that they depend on, as JSON. A ratio of 2 means twice the time."""
    kernels = {c.runs for group in groups for c in group.contestants if c.runs not in ("", "reference")}
    specs = [*bench.cells, *(Spec("kernels", name) for name in sorted(kernels))]
    settings = {name: value for name, value in asdict(bench).items() if name not in ("cells", "sizes")}
    return {
        "bench": "cells",
        **settings,
        "cells": [describe_spec(spec) for spec in bench.cells],
        "machine": {
            "processor": processor("cpu"),
            "cores": os.cpu_count(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "system": platform.system(),
        },
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "versions": versions(specs),
        "groups": [_group_report(group) for group in groups],
    }


def _group_report(group: Group) -> dict[str, Any]:
    bases = group.contestants[: group.baselines]
    return {
        "device": group.device,
        "processor": processor(group.device),
        **group.size._asdict(),
        "lengths": group.lengths,
        "tokens": sum(group.lengths),
        "matmul_precision": group.matmul_precision,
        "contestants": [
            {**asdict(contestant), "ratios": {base.cell: _summaries(contestant, base) for base in bases}}
            for contestant in group.contestants
        ],
    }


def _summaries(contestant: Contestant, base: Contestant) -> dict[str, dict[str, float]] | None:
    if contestant.first_call_seconds is None:
        return None
    names = ("lower_quartile", "median", "upper_quartile")
    clocks: tuple[Clock, ...] = ("wall", "cpu")
    return {clock: dict(zip(names, quartiles(ratios(contestant, base, clock)), strict=True)) for clock in clocks}


def processor(device: str) -> str:
    """What computes: the model of the GPU, or of the CPU."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf8").splitlines() if information.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()
