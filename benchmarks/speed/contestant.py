"""What every contestant is given, and what it does."""

from __future__ import annotations

import importlib
import json
from collections.abc import Generator, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

__all__ = ["Contestant", "Done", "Given", "make"]


class Done(NamedTuple):
    """One optimizer step, or one batch searched.

    Attributes:
        units: real tokens seen (of the side that is written, where there are two), or sentences written.
        check: the mean loss per token or text, or the mean log-probability of what was written: the same for all.
    """

    units: int
    check: float


class Contestant(Protocol):
    """One program. It is constructed from a folder that `benchmarks.speed.suite.prepare` has filled."""

    def steps(self) -> Generator[Done, None, None]:
        """Work on and on, yielding after every step."""


class Given:
    """What lies in the folder: numbers, which of them make up the batches, weights, sizes.

    Attributes:
        sizes: of the measurement.
        arrays: flat numbers and their offsets.
        weights: to start from, named as torch.nn names them.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.sizes: Mapping[str, int] = json.loads((folder / "sizes.json").read_text(encoding="utf8"))
        with np.load(folder / "data.npz") as arrays:
            self.arrays = dict(arrays)
        self.weights: Mapping[str, torch.Tensor] = torch.load(folder / "weights.pt")

    def rows(self, name: str) -> list[np.ndarray]:
        """The sequences that are stored flat as `name`, with their ends in `name`_offsets."""
        values, offsets = self.arrays[name], self.arrays[f"{name}_offsets"]
        return [values[start:end] for start, end in pairwise(offsets.tolist())]

    def batches(self) -> Iterator[np.ndarray]:
        """Those of the first epoch, again and again."""
        batches = self.rows("batches")
        while True:
            yield from batches

    def load(self, modules: Mapping[str, torch.nn.Module]) -> list[torch.nn.Parameter]:
        """Give modules the weights `name.parameter`, each exactly once; returns all parameters."""
        named = {f"{name}.{key}": p for name, module in modules.items() for key, p in module.named_parameters()}
        if named.keys() != self.weights.keys():
            raise ValueError(f"parameters {sorted(named)}, expected {sorted(self.weights)}")
        with torch.no_grad():
            for key, parameter in named.items():
                parameter.copy_(self.weights[key])
        return list(named.values())


def make(place: tuple[str, str], folder: Path) -> Contestant:
    """Construct a contestant. Only what it needs is imported: nothing of seqapps where another one runs."""
    module: Any = importlib.import_module(f"benchmarks.speed.{place[0]}")
    contestant: Contestant = getattr(module, place[1])(folder)
    return contestant
