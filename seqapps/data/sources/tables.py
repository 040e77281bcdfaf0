"""Tables: one example a row, in csv, tsv, JSON or parquet files."""

from __future__ import annotations

import bisect
import csv
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seqapps.data.sources.builders import without_progress_bars
from seqapps.data.sources.reading import COMPRESSED, bare_suffix, lines_of, split_files
from seqapps.data.sources.source import Places, Source
from seqapps.errors import DataError, close_match

if TYPE_CHECKING:
    import pyarrow
    from datasets import Dataset

__all__ = ["Tables"]

FORMATS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "json", ".json": "json", ".parquet": "parquet"}
_SEPARATORS = {"csv": ",", "tsv": "\t"}
_BATCH = 10_000  # rows that are Python objects at a time; the rest is Arrow

Numbered = Iterator[tuple[int, Any]]  # line number and what stands there


class Tables(Source):
    """Files with one example a row: .csv, .tsv, .jsonl or .json, .parquet.

    Text files are UTF-8, plain or .gz, .xz, .bz2. A folder is read file after file, those with one of these endings.

    The first line of a csv or tsv file names the columns. Their cells are text and stay as they are written: "NA" is
    two letters, "007" is no number, an empty cell is "". That is why they are not read by `datasets`, whose reader
    guesses types and fills short rows; here a row with too few or too many cells is an error with file and line.
    JSON files hold one object a line, or one list of objects; lists and objects inside (`translation: {de: ..., en:
    ...}`) are kept, a key that a row lacks is missing there (null). Parquet goes through `datasets` and its cache.

    Fields:
        train, validation, test: a file or folder for each split.
        format: of the files; auto = by their ending.
        quotes: double = a csv or tsv cell in double quotes may hold separators, line breaks and doubled quotes (RFC
            4180); none = a quote is a character like any other; auto = double in csv, none in tsv.
        names: columns of csv and tsv files whose first line is a row already; empty = the first line names them.
        lists: columns whose text is a list, its items separated by white space; what is a list already stays.
    """

    def __init__(
        self,
        *,
        train: str | None = None,
        validation: str | None = None,
        test: str | None = None,
        format: Literal["auto", "csv", "tsv", "json", "parquet"] = "auto",
        quotes: Literal["auto", "double", "none"] = "auto",
        names: list[str] = [],  # noqa: B006
        lists: list[str] = [],  # noqa: B006
    ):
        self.named = {"train": train, "validation": validation, "test": test}
        self.format, self.quotes, self.names, self.lists = format, quotes, names, lists

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Names differ; what is a list is among them, if they are given."""
        names, faults = fields["names"], []
        if len(set(names)) < len(names):
            faults.append(("names", f"names are {names}; each column needs a name of its own"))
        for unknown in [name for name in fields["lists"] if names and name not in names]:
            faults.append(("lists", f"{unknown!r} is not among the names {names}"))
        return faults

    def files(self, places: Places) -> list[Path]:
        return [file for files in self._split_files(places).values() for file in files]

    def load(self, places: Places, splits: Sequence[str] | None = None) -> dict[str, Dataset]:
        return {split: self._read(files) for split, files in self._split_files(places, splits).items()}

    def _split_files(self, places: Places, splits: Sequence[str] | None = None) -> dict[str, list[Path]]:
        endings = [ending for ending, format in FORMATS.items() if self.format in ("auto", format)]
        return split_files(places, self.named, endings, splits)

    def _read(self, files: Sequence[Path]) -> Dataset:
        formats = {self._format_of(file): file for file in files}
        if len(formats) > 1:
            raise DataError(f"{files[0].parent}: holds {' and '.join(sorted(formats))} files; keep one format a split")
        format = next(iter(formats))
        dataset = _read_parquet(files) if format == "parquet" else self._read_text(files, format)
        for name in self.lists:
            if name not in dataset.column_names:
                hint = close_match(name, dataset.column_names)
                raise DataError(f"{files[0]}: no column {name!r} to make lists of{hint}")
        return _with_lists(dataset, self.lists) if format == "parquet" else dataset

    def _format_of(self, file: Path) -> str:
        suffix = bare_suffix(file)
        if self.format == "auto" and suffix not in FORMATS:
            raise DataError(f"{file}: the ending {suffix!r} says no format; set 'format', or use {', '.join(FORMATS)}")
        return FORMATS[suffix] if self.format == "auto" else self.format

    def _read_text(self, files: Sequence[Path], format: str) -> Dataset:
        import pyarrow as pa
        from datasets import Dataset

        tables = [table for file in files for table in self._batches(file, format)]
        try:
            return Dataset(pa.concat_tables(tables, promote_options="permissive"))
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError(f"{files[0]}: a column changes its type between rows or files ({error})") from error

    def _batches(self, path: Path, format: str) -> Iterator[pyarrow.Table]:
        """The rows of a file as Arrow tables. DataError if it has none."""
        rows = _json_rows(path) if format == "json" else self._cell_rows(path, format)
        batch = list(itertools.islice(rows, _BATCH))
        if not batch:
            raise DataError(f"{path}: no rows in the file")
        while batch:
            yield _as_table(path, batch, self.lists)
            batch = list(itertools.islice(rows, _BATCH))

    def _cell_rows(self, path: Path, format: str) -> Numbered:
        """Rows of a csv or tsv file: column -> cell."""
        separator = _SEPARATORS[format]
        quoted = self.quotes == "double" or (self.quotes == "auto" and format == "csv")
        rows = _quoted_cells(path, separator) if quoted else _plain_cells(path, separator)
        names = self.names
        for number, cells in rows:
            if not names:
                names = cells
                if not all(names) or len(set(names)) < len(names):
                    raise DataError(
                        f"{path}:{number}: the first line names the columns {', '.join(map(repr, names))}, expected a "
                        "name of its own for each; set 'names' if the line is a row"
                    )
                continue
            if len(cells) != len(names):
                near = "is a text with a comma not in quotes?" if format == "csv" else "is a tab missing, or too many?"
                raise DataError(
                    f"{path}:{number}: {len(cells)} columns, expected {len(names)} ({', '.join(names)}); {near}"
                )
            yield number, dict(zip(names, cells, strict=True))


def _plain_cells(path: Path, separator: str) -> Numbered:
    return ((number, line.split(separator)) for number, line in lines_of(path) if line)


def _quoted_cells(path: Path, separator: str) -> Numbered:
    """Cells by RFC 4180, with the number of the line on which their row begins."""
    reader = csv.reader((line + "\n" for _, line in lines_of(path)), delimiter=separator, strict=True)
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{path}:{start}: {error}; is a quote left open, or not doubled inside a quoted cell? quotes: none "
                "takes quotes as characters"
            ) from error
        if cells:
            yield start, cells


def _json_rows(path: Path) -> Numbered:
    """The objects of a JSON file: one a line, or one list of them, whose rows then count from 1."""
    lines = ((number, line) for number, line in lines_of(path) if line.strip())
    first = next(lines, None)
    if first is None:
        return
    numbered: Iterable[tuple[int, Any]]
    if first[1].lstrip().startswith("["):
        text = "\n".join([first[1], *(line for _, line in lines)])
        numbered = enumerate(_json(f"{path}", text), 1)
    else:
        numbered = ((number, _json(f"{path}:{number}", line)) for number, line in itertools.chain([first], lines))
    for number, row in numbered:
        if not isinstance(row, dict):
            raise DataError(f'{path}:{number}: {json.dumps(row)[:40]} is no object; expected {{"column": value, ...}}')
        yield number, row


def _json(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{where}: not JSON ({error}); expected an object a line, or one list of objects in the file"
        ) from None


def _as_table(path: Path, batch: Sequence[tuple[int, dict[str, Any]]], lists: Sequence[str]) -> pyarrow.Table:
    import pyarrow as pa

    columns = {}
    for name in dict.fromkeys(name for _, row in batch for name in row):
        values = [row.get(name) for _, row in batch]
        if name in lists:
            values = [value.split() if isinstance(value, str) else value for value in values]
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            row = _first_misfit(values, pa.array)
            shown = json.dumps(values[row], ensure_ascii=False)[:40]
            raise DataError(
                f"{path}:{batch[row][0]}: column {name!r} holds {shown}, of another type than in the rows before"
            ) from None
    return pa.table(columns)


def _first_misfit(values: Sequence[Any], convert: Callable[[Sequence[Any]], Any]) -> int:
    """The first position up to which `values` cannot be converted."""

    def fails(end: int) -> bool:
        try:
            convert(values[: end + 1])
        except Exception:
            return True
        return False

    return bisect.bisect_left(range(len(values)), True, key=fails)


def _read_parquet(files: Sequence[Path]) -> Dataset:
    import pyarrow as pa
    from datasets import Dataset
    from datasets.exceptions import DatasetGenerationError
    from pyarrow import parquet

    for file in files:
        if file.suffix in COMPRESSED:
            raise DataError(f"{file}: parquet files are compressed inside; unpack this one")
        try:
            parquet.read_schema(file)
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"{file}: cannot be read as parquet ({error})") from error
    try:
        with without_progress_bars():
            return Dataset.from_parquet([str(file) for file in files])
    except (DatasetGenerationError, pa.ArrowInvalid, OSError, ValueError) as error:
        raise DataError(f"{files[0]}: cannot be read as parquet ({error.__cause__ or error})") from error


def _with_lists(dataset: Dataset, names: Sequence[str]) -> Dataset:
    for name in names:
        column = dataset[name]
        if any(isinstance(value, str) for value in column):
            values = [value.split() if isinstance(value, str) else value for value in column]
            dataset = dataset.remove_columns(name).add_column(name, values)
    return dataset
