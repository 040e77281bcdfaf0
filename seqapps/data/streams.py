"""A split as one long text: what a stream language model reads, window by window.

    sentences   w w w <eos>   w w <eos>   w w w w <eos> ...    one after the other, N tokens with the end marks
    rows        the first N / R tokens | the next N / R | ...  R of them side by side; what is left over is not read
    windows     columns 0 .. T - 1, then T .. 2 T - 1, ...     each goes on where the one before ended

Zaremba, Sutskever and Vinyals (2014) call R the batch size and T the number of unrolled steps. The first token is
predicted from an `<eos>`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from seqapps.data.batch import Batch, Field
from seqapps.data.batching import BatchSampler
from seqapps.data.indexed import IndexedSplit
from seqapps.errors import DataError
from seqapps.recipe.recipe import Batching

__all__ = ["Batches", "Sampler", "Stream", "StreamSampler", "Window", "batches_of"]


class Sampler(Protocol):
    """Which batches make up an epoch: a pure function of its number, so that a run can be resumed anywhere."""

    def epoch(self, number: int) -> list[Any]:
        """What `Batches.batch` makes a batch of, in order."""


class Batches(Protocol):
    """What batches are made of."""

    def batch(self, chosen: Any) -> Batch:
        """A batch on the CPU."""


class Window(NamedTuple):
    """Columns start to stop of a stream; `lr_scale` is what the learning rate is multiplied by for this window."""

    start: int
    stop: int
    lr_scale: float = 1.0


class StreamSampler:
    """The windows of an epoch, from the first column of a stream to the last.

    With `random` their lengths are drawn as in Merity, Keskar and Socher 2017 (arXiv 1708.02182), section 5: from a
    normal distribution of deviation 5 around `window`, or, in one of 20 cases, around half of it; at least 5. The
    learning rate of a window is scaled by length / `window`.
    """

    def __init__(self, columns: int, window: int, *, random: bool = False, seed: int = 0):
        self.columns, self.window, self.random, self.seed = columns, window, random, seed

    def epoch(self, number: int) -> list[Window]:
        """Windows in the order of the text."""
        draws = np.random.default_rng([self.seed, number])
        windows, start = [], 0
        while start < self.columns:
            length = self.window
            if self.random:
                around = self.window if draws.random() < 0.95 else self.window / 2
                length = max(5, int(draws.normal(around, 5)))
            stop = min(start + length, self.columns)
            windows.append(Window(start, stop, (stop - start) / self.window if self.random else 1.0))
            start = stop
        return windows


class Stream:
    """A split's rows side by side; see the head of this module.

    Args:
        rows: R.

    Attributes:
        columns: N / R, rounded down.

    Raises DataError if there are fewer tokens than rows.
    """

    def __init__(self, split: IndexedSplit, rows: int):
        self.split, self.rows = split, rows
        sizes = split.lengths + 1
        total = int(sizes.sum())
        self.columns = total // rows
        if not self.columns:
            raise DataError(f"split {split.name!r}: {total} tokens for {rows} streams; set data.batching.streams lower")
        self.ends = np.cumsum(sizes)  # position after each sentence
        self._read: dict[str, torch.Tensor] = {}
        self._following: dict[str, torch.Tensor] = {}
        for key, request in split.resources.requests.items():
            if request.is_target:
                continue
            framed = split.numbers(key)
            if request.level == "character":  # which form stands where; the mark before a sentence is one
                self._read[key] = self._in_rows(framed.values)
                continue
            inner = np.ones(len(framed.values), bool)
            inner[framed.offsets[1:] - 1] = False
            self._read[key] = self._in_rows(framed.values[inner])
            inner[:] = True
            inner[framed.offsets[:-1]] = False
            self._following[key] = self._in_rows(framed.values[inner])

    def _in_rows(self, values: np.ndarray) -> torch.Tensor:
        kept = np.ascontiguousarray(values[: self.rows * self.columns], np.int64)
        return torch.from_numpy(kept).view(self.rows, self.columns)

    def batch(self, chosen: Window) -> Batch:
        """The rows' tokens in a window; it continues the window before unless it is the first."""
        start, stop, lr_scale = chosen
        lengths = torch.full((self.rows,), stop - start)
        fields = {}
        for key, read in self._read.items():
            values = read[:, start:stop].contiguous()
            if key in self._following:
                fields[key] = Field(values, lengths, following=self._following[key][:, start:stop].contiguous())
            else:
                fields[key] = self.split.spelled(key, values, lengths)
        beginnings = np.arange(self.rows) * self.columns + start
        examples = np.searchsorted(self.ends, beginnings, side="right")
        return Batch(fields, examples, continues=start > 0, lr_scale=lr_scale)


def batches_of(split: IndexedSplit, batching: Batching, seed: int) -> tuple[Batches, Sampler]:
    """What a recipe's training reads, and in which order."""
    if batching.streams is None:
        return split, BatchSampler(split.lengths, batching, seed)
    stream = Stream(split, batching.streams)
    return stream, StreamSampler(stream.columns, batching.window, random=batching.random_windows, seed=seed)
