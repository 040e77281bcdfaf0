"""Turns of a few seconds in rotating order, each contestant in a process of its own that waits while others work."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import NamedTuple

from benchmarks.tagging_speed.contestants import NAMES, Setting, make

__all__ = ["Speed", "rounds"]

WARM_SECONDS = 2.0  # at most


class Speed(NamedTuple):
    """Real tokens per second of wall time, and per second of the process's CPU time, which other load disturbs less."""

    tokens_per_second: float
    tokens_per_cpu_second: float


def _work(connection: Connection, name: str, setting: Setting) -> None:
    """A contestant's process: build, say so, then one turn for every number of seconds received, until None comes."""
    import torch

    torch.set_num_threads(setting.threads)
    with contextlib.closing(make(name, setting).steps()) as steps:
        connection.send("ready")
        while (seconds := connection.recv()) is not None:
            tokens, spent, start, start_cpu = 0, 0.0, time.perf_counter(), time.process_time()
            while spent < seconds:
                tokens += next(steps).tokens
                spent = time.perf_counter() - start
            connection.send(Speed(tokens / spent, tokens / (time.process_time() - start_cpu)))


@contextlib.contextmanager
def _processes(setting: Setting) -> Iterator[dict[str, Connection]]:
    """A connection to each contestant, built and waiting."""
    context = multiprocessing.get_context("spawn")
    connections: dict[str, Connection] = {}
    running: list[BaseProcess] = []
    try:
        for name in NAMES:
            connections[name], theirs = context.Pipe()
            running.append(context.Process(target=_work, args=(theirs, name, setting), daemon=True))
            running[-1].start()
            theirs.close()  # a process that dies then ends our waiting for it
        for connection in connections.values():
            connection.recv()
        yield connections
        for connection in connections.values():
            connection.send(None)
        for process in running:
            process.join()
    finally:
        for process in running:
            process.terminate()


def rounds(setting: Setting, number: int, seconds: float) -> Iterator[dict[str, Speed]]:
    """The speed of every contestant, round by round; in each round another one goes first."""
    with _processes(setting) as connections:
        for name in NAMES:
            _turn(connections[name], min(WARM_SECONDS, seconds))
        for first in range(number):
            order = [NAMES[(first + place) % len(NAMES)] for place in range(len(NAMES))]
            speeds = {name: _turn(connections[name], seconds) for name in order}
            yield {name: speeds[name] for name in NAMES}


def _turn(connection: Connection, seconds: float) -> Speed:
    connection.send(seconds)
    speed: Speed = connection.recv()
    return speed
