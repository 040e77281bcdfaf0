"""Turns of a few seconds in rotating order, each contestant in a process of its own that waits while others work."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from benchmarks.speed.shapes import Shape

__all__ = ["Processes", "interpreters", "processes", "rounds"]

ROOT = Path(__file__).parents[2]
WARM_SECONDS = 2.0  # at most

Speeds = dict[str, dict[str, float]]  # contestant -> per_second, per_cpu_second


class Processes:
    """Contestants at work, by name; `checks` holds what each one's first steps gave."""

    def __init__(self, running: Mapping[str, subprocess.Popen[str]]):
        self.running = running
        self.checks: dict[str, list[float]] = {name: self._answer(name) for name in running}

    def turn(self, name: str, seconds: float) -> dict[str, float]:
        """Let one of them work while the others wait."""
        process = self.running[name]
        assert process.stdin is not None
        process.stdin.write(f"{seconds}\n")
        process.stdin.flush()
        speed: dict[str, float] = self._answer(name)
        return speed

    def _answer(self, name: str) -> Any:
        process = self.running[name]
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise click.ClickException(f"{name}: its process ended; what it said stands above")
        return json.loads(line)


def interpreters(shape: Shape, peers: Mapping[str, str]) -> dict[str, str]:
    """Who takes part, and by which interpreter: all that need no environment of their own, and the peers given."""
    unknown = peers.keys() - shape.peers.keys()
    if unknown:
        there = ", ".join(shape.peers) or "none"
        raise click.ClickException(f"{', '.join(sorted(unknown))}: no peer of this measurement; there are: {there}")
    return {**dict.fromkeys(shape.contestants, sys.executable), **peers}


@contextlib.contextmanager
def processes(shape: Shape, who: Mapping[str, str], folder: Path, threads: int) -> Iterator[Processes]:
    """All contestants, built and waiting; one is built after the other."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    places = {**shape.contestants, **shape.peers}
    running: dict[str, subprocess.Popen[str]] = {}
    try:
        for name, python in who.items():
            running[name] = subprocess.Popen(
                [python, "-m", "benchmarks.speed.worker", *places[name], str(folder), str(threads)],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        yield Processes(running)
    finally:
        for process in running.values():
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]


def rounds(at_work: Processes, number: int, seconds: float) -> Iterator[Speeds]:
    """The speed of every contestant, round by round; in each round another one goes first."""
    names = list(at_work.running)
    for name in names:
        at_work.turn(name, min(WARM_SECONDS, seconds))
    for first in range(number):
        order = [names[(first + place) % len(names)] for place in range(len(names))]
        speeds = {name: at_work.turn(name, seconds) for name in order}
        yield {name: speeds[name] for name in names}
