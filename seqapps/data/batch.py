"""Rows of symbol numbers, and batches made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqapps.data.demands import Demand

__all__ = ["Batch", "Field", "Rows"]


class Field(NamedTuple):
    """One column of a batch.

    `values` (B, T) int64, padded with 0; `lengths` (B,) int64, always on the CPU. A character field has `forms` too:
    each distinct token of the batch once, values (U, C), lengths (U,); its own values say which of the U a position is.
    A text that a model writes has `following` (B, T): the symbol after each position, `<eos>` after the last token.
    A source in numbers of the target's vocabulary has `unknown`: the tokens that are numbered beyond it, of each row.
    Vectors are `values` (B, R, D) float32, `lengths` of them in each row; images (B, 3, S, S) uint8, each of length 1.
    """

    values: Tensor
    lengths: Tensor
    forms: Field | None = None
    following: Tensor | None = None
    unknown: tuple[tuple[str, ...], ...] | None = None

    def to(self, device: torch.device) -> Field:
        """Values on `device`; lengths stay where they are."""
        forms = None if self.forms is None else self.forms.to(device)
        following = None if self.following is None else self.following.to(device, non_blocking=True)
        return Field(self.values.to(device, non_blocking=True), self.lengths, forms, following, self.unknown)


@dataclass(frozen=True)
class Batch:
    """What a model sees at once.

    Attributes:
        fields: key of a `Request` -> Field; `source_of` it as well, where its tokens may be pointed at.
        examples: (B,) row numbers in the split.
        continues: rows go on where those of the batch before ended (a stream language model carries its state).
        lr_scale: factor of the learning rate, that of a window which is shorter than others.
        demands: what is asked of the text that is written for each example; () = nothing.
    """

    fields: Mapping[str, Field]
    examples: np.ndarray
    continues: bool = False
    lr_scale: float = 1.0
    demands: Sequence[Demand] = ()

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return replace(self, fields={key: field.to(device) for key, field in self.fields.items()})

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def tokens(self) -> int:
        """How many positions of the first field of symbols are no padding, what is read or else written."""
        return int(next(field for field in self.fields.values() if field.values.dim() == 2).lengths.sum())


class Rows:
    """Many sequences of numbers in two flat arrays: row i is `values[offsets[i]:offsets[i + 1]]`."""

    def __init__(self, values: np.ndarray, offsets: np.ndarray):
        self.values, self.offsets = values, offsets
        self.lengths = np.diff(offsets)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, i: int) -> np.ndarray:
        return self.values[self.offsets[i] : self.offsets[i + 1]]

    @classmethod
    def from_lists(cls, rows: Sequence[Sequence[int]]) -> Rows:
        """Copy a list of lists."""
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        values = np.fromiter((v for row in rows for v in row), np.int64, int(offsets[-1]))
        return cls(values, offsets)

    def framed(self, before: int | None, after: int | None) -> Rows:
        """Every row with a number put before and after it, where these are given."""
        added = (before is not None) + (after is not None)
        offsets = self.offsets - self.offsets[0] + added * np.arange(len(self.offsets))
        values = np.empty(int(offsets[-1]), np.int64)
        if before is not None:
            values[offsets[:-1]] = before
        if after is not None:
            values[offsets[1:] - 1] = after
        within = np.arange(self.lengths.sum()) - np.repeat(self.offsets[:-1] - self.offsets[0], self.lengths)
        values[np.repeat(offsets[:-1] + (before is not None), self.lengths) + within] = self.values[
            self.offsets[0] : self.offsets[-1]
        ]
        return Rows(values, offsets)

    def taken(self, rows: np.ndarray) -> Rows:
        """The chosen rows as rows."""
        return Rows(self.concatenated(rows), np.concatenate([[0], np.cumsum(self.lengths[rows])]))

    def padded(self, rows: np.ndarray, *, fill: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """The chosen rows, padded to the longest: (B, T) int64 and lengths (B,) int64."""
        lengths = self.lengths[rows]
        longest = int(lengths.max(initial=0))
        block = np.full((len(rows), longest), fill, np.int64)
        block[np.arange(longest) < lengths[:, None]] = self.concatenated(rows)
        return block, lengths

    def concatenated(self, rows: np.ndarray) -> Any:
        """The chosen rows one after the other."""
        if len(rows) == 0:
            return self.values[:0]
        return np.concatenate(
            [self.values[start:end] for start, end in zip(self.offsets[rows], self.offsets[rows + 1], strict=True)]
        )
