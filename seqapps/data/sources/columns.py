"""One token a line, a blank line between sentences: the format of the CoNLL-2000 and CoNLL-2003 tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from seqapps.data.sources.reading import lines_of, split_files
from seqapps.data.sources.source import Places, Source
from seqapps.errors import DataError
from seqapps.schemes import check, convert, detect

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["Columns"]

SKIPPED = "_"
DOCUMENT_START = "-DOCSTART-"

# The cells of a line; str.split() without an argument would also split at a no-break space.
_CELLS: dict[str, Callable[[str], list[str]]] = {
    "whitespace": lambda line: [cell for cell in line.replace("\t", " ").split(" ") if cell],
    "tab": lambda line: line.split("\t"),
    "space": lambda line: line.split(" "),
}


class _Sentences(NamedTuple):
    """What a file holds: column -> rows, and the line number of each sentence's first token."""

    columns: dict[str, list[list[str]]]
    lines: list[int]


class Columns(Source):
    """Files with one token a line, its columns separated, and a blank line after each sentence.

    Files are UTF-8, plain or .gz, .xz, .bz2; a folder is read file after file. A line that begins with `-DOCSTART-`
    is left out and ends a sentence, as a blank line does. Columns that mark spans are recognised by their tags (see
    `seqapps.schemes`), held to their scheme, and rewritten if `convert_to` says so.

        U.N.      NNP  I-NP  I-ORG
        official  NN   I-NP  O

    Fields:
        names: what the columns are called, from left to right; "_" leaves one out. Further columns are ignored.
        train, validation, test: a file or folder for each split.
        separator: what stands between columns; whitespace = any amount of blanks and tabs. Other spaces (no-break,
            ideographic) belong to the token.
        scheme: of the columns that mark spans; auto = recognise it, none = no column marks spans.
        span_columns: columns that mark spans; empty = those that are recognised as such.
        convert_to: rewrite the spans in this scheme; none = leave them as they are.
    """

    def __init__(
        self,
        *,
        names: list[str],
        train: str | None = None,
        validation: str | None = None,
        test: str | None = None,
        separator: Literal["whitespace", "tab", "space"] = "whitespace",
        scheme: Literal["auto", "none", "iob1", "bio", "bioes", "bmes"] = "auto",
        span_columns: list[str] = [],  # noqa: B006
        convert_to: Literal["none", "bio", "bioes"] = "none",
    ):
        self.names, self.named = names, {"train": train, "validation": validation, "test": test}
        self.cells = _CELLS[separator]
        self.scheme, self.span_columns, self.convert_to = scheme, span_columns, convert_to
        self._recognised: dict[str, str] = {}

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Names are there and differ, span columns are among them, conversion has something to convert."""
        names, faults = [name for name in fields["names"] if name != SKIPPED], []
        if not names or len(set(names)) != len(names):
            faults.append(("names", f"names are {fields['names']}, expected at least one, each once"))
        for unknown in [column for column in fields["span_columns"] if column not in names]:
            faults.append(("span_columns", f"{unknown!r} is not among the names {names}"))
        if fields["scheme"] == "none" and (fields["convert_to"] != "none" or fields["span_columns"]):
            faults.append(("scheme", "'none' says that no column marks spans; remove span_columns and convert_to"))
        return faults

    def files(self, places: Places) -> list[Path]:
        return [file for files in split_files(places, self.named).values() for file in files]

    @property
    def recognised(self) -> dict[str, str]:
        return self._recognised

    def load(self, places: Places, splits: Sequence[str] | None = None) -> dict[str, Dataset]:
        from datasets import Dataset

        wanted = split_files(places, self.named, splits=splits)
        read = {split: [(file, self._read(file)) for file in files] for split, files in wanted.items()}
        self._recognised = self._marking_spans(read)
        for column, scheme in self._recognised.items():
            self._hold_to_scheme(column, scheme, read)
        return {
            split: Dataset.from_dict({n: [row for _, s in files for row in s.columns[n]] for n in self._kept()})
            for split, files in read.items()
        }

    def _kept(self) -> list[str]:
        return [name for name in self.names if name != SKIPPED]

    def _read(self, path: Path) -> _Sentences:
        kept = [(index, name) for index, name in enumerate(self.names) if name != SKIPPED]
        sentences = _Sentences({name: [] for _, name in kept}, [])
        rows: list[list[str]] = []
        start = 0

        def finish() -> None:
            if rows:
                for index, name in kept:
                    sentences.columns[name].append([row[index] for row in rows])
                sentences.lines.append(start)
            rows.clear()

        for number, line in lines_of(path):
            row = self.cells(line)
            if not line.strip(" \t") or row[0] == DOCUMENT_START:
                finish()
                continue
            if len(row) < len(self.names):
                listed = ", ".join(self.names)
                raise DataError(
                    f"{path}:{number}: {len(row)} column{'s' if len(row) > 1 else ''}, expected {len(self.names)} "
                    f"({listed}); is the separator right?"
                )
            if not all(row):
                self._refuse_empty(path, number, row)
            if not rows:
                start = number
            rows.append(row)
        finish()
        if not sentences.lines:
            raise DataError(f"{path}: no sentences in the file")
        return sentences

    def _refuse_empty(self, path: Path, number: int, row: Sequence[str]) -> None:
        for name, value in zip(self.names, row, strict=False):
            if not value and name != SKIPPED:
                raise DataError(f"{path}:{number}: column {name!r} is empty; are there two separators in a row?")

    def _marking_spans(self, read: Mapping[str, list[tuple[Path, _Sentences]]]) -> dict[str, str]:
        """Column -> its scheme."""
        if self.scheme == "none":
            return {}
        first = next(iter(read.values()), [])
        marking: dict[str, str] = {}
        spanless = False
        for column in self.span_columns or self._kept():
            found = detect(row for _, sentences in first for row in sentences.columns[column])
            if found is None and column in self.span_columns and self.scheme == "auto":
                raise DataError(f"{first[0][0]}: column {column!r} follows no tag scheme; name one with 'scheme'")
            if found is not None or column in self.span_columns:
                marking[column] = self.scheme if self.scheme != "auto" else str(found)
            elif all(tag == "O" for _, sentences in first for row in sentences.columns[column] for tag in row):
                spanless = True
        asked = self.scheme != "auto" or self.convert_to != "none"
        if first and asked and not marking and not spanless:
            raise DataError(f"{first[0][0]}: no column is recognised as marking spans; name it with 'span_columns'")
        return marking

    def _hold_to_scheme(self, column: str, scheme: str, read: Mapping[str, list[tuple[Path, _Sentences]]]) -> None:
        """DataError with file:line where a sentence violates the scheme; otherwise rewrite it if asked to."""
        for files in read.values():
            for path, sentences in files:
                rows = sentences.columns[column]
                for number, tags in enumerate(rows):
                    violation = check(tags, scheme)
                    if violation is not None:
                        position, message = violation
                        line = sentences.lines[number] + position
                        raise DataError(
                            f"{path}:{line}: column {column!r} violates scheme {scheme!r}: {message}; mend the file, "
                            "or name its scheme with 'scheme' ('none' takes the tags as they are)"
                        )
                    if self.convert_to != "none":
                        rows[number] = convert(tags, scheme, self.convert_to)
