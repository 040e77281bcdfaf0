"""Texts that belong together line by line: a source and its translation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from seqapps.data.sources.reading import files_of, lines_of
from seqapps.data.sources.source import Places, Source
from seqapps.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["Parallel"]

SKIPPED = "_"


class _Pairs(NamedTuple):
    """What a file holds, or files side by side: column -> texts, and the line on which each stands in `file`."""

    file: Path
    lines: Sequence[int]
    columns: dict[str, list[str]]


class Parallel(Source):
    """Pairs of texts, in files that belong together line by line, or in one file with a tab between them.

        train: [train.en, train.de]         line 7 of one is the translation of line 7 of the other
        train: pairs.tsv                    a pair a line: Hi. TAB Hallo. TAB further columns

    Files are UTF-8, plain or .gz, .xz, .bz2; a folder of tab-separated files is read file after file. Columns hold the
    texts as they are written; the recipe's tokenizers split them. Nothing is left out without a word: files of
    different length and pairs with an empty side are errors. Empty lines of a tab-separated file are no pairs.

    For a tab-separated file whose first line names its columns use source `tables`.

    Fields:
        train, validation, test: a list of files, one for each of `names`, or one tab-separated file or folder.
        names: what the files, or the columns of the one file, are called, in their order; "_" leaves one out. Further
            columns of a tab-separated file are ignored.
        empty: a pair one of whose sides is empty or blank; error = say how many there are, drop = leave them out, with
            a note in the report.
    """

    def __init__(
        self,
        *,
        train: list[str] | str | None = None,
        validation: list[str] | str | None = None,
        test: list[str] | str | None = None,
        names: list[str] = ["tokens", "target"],  # noqa: B006
        empty: Literal["error", "drop"] = "error",
    ):
        self.named = {"train": train, "validation": validation, "test": test}
        self.names, self.empty = names, empty
        self._notes: list[str] = []

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Names are there and differ, and each has its file."""
        names, faults = [name for name in fields["names"] if name != SKIPPED], []
        if not names or len(set(names)) != len(names):
            faults.append(("names", f"names are {fields['names']}, expected at least one, each once"))
        for split in ("train", "validation", "test"):
            files = fields[split]
            if isinstance(files, list) and len(files) != len(fields["names"]):
                wanted = f"{len(fields['names'])} ({', '.join(fields['names'])})"
                faults.append((split, f"{len(files)} files, expected {wanted}; name one for each of 'names'"))
        return faults

    @property
    def notes(self) -> list[str]:
        return self._notes

    def files(self, places: Places) -> list[Path]:
        return [file for files in self._split_files(places).values() for file in files]

    def load(self, places: Places, splits: Sequence[str] | None = None) -> dict[str, Dataset]:
        from datasets import Dataset

        self._notes, loaded = [], {}
        for split, files in self._split_files(places, splits).items():
            aligned = isinstance(self.named[split], list)
            read = [self._aligned(files)] if aligned else [self._separated(file) for file in files]
            self._check_sides(read, split)
            columns = {name: [text for pairs in read for text in pairs.columns[name]] for name in self._kept()}
            full = [all(map(str.strip, row)) for row in zip(*columns.values(), strict=True)]
            loaded[split] = Dataset.from_dict({n: list(compress(texts, full)) for n, texts in columns.items()})
        return loaded

    def _kept(self) -> list[str]:
        return [name for name in self.names if name != SKIPPED]

    def _split_files(self, places: Places, splits: Sequence[str] | None = None) -> dict[str, list[Path]]:
        given = {split: named for split, named in self.named.items() if named}
        if not given:
            raise DataError(f"the source names no file; set one of {', '.join(self.named)}")
        return {
            split: files_of(places.find(named)) if isinstance(named, str) else [places.find(name) for name in named]
            for split, named in given.items()
            if splits is None or split in splits
        }

    def _aligned(self, files: Sequence[Path]) -> _Pairs:
        """Files that belong together line by line. DataError if they differ in length."""
        kept = {name: file for name, file in zip(self.names, files, strict=True) if name != SKIPPED}
        columns = {name: [line for _, line in lines_of(file)] for name, file in kept.items()}
        (first, count), *others = ((file, len(columns[name])) for name, file in kept.items())
        for other, lines in others:
            if lines != count:
                raise DataError(
                    f"{first}: {count} lines, but {lines} in {other}; the files belong together line by line, is one "
                    "of them cut or another version?"
                )
        return _Pairs(first, range(1, count + 1), columns)

    def _separated(self, path: Path) -> _Pairs:
        """A file with tabs. DataError with file:line where a line has too few columns."""
        kept = [(index, name) for index, name in enumerate(self.names) if name != SKIPPED]
        lines: list[int] = []
        columns: dict[str, list[str]] = {name: [] for _, name in kept}
        for number, line in lines_of(path):
            if not line:
                continue
            cells = line.split("\t")
            if len(cells) < len(self.names):
                raise DataError(
                    f"{path}:{number}: {len(cells)} column{'s' if len(cells) > 1 else ''}, expected {len(self.names)} "
                    f"({', '.join(self.names)}) with tabs between them; is a tab missing, or a file for each?"
                )
            lines.append(number)
            for index, name in kept:
                columns[name].append(cells[index])
        if not lines:
            raise DataError(f"{path}: no pairs in the file")
        return _Pairs(path, lines, columns)

    def _check_sides(self, read: Sequence[_Pairs], split: str) -> None:
        """DataError or a note if pairs have an empty side."""
        empty = [
            (f"{pairs.file}:{line}", self._kept()[[bool(text.strip()) for text in row].index(False)])
            for pairs in read
            for line, row in zip(pairs.lines, zip(*pairs.columns.values(), strict=True), strict=True)
            if not all(map(str.strip, row))
        ]
        if not empty:
            return
        first, side = empty[0]
        if self.empty == "error":
            raise DataError(
                f"{first}: {side!r} is empty ({len(empty)} such pairs in {split!r}); mend the files, or leave such "
                "pairs out with 'empty: drop'"
            )
        self._notes.append(f"{len(empty)} pairs of {split} with an empty side were left out, the first at {first}")
