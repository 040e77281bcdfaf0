"""Pretrained word vectors: word2vec (Mikolov et al. 2013), GloVe (Pennington et al. 2014), fastText (Bojanowski 2017).

    text, with header    "<rows> <size>", then "<word> <value> ... <value>" a line       fastText .vec, word2vec
    text, no header      the same lines at once; a word may contain spaces               GloVe
    binary               the header, then "<word> " and size float32, little-endian      word2vec .bin

Each plain, gzip or xz. What a file is, is read from its content; its name does not matter.
"""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from seqapps.errors import DataError

__all__ = ["Vectors", "read_vectors"]

# Where a row stands (for messages), its word and its vector.
_Rows = Iterator[tuple[str, bytes, np.ndarray]]

_HEAD = 1 << 20  # bytes that are enough to see two rows
_CHUNK = 1 << 20
_LONGEST_WORD = 1 << 12  # bytes, in the binary format
_PRINTABLE = frozenset([*range(0x20, 0x7F), *b"\t\r"])
_FOREIGN = {
    b"\xba\x16\x4f\x2f": "a fastText model; use the .vec file beside it",
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"BZh": "a bzip2 archive; unpack it first",
}


@dataclass(frozen=True)
class Vectors:
    """The words that were found, in the order of the file, and their vectors.

    Attributes:
        words: N different words.
        rows: (N, size) float32; rows[i] belongs to words[i].
    """

    words: list[str]
    rows: np.ndarray

    @property
    def size(self) -> int:
        """Numbers per vector."""
        return int(self.rows.shape[1])


def read_vectors(path: str | Path, wanted: Collection[str] | None = None) -> Vectors:
    """Read the vectors of the `wanted` words (None = of all); memory grows with what is found, not with the file.

    Words are compared as UTF-8. A word of the file that is not UTF-8 (some of GoogleNews are not) therefore equals none
    and is passed over. Of a word that stands in the file twice the first row counts.

    Raises:
        DataError: no such file, not in one of the formats, cut off, a row of another length (file:line), or a value of
            a wanted word that is not a finite number. Values of other words are not looked at.
    """
    path = Path(path)
    sought = None if wanted is None else {word.encode("utf-8", "surrogatepass") for word in wanted}
    words: dict[str, None] = {}
    values = bytearray()
    try:
        layout = _layout(path)
        for where, encoded, row in (_binary_rows if layout.binary else _text_rows)(path, layout, sought):
            word = encoded.decode("utf-8", "replace")
            if word in words or word.encode() != encoded:
                continue
            if not np.isfinite(row).all():
                raise DataError(f"{where}: the vector of {word!r} holds a value that is not a finite number")
            words[word] = None
            values += row.tobytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected word vectors") from None
    except (EOFError, lzma.LZMAError, zlib.error, OSError) as error:
        raise DataError(f"{path}: cannot be read ({error}); is the file complete?") from error
    return Vectors(list(words), np.frombuffer(values, dtype=np.float32).reshape(len(words), layout.size))


class _Layout(NamedTuple):
    """How a file is laid out: `total` rows as its header has it, or None where there is no header."""

    size: int
    total: int | None
    binary: bool


def _open(path: Path) -> BinaryIO | gzip.GzipFile | lzma.LZMAFile:
    with path.open("rb") as file:
        magic = file.read(6)
    for start, what in _FOREIGN.items():
        if magic.startswith(start):
            raise DataError(f"{path}: is {what}")
    if magic.startswith(b"\x1f\x8b"):
        return gzip.open(path)
    return lzma.open(path) if magic == b"\xfd7zXZ\x00" else path.open("rb")


def _layout(path: Path) -> _Layout:
    with _open(path) as file:
        head = file.read(_HEAD)
    first, _, rest = head.partition(b"\n")
    fields = first.split()
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        count, size = map(int, fields)
        if not (count and size):
            raise DataError(
                f"{path}:1: the header promises {count} rows of {size} values; expected at least one of each"
            )
        row = rest.partition(b"\n")[0].partition(b" ")[2]
        # A row of float32 holds a byte that no text has, or a line break well before its end.
        text = _PRINTABLE.issuperset(row) and 2 * len(row.split()) >= size
        return _Layout(size, count, binary=not text)
    try:
        size = len([float(value) for value in fields[1:]])
    except ValueError:
        size = 0
    if not size:
        raise DataError(f"{path}:1: expected a word and its values, or a header with the numbers of rows and of values")
    return _Layout(size, None, binary=False)


def _text_rows(path: Path, layout: _Layout, sought: set[bytes] | None) -> _Rows:
    """The rows whose words are sought."""
    size, total = layout.size, layout.total
    starts = None if sought is None else {word.partition(b" ")[0] for word in sought}
    header = int(total is not None)
    number = 0
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            if number <= header:
                continue
            line = line.rstrip(b" \r\n")
            spaces = line.count(b" ")
            if spaces < size or (header and spaces > size):
                raise DataError(f"{path}:{number}: {spaces} values, expected {size} as in the rows before")
            if starts is None or line.partition(b" ")[0] in starts:
                word, *values = line.rsplit(b" ", size)
                if sought is None or word in sought:
                    yield f"{path}:{number}", word, _parsed(values, f"{path}:{number}")
    if total is not None and number - header != total:
        raise DataError(f"{path}: {number - header} rows, but its header promises {total}; is the file complete?")


def _parsed(values: list[bytes], where: str) -> np.ndarray:
    try:
        return np.array([float(value) for value in values], dtype=np.float32)
    except ValueError as error:
        raise DataError(f"{where}: {error}; expected a number") from None


def _binary_rows(path: Path, layout: _Layout, sought: set[bytes] | None) -> _Rows:
    """The rows whose words are sought."""
    width, total = 4 * layout.size, layout.total or 0
    with _open(path) as file:
        file.readline()
        buffer, position = b"", 0
        for number in range(1, total + 1):
            if len(buffer) - position < _LONGEST_WORD + width + 1:
                buffer, position = buffer[position:] + file.read(_CHUNK), 0
            space = buffer.find(b" ", position, position + _LONGEST_WORD)
            end = space + 1 + width
            if space < 0 or end > len(buffer):
                wrong = (
                    "has no word" if len(buffer) - position >= _LONGEST_WORD else f"is cut off, {total} are promised"
                )
                raise DataError(f"{path}: row {number} {wrong}; is this a complete word2vec file?")
            # The original program ends each row with a line break, others do not.
            word = buffer[position:space].lstrip(b"\n")
            if sought is None or word in sought:
                row = np.frombuffer(buffer, "<f4", layout.size, space + 1).astype(np.float32)
                yield f"{path}: row {number}", word, row
            position = end
