"""A split as numbers: columns looked up in vocabularies once, batches cut from flat arrays."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from seqapps.data.arrays import ArrayColumn
from seqapps.data.batch import Batch, Field, Rows
from seqapps.data.dataset import check_aligned, column_of_lists, column_of_values
from seqapps.data.pointers import Pointers
from seqapps.data.requests import Request, source_of, written_columns
from seqapps.data.resources import FormColumn, Resources
from seqapps.data.several import REFERENCE_TOKENS, REFERENCES, Column, TextsColumn
from seqapps.data.vocabulary import BOS, EOS, PAD, UNK, Vocabulary
from seqapps.errors import DataError, close_match

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["IndexedSplit", "read_forms"]


def read_forms(
    dataset: Dataset,
    columns: Sequence[str],
    split: str,
    single: Collection[str] = (),
    written: Collection[str] = (),
) -> dict[str, FormColumn]:
    """The columns of a split by their forms; those in `single` hold one value per row, the others a list each.

    Raises DataError where lists of one row differ in length; those in `written` may have any length.
    """
    read, offsets = {}, {}
    for column in columns:
        if column in single:
            flat = column_of_values(dataset, column, split)
            ends = np.arange(len(flat) + 1)
        else:
            flat, ends = column_of_lists(dataset, column, split)
            if column not in written:
                offsets[column] = ends
        coded = flat.dictionary_encode()
        read[column] = FormColumn(coded.dictionary.to_pylist(), Rows(np.asarray(coded.indices, np.int64), ends))
    if offsets:
        check_aligned(offsets, split)
    return read


class IndexedSplit:
    """A split ready for batching.

    Args:
        columns: `read_forms` of the split, and `seqapps.data.arrays.read_arrays`.
        resources: what the model asked for, built from the training split. A label column that this split lacks is left
            out (prediction).
        name: of the split, for messages.

    Attributes:
        lengths: (N,) tokens per example. Where no text is read: vectors, or squares of 8 pixels of an image, and one
            more than the tokens to be written.
        unknown_labels: key -> labels that training never saw, with their counts; they are numbered -1 and must not be
            trained on.
    """

    def __init__(self, columns: Mapping[str, Column], resources: Resources, name: str):
        self.columns, self.resources, self.name = columns, resources, name
        self.lengths = _lengths(columns, resources)
        self.unknown_labels: dict[str, dict[str, int]] = {}
        self._rows: dict[str, Rows] = {}
        self._characters: dict[str, Rows] = {}
        self._arrays: dict[str, ArrayColumn] = {}
        self._pointers: dict[str, Pointers] = {}
        self._pointed: dict[str, Rows] = {}  # what follows, where it may be numbered beyond the vocabulary
        for key, request in resources.requests.items():
            column = columns.get(request.column)
            if request.pointed:
                self._point(key, request, column)
            if column is None:
                if not request.is_target:
                    raise DataError(f"split {name!r}: no column {request.column!r}")
                continue
            if isinstance(column, ArrayColumn):
                self._take(key, request, column)
            else:
                assert isinstance(column, FormColumn), request.column
                if request.level == "features":
                    texts = (self.strings(request.column, row) for row in range(len(self)))
                    values = resources.features[key].of(texts)
                    self._arrays[key] = ArrayColumn(values, np.arange(len(self) + 1), np.arange(len(self)))
                else:
                    self._number(key, request, column.ngrams(request.order), resources.vocabularies[key])

    def _take(self, key: str, request: Request, column: ArrayColumn) -> None:
        trained = self.resources.sizes.get(key, request.size)
        if column.size != trained:
            raise DataError(
                f"split {self.name!r}: column {request.column!r} holds vectors of {column.size} numbers, the model "
                f"reads vectors of {trained}"
            )
        self._arrays[key] = column

    def _number(self, key: str, request: Request, column: FormColumn, vocabulary: Vocabulary) -> None:
        forms = [form.lower() for form in column.forms] if request.lowercase else column.forms
        if request.level == "character":
            unknown = vocabulary[UNK]
            spelled = forms if request.frame == "none" else [*forms, ""]
            self._characters[key] = Rows.from_lists(
                [vocabulary.numbers(_shortened(form, request.max_length), missing=unknown).tolist() for form in spelled]
            )
            framed = column.numbers if request.frame == "none" else column.numbers.framed(len(forms), None)
            self._rows[key] = framed
            return
        table = vocabulary.numbers(forms, missing=-1 if request.is_label else None)
        if request.declared:
            self._check_declared(request, column, table)
        elif request.is_label:
            frequencies = column.frequencies()
            unseen = {form: frequencies[form] for form, number in zip(column.forms, table, strict=True) if number < 0}
            if unseen:
                self.unknown_labels[key] = unseen
        rows = Rows(table[column.numbers.values], column.numbers.offsets)
        if request.frame != "none":
            first = BOS if request.frame == "sentence" else EOS  # a stream has no other mark
            rows = rows.framed(vocabulary[first], vocabulary[EOS])
        self._rows[key] = rows

    def _point(self, key: str, request: Request, target: Column | None) -> None:
        """Number the text that is read, and, where it is known, what is to be written, by the latter's vocabulary."""
        vocabulary, source = self.resources.vocabularies[key], self.columns[self.token_column]
        assert isinstance(source, FormColumn), self.token_column
        self._pointers[key] = pointers = Pointers(source, vocabulary, lowercase=request.lowercase)
        if target is not None:
            assert isinstance(target, FormColumn), request.column
            self._pointed[key] = pointers.targets(target).framed(vocabulary[BOS], vocabulary[EOS])

    def _check_declared(self, request: Request, column: FormColumn, table: np.ndarray) -> None:
        """DataError naming the first row with a label that is not declared, by `table` the number of every form."""
        undeclared = np.flatnonzero(table[column.numbers.values] < 0)
        if len(undeclared):
            row = int(np.searchsorted(column.numbers.offsets, undeclared[0], side="right"))
            label = column.forms[column.numbers.values[undeclared[0]]]
            raise DataError(
                f"split {self.name!r}, row {row}: {request.column} is {label!r}, which is not declared in labels"
                f"{close_match(label, request.declared)} ({len(undeclared)} such labels in the split)"
            )

    def __len__(self) -> int:
        return len(self.lengths)

    def strings(self, column: str, row: int) -> list[str]:
        """The strings of one row of a column."""
        read = self.columns[column]
        assert isinstance(read, FormColumn), column
        return [read.forms[i] for i in read.numbers[row]]

    def source(self, row: int) -> list[str]:
        """The tokens that are read in a row; none if the model reads no text."""
        return self.strings(self.token_column, row) if self.resources.input_columns else []

    def references(self, column: str, row: int) -> tuple[list[str], list[list[str]]]:
        """The texts any of which might be written for a row, as they were written and in tokens.

        Where the data holds one text a row, in tokens, it is that one, its tokens joined by blanks.
        """
        tokens = self.columns.get(REFERENCE_TOKENS)
        if not isinstance(tokens, TextsColumn):
            only = self.strings(column, row)
            return [" ".join(only)], [only]
        return self.strings(REFERENCES, row), tokens[row]

    @property
    def token_column(self) -> str:
        """The column that holds what is labelled."""
        return self.resources.token_column

    def batch(self, examples: np.ndarray) -> Batch:
        """The chosen examples as padded tensors, on the CPU."""
        fields: dict[str, Field] = {}
        for key in self.resources.requests:
            if key in self._arrays:
                fields[key] = self._arrays[key].field(examples)
            if key not in self._rows:
                continue
            rows = self._rows[key]
            values, lengths = map(torch.from_numpy, rows.padded(examples))
            if key in self._characters:
                fields[key] = self.spelled(key, values, lengths)
            elif self.resources.requests[key].frame != "none":
                fields[key] = _written_field(values, lengths)
            else:
                fields[key] = Field(values, lengths)
        for key, pointers in self._pointers.items():
            values, lengths = map(torch.from_numpy, pointers.rows.padded(examples))
            unknown = tuple(pointers.unknown(int(row)) for row in examples)
            fields[source_of(key)] = Field(values, lengths, unknown=unknown)
            if key in fields:
                following = torch.from_numpy(self._pointed[key].padded(examples)[0])[:, 1:].contiguous()
                fields[key] = fields[key]._replace(following=following)
        return Batch(fields, examples)

    def numbers(self, key: str) -> Rows:
        """Every row as numbers, with its marks if it has any."""
        return self._rows[key]

    def spelled(self, key: str, forms: torch.Tensor, lengths: torch.Tensor) -> Field:
        """A character field: positions (B, T) hold forms of the split, those beyond `lengths` are padding."""
        used, inverse = np.unique(forms.numpy()[_real(forms, lengths)], return_inverse=True)
        index = np.zeros(tuple(forms.shape), np.int64)
        index[_real(forms, lengths)] = inverse
        characters, character_lengths = self._characters[key].padded(used)
        spelled = Field(torch.from_numpy(characters), torch.from_numpy(character_lengths))
        return Field(torch.from_numpy(index), lengths, spelled)


def _lengths(columns: Mapping[str, Column], resources: Resources) -> np.ndarray:
    if resources.input_columns:
        return columns[resources.token_column].lengths
    read = [columns[r.column].lengths for r in resources.requests.values() if r.is_array]
    written = [columns[c].lengths + 1 for c in written_columns(resources.requests) if c in columns]
    return np.sum([*read, *written], axis=0)


def _real(values: torch.Tensor, lengths: torch.Tensor) -> np.ndarray:
    """(B, T): which positions are no padding."""
    return np.arange(values.shape[1]) < lengths.numpy()[:, None]


def _written_field(framed: torch.Tensor, lengths: torch.Tensor) -> Field:
    """What is read and what follows, from rows that have a mark at either end."""
    read = framed[:, :-1].masked_fill(torch.from_numpy(~_real(framed, lengths - 1)[:, :-1]), 0)
    return Field(read, lengths - 1, following=framed[:, 1:].contiguous())


def _shortened(form: str, max_length: int | None) -> str:
    """A form's characters; of a longer one its first and last halves. An empty form is one padding symbol."""
    if not form:
        return PAD[:1]
    if max_length is None or len(form) <= max_length:
        return form
    tail = max_length // 2
    return form[: max_length - tail] + form[len(form) - tail :]
