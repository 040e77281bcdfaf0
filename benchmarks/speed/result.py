"""A measurement as JSON and as a table: speeds, their ratios within rounds, and the conditions."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import click
import numpy as np

from benchmarks.machine import machine
from benchmarks.speed.shapes import BF16, TIGHT, Shape

__all__ = ["apart", "conditions", "summary", "table"]

Speeds = Sequence[Mapping[str, Mapping[str, float]]]  # [round][contestant] -> per_second, per_cpu_second


def conditions(name: str, shape: Shape, who: Mapping[str, str], threads: int) -> dict[str, Any]:
    """Everything that a speed depends on, as far as we know it. Neither host nor file names."""
    own = {package: importlib.metadata.version(package) for package in ("numpy", "seqapps", "torch")}
    return {
        "benchmark": "speed",
        "name": name,
        "about": shape.about,
        "unit": shape.unit,
        "machine": machine(),
        "versions": {"python": platform.python_version()} | own,
        "peers": {peer: _versions(peer, who[peer]) for peer in shape.peers if peer in who},
        "threads": threads,
        "sizes": dict(shape.sizes),
    }


def _versions(peer: str, python: str) -> dict[str, str]:
    """Of a peer and of its torch, in its own environment."""
    program = f"from importlib.metadata import version; print(version({peer!r}), version('torch'))"
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    return dict(zip((peer, "torch"), done.stdout.split(), strict=True))


def apart(shape: Shape, checks: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """How far each contestant's checks are from the tight loop's, at most. Ends the program if that is too far.

    Peers are other models, and bf16 is another arithmetic: neither is compared.
    """
    found = {
        name: float(np.abs(np.subtract(checks[name], checks[TIGHT])).max())
        for name in shape.contestants
        if name not in (TIGHT, BF16)
    }
    wrong = [f"{name}: {far:.1e} from {TIGHT}" for name, far in found.items() if not far <= shape.tolerance]
    if wrong:
        raise click.ClickException(f"not the same model (at most {shape.tolerance:.0e}): {'; '.join(wrong)}; {checks}")
    return found


def summary(speeds: Speeds) -> dict[str, dict[str, list[float]]]:
    """For each contestant: lower quartile, median and upper quartile over rounds of its speed by either clock, and of
    its ratio to each of the others by processor time."""
    names = list(speeds[0])
    return {
        name: {clock: _quartiles([one[name][clock] for one in speeds], 1) for clock in speeds[0][name]}
        | {f"over_{other}": _ratios(speeds, name, other) for other in names if other != name}
        for name in names
    }


def _ratios(speeds: Speeds, name: str, base: str) -> list[float]:
    clock = "per_cpu_second"
    return _quartiles([one[name][clock] / one[base][clock] for one in speeds], 3)


def _quartiles(values: Sequence[float], digits: int) -> list[float]:
    return [round(float(value), digits) for value in np.quantile(values, [0.25, 0.5, 0.75])]


def table(about: Mapping[str, Any]) -> str:
    """One line per contestant: median, and quartiles in brackets."""
    found = about["summary"]
    lines = [f"{'':16} {about['unit'] + ' per CPU second':>28} {'over ' + TIGHT:>20}"]
    for name, values in found.items():
        low, middle, high = values["per_cpu_second"]
        line = f"{name:16} {f'{middle:.0f} ({low:.0f}-{high:.0f})':>28}"
        if f"over_{TIGHT}" in values:
            low, middle, high = values[f"over_{TIGHT}"]
            line += f" {f'{middle:.2f} ({low:.2f}-{high:.2f})':>20}"
        lines.append(line)
    return "\n".join(lines)
