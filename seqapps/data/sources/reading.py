"""Text files as lines: plain or compressed, UTF-8, one file or a folder of them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from seqapps.data.sources.source import Places
from seqapps.errors import DataError

__all__ = ["COMPRESSED", "bare_suffix", "decoded_lines", "files_of", "lines_of", "split_files"]

_OPENERS: dict[str, Callable[[Path], IO[bytes]]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}  # type: ignore[dict-item]
COMPRESSED = tuple(_OPENERS)


def files_of(path: Path, endings: Sequence[str] = ()) -> list[Path]:
    """`path` itself, or the files of a folder in the order of their names, with one of `endings` if any are given.

    A compressed file counts by the ending before .gz, .xz or .bz2. Raises DataError for a folder without such files.
    """
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    if endings:
        found = [file for file in found if bare_suffix(file) in endings]
    if not found:
        wanted = f" ending in {', '.join(endings)}" if endings else ""
        raise DataError(f"{path}: no files{wanted} in this folder; name a file or another folder")
    return found


def split_files(
    places: Places,
    named: Mapping[str, str | None],
    endings: Sequence[str] = (),
    splits: Sequence[str] | None = None,
) -> dict[str, list[Path]]:
    """Split name -> its files, for the splits that were named and, with `splits`, are among them.

    Raises DataError if no file was named at all, or one is not there.
    """
    given = {split: name for split, name in named.items() if name}
    if not given:
        raise DataError(f"the source names no file; set one of {', '.join(named)}")
    return {
        split: files_of(places.find(name), endings)
        for split, name in given.items()
        if splits is None or split in splits
    }


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Line numbers from 1 and lines without their ends; .gz, .xz and .bz2 are opened as they are, a BOM is dropped.

    Raises DataError: file:line for bytes that are not UTF-8; a file that is empty, damaged or cannot be read.
    """
    number = 0
    try:
        with _OPENERS.get(path.suffix, lambda p: p.open("rb"))(path) as stream:
            for number, line in decoded_lines(stream, str(path)):
                yield number, line
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); is it there, whole and of the kind its ending says?"
        ) from error
    if number == 0:
        raise DataError(f"{path}: the file is empty")


def decoded_lines(stream: IO[bytes], name: str) -> Iterator[tuple[int, str]]:
    """Line numbers from 1 and lines without their ends, a BOM dropped. DataError name:line for bytes not UTF-8."""
    for number, raw in enumerate(stream, 1):
        try:
            line = raw.decode("utf8")
        except UnicodeDecodeError as error:
            byte = f"0x{raw[error.start]:02x}"
            raise DataError(
                f"{name}:{number}: byte {error.start + 1} of the line is {byte}, not UTF-8; convert the file"
            ) from None
        yield number, (line.removeprefix("\ufeff") if number == 1 else line).rstrip("\r\n")


def bare_suffix(path: Path) -> str:
    """The ending of a file name, in small letters, without that of a compression: ".csv" of `a.CSV.gz`."""
    return (path.with_suffix("") if path.suffix in _OPENERS else path).suffix.lower()
