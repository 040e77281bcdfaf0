"""Files of vectors that were computed before: one vector, or several, for each of many named things."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from seqapps.errors import DataError

if TYPE_CHECKING:
    import pyarrow

__all__ = ["NamedVectors", "read_named_vectors"]

_NAMES, _FEATURES = "names", "features"


class NamedVectors(NamedTuple):
    """Vectors in one array: those of `names[i]` are `values[offsets[i]:offsets[i + 1]]`.

    values (rows, D), memory-mapped where the file allows it; single = every name has one vector, and not a list of one.
    """

    names: list[str]
    values: np.ndarray
    offsets: np.ndarray
    single: bool

    def arrow(self, names: Sequence[str]) -> pyarrow.Array:
        """The vectors of the chosen names, which are all known: a row is a vector, or a list of vectors."""
        import pyarrow as pa

        numbers = {name: number for number, name in enumerate(self.names)}
        rows = np.fromiter((numbers[name] for name in names), np.int64, len(names))
        lengths = np.diff(self.offsets)[rows]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        taken = np.repeat(self.offsets[rows] - ends[:-1], lengths) + np.arange(ends[-1])
        values = np.ascontiguousarray(self.values[taken], self.values.dtype.newbyteorder("="))
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
        return vectors if self.single else pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), vectors)


def read_named_vectors(path: Path, names: Sequence[str] | None) -> NamedVectors:
    """The vectors of a .npy, .npz or .safetensors file.

    Without `names`, an archive holds an array for each thing, (D,) or (R, D) with an R of its own, called by its name;
    or, in .npz, `names` (N,) and `features` (N, D) or (N, R, D). With `names` the file holds one array of either shape,
    a row a name.

    Raises DataError if the file is none of that, rows and names differ in number, or vectors in size.
    """
    arrays = _arrays(path)
    if names is None and set(arrays) == {_NAMES, _FEATURES}:
        names = [str(name) for name in arrays.pop(_NAMES)]
    if names is None:
        if "" in arrays:
            raise DataError(f"{path}: a .npy file holds no names; give a file with the name of each row in 'names'")
        return _by_name(path, arrays)
    if len(arrays) != 1:
        raise DataError(f"{path}: holds {len(arrays)} arrays, expected one with a row for each of {len(names)} names")
    return _by_row(path, next(iter(arrays.values())), names)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name; that of a .npy file is called ""."""
    try:
        if path.suffix == ".npy":
            return {"": np.load(path, mmap_mode="r", allow_pickle=False)}
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="np") as opened:
                return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as {path.suffix} ({error})") from error
    except Exception as error:
        if type(error).__name__ != "SafetensorError":
            raise
        raise DataError(f"{path}: cannot be read as {path.suffix} ({error})") from error
    raise DataError(f"{path}: the ending {path.suffix!r} says no format; expected .npy, .npz or .safetensors")


def _by_row(path: Path, array: np.ndarray, names: Sequence[str]) -> NamedVectors:
    _check(path, "features", array, (2, 3))
    if len(array) != len(names):
        raise DataError(f"{path}: {len(array)} rows for {len(names)} names; there must be one each")
    if len(set(names)) < len(names):
        twice = next(name for number, name in enumerate(names) if name in names[:number])
        raise DataError(f"{path}: {twice!r} is the name of two rows; keep one")
    per_name = array.shape[1] if array.ndim == 3 else 1
    values = array.reshape(-1, array.shape[-1])  # of a contiguous array, memory-mapped ones included, no copy
    return NamedVectors(list(names), values, np.arange(len(names) + 1) * per_name, array.ndim == 2)


def _by_name(path: Path, arrays: Mapping[str, np.ndarray]) -> NamedVectors:
    if not arrays:
        raise DataError(f"{path}: holds no arrays")
    first, shape = next((name, array.shape) for name, array in arrays.items())
    for name, array in arrays.items():
        _check(path, repr(name), array, (1, 2))
        if array.ndim != len(shape) or array.shape[-1] != shape[-1]:
            raise DataError(
                f"{path}: {name!r} has shape {_shape(array)}, {first!r} {_shape(arrays[first])}; vectors are of one "
                "size, and all images have one or all have lists of them"
            )
    blocks = [array.reshape(-1, shape[-1]) for array in arrays.values()]
    offsets = np.concatenate([[0], np.cumsum([len(block) for block in blocks])])
    return NamedVectors(list(arrays), np.concatenate(blocks), offsets, len(shape) == 1)


def _check(path: Path, name: str, array: Any, dimensions: tuple[int, int]) -> None:
    if array.ndim not in dimensions or array.dtype.kind not in "fiu" or 0 in array.shape:
        raise DataError(
            f"{path}: {name} is {array.dtype} of shape {_shape(array)}; expected numbers in {dimensions[0]} or "
            f"{dimensions[1]} dimensions"
        )


def _shape(array: np.ndarray) -> str:
    return "(" + ", ".join(map(str, array.shape)) + ")"
