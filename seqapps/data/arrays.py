"""Columns that hold numbers already: vectors and images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from seqapps.data.batch import Field
from seqapps.data.image_files import read_images
from seqapps.errors import DataError

if TYPE_CHECKING:
    import pyarrow
    from datasets import Dataset

    from seqapps.data.requests import Request

__all__ = ["ArrayColumn", "array_column", "read_arrays"]

_PATCH = 8  # pixels: as many positions of a batch's budget as an image has squares of this side


@dataclass(frozen=True)
class ArrayColumn:
    """Vectors or images of a split in one array, each of them once, however many rows are about it.

    Row i is thing `rows[i]`. Of vectors, thing j is `values[offsets[j]:offsets[j + 1]]`, each of D numbers; of
    images it is `values[j]`, (3, S, S) uint8, and offsets count by one.
    """

    values: np.ndarray
    offsets: np.ndarray
    rows: np.ndarray

    @property
    def is_image(self) -> bool:
        return self.values.ndim == 4

    @property
    def size(self) -> int:
        """D, or S."""
        return self.values.shape[-1]

    @property
    def lengths(self) -> np.ndarray:
        """(N,) positions of every row, for budgets: its vectors, or the squares of 8 pixels of an image."""
        if self.is_image:
            return np.full(len(self.rows), max(1, (self.size // _PATCH) ** 2))
        return np.diff(self.offsets)[self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def taken(self, rows: np.ndarray) -> ArrayColumn:
        """With these rows of it as rows; nothing is copied."""
        return replace(self, rows=self.rows[rows])

    def field(self, examples: np.ndarray) -> Field:
        """Images: values (B, 3, S, S) uint8. Vectors: values (B, R, D) float32, padded with 0, lengths (B,)."""
        things = self.rows[examples]
        if self.is_image:
            return Field(torch.from_numpy(self.values[things]), torch.ones(len(things), dtype=torch.int64))
        starts, lengths = self.offsets[things], np.diff(self.offsets)[things]
        real = np.arange(int(lengths.max(initial=0))) < lengths[:, None]
        values = np.zeros((*real.shape, self.size), np.float32)
        values[real] = self.values[(starts[:, None] + np.arange(real.shape[1]))[real]]
        return Field(torch.from_numpy(values), torch.from_numpy(lengths))

    def vectors(self) -> np.ndarray:
        """(things, D) float32, a vector for each thing: the mean of its vectors; of an image the mean colours of 8 x 8
        equal parts, -1 .. 1."""
        if self.is_image:
            cells = np.minimum(np.arange(self.size) * _PATCH // self.size, _PATCH - 1)
            parts = np.zeros((_PATCH, self.size), np.float32)
            parts[cells, np.arange(self.size)] = 1
            parts /= np.maximum(parts.sum(1, keepdims=True), 1)
            means = [parts @ (image.astype(np.float32) / 127.5 - 1) @ parts.T for image in self.values]
            return np.stack(means).reshape(len(self.values), -1)
        sums = np.add.reduceat(self.values.astype(np.float32), self.offsets[:-1])
        return sums / np.diff(self.offsets)[:, None]

    def fingerprint(self) -> str:
        """SHA-256 of the rows' values."""
        digest = hashlib.sha256(f"{self.values.dtype.str} {self.values.shape}".encode())
        for array in (self.offsets.astype(np.int64), self.rows.astype(np.int64), self.values):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def read_arrays(dataset: Dataset, request: Request, split: str) -> ArrayColumn:
    """The column of a request of level `vector` or `image`.

    Raises DataError naming split and row for a value that is missing, no vector of the size of the others, not finite,
    or an image that cannot be decoded.
    """
    import pyarrow as pa

    def where(row: int) -> str:
        return f"split {split!r}, row {row + 1}"

    found = dataset.with_format("arrow")[:].column(request.column)
    array = pa.concat_arrays(found.chunks) if found.num_chunks else pa.array([])
    array = array.storage if isinstance(array, pa.ExtensionArray) else array
    if array.null_count:
        row = int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])
        raise DataError(f"{where(row)}: column {request.column!r} is empty (null)")
    if request.level == "image":
        return array_column(request, array.to_pylist(), where)
    return _flat_vectors(array, request.column, where)


def array_column(request: Request, things: Sequence[Any], where: Callable[[int], str]) -> ArrayColumn:
    """A column of these things: images as `read_images` takes them; or vectors, each a list of numbers, or of lists.

    Args:
        where: what to call a row, counted from 0, in messages.

    Raises:
        DataError: as `read_arrays` does.
    """
    if request.level == "image":
        assert request.size is not None
        keys = [thing if isinstance(thing, (str, bytes)) else repr(thing) for thing in things]
        rows: dict[Any, int] = {}  # of an image's first occurrence
        for row, key in enumerate(keys):
            rows.setdefault(key, row)
        first = list(rows.values())
        pixels = read_images([things[row] for row in first], request.size, lambda number: where(first[number]))
        numbers = {key: number for number, key in enumerate(rows)}
        return ArrayColumn(pixels, np.arange(len(pixels) + 1), np.array([numbers[key] for key in keys], np.int64))
    import pyarrow as pa

    try:
        lists = [thing.tolist() if isinstance(thing, np.ndarray) else thing for thing in things]
        return _flat_vectors(pa.array(lists), request.column, where)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        raise DataError(f"{where(0)}: {request.column!r} holds no vector; expected a list of numbers") from None


def _flat_vectors(array: pyarrow.Array, column: str, where: Callable[[int], str]) -> ArrayColumn:
    import pyarrow as pa

    levels = []  # lengths of the lists, from outside in
    inner = array
    while pa.types.is_list(inner.type) or pa.types.is_large_list(inner.type) or pa.types.is_fixed_size_list(inner.type):
        levels.append(np.asarray(inner.value_lengths().fill_null(0), np.int64))
        inner = inner.flatten()
    numbers = pa.types.is_floating(inner.type) or pa.types.is_integer(inner.type)
    if len(levels) not in (1, 2) or not numbers or inner.null_count:
        raise DataError(f"{where(0)}: column {column!r} holds {array.type}, expected vectors: lists of numbers")
    per_row = levels[0] if len(levels) == 2 else np.ones(len(array), np.int64)
    offsets = np.concatenate([[0], np.cumsum(per_row)])
    size = int(levels[-1][0]) if len(levels[-1]) else 0

    def row_of(vector: int) -> str:
        return where(int(np.searchsorted(offsets, vector, side="right")) - 1)

    other = np.flatnonzero(levels[-1] != size)
    if len(other):
        raise DataError(
            f"{row_of(int(other[0]))}: a vector of {levels[-1][other[0]]} numbers in column {column!r}, "
            f"the first has {size}; they are of one size"
        )
    none = np.flatnonzero(per_row == 0)
    if len(none) or not size:
        raise DataError(f"{where(int(none[0]) if len(none) else 0)}: column {column!r} holds no vector")
    values = inner.to_numpy(zero_copy_only=False).reshape(-1, size)
    if values.dtype.kind == "f":
        infinite = np.flatnonzero(~np.isfinite(values).all(1))
        if len(infinite):
            raise DataError(f"{row_of(int(infinite[0]))}: column {column!r} holds a number that is not finite")
    return ArrayColumn(values, offsets, np.arange(len(array)))
