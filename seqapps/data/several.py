"""Several texts for one input, any of which would do: captions of an image, translations of a sentence.

A model is trained on each of them, as an example of its own. For evaluation an input counts once; the first text stands
for it where one is needed, and all of them, as they were written, are its references.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from seqapps.data.arrays import ArrayColumn
from seqapps.data.batch import Rows
from seqapps.data.dataset import with_column
from seqapps.data.resources import FormColumn
from seqapps.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = [
    "REFERENCES",
    "REFERENCE_TOKENS",
    "Column",
    "TextsColumn",
    "is_text",
    "lists_texts",
    "unfolded",
    "with_references",
]

REFERENCES = "references"  # the column of texts as they were written
REFERENCE_TOKENS = "reference_tokens"  # the same in tokens


@dataclass(frozen=True)
class TextsColumn:
    """All texts of every row, in tokens: those of row i are `texts` number starts[rows[i]] to starts[rows[i] + 1]."""

    texts: FormColumn
    starts: np.ndarray
    rows: np.ndarray

    def __getitem__(self, row: int) -> list[list[str]]:
        first, end = self.starts[self.rows[row]], self.starts[self.rows[row] + 1]
        return [[self.texts.forms[i] for i in self.texts.numbers[text]] for text in range(first, end)]

    @property
    def lengths(self) -> np.ndarray:
        """(N,) texts of every row."""
        return np.diff(self.starts)[self.rows]

    def taken(self, rows: np.ndarray) -> TextsColumn:
        """With these rows of it as rows."""
        return replace(self, rows=self.rows[rows])


Column = FormColumn | ArrayColumn | TextsColumn


def is_text(dataset: Dataset, column: str) -> bool:
    """Does a column hold a text a row, not yet in tokens?"""
    return getattr(dataset.features[column], "dtype", None) in ("string", "large_string")


def lists_texts(dataset: Dataset, column: str) -> bool:
    """Does a column hold lists of texts in tokens, as `with_references` leaves it?"""
    return hasattr(getattr(dataset.features[column], "feature", None), "feature")


def with_references(
    dataset: Dataset, columns: Collection[str], split: str, tokenize: Callable[[str], list[str]]
) -> Dataset:
    """The `columns`, whose rows are texts or lists of texts, as lists of tokenized texts; the texts as `references`.

    Lists of lists are taken as texts that are tokenized already. Raises DataError for a row without a text.
    """
    from datasets import List, Value

    for column in columns:
        rows = dataset[column][:]
        texts = [[row] if isinstance(row, str) else row for row in rows]
        for number, row in enumerate(texts, 1):
            if not isinstance(row, list) or not row or not all(map(_is_a_text, row)):
                raise DataError(f"split {split!r}, row {number}: column {column!r} holds no text; leave the row out")
        tokens = [[tokenize(text) if isinstance(text, str) else text for text in row] for row in texts]
        written = [[text if isinstance(text, str) else " ".join(text) for text in row] for row in texts]
        raw = f"{column} as text"  # taken out last: without columns there are no rows
        dataset = with_column(dataset.rename_column(column, raw), column, tokens, List(List(Value("string"))))
        if REFERENCES not in dataset.column_names:
            dataset = with_column(dataset, REFERENCES, written, List(Value("string")))
        dataset = dataset.remove_columns(raw)
    return dataset


def _is_a_text(text: Any) -> bool:
    return isinstance(text, str) or (isinstance(text, list) and text != [] and all(isinstance(t, str) for t in text))


def unfolded(read: Mapping[str, Column], dataset: Dataset, column: str, *, every: bool) -> dict[str, Column]:
    """`read` with the column that `with_references` made, one text a row, and all texts of a row as `reference_tokens`.

    Args:
        every: a row for each text, so that what goes with it occurs as often as it has texts; or only for the first.
    """
    import pyarrow as pa

    found = dataset.with_format("arrow")[:].column(column)
    lists: Any = pa.concat_arrays(found.chunks)
    counts = np.asarray(lists.value_lengths(), np.int64)
    texts = lists.flatten()
    ends = np.concatenate([[0], np.cumsum(np.asarray(texts.value_lengths(), np.int64))])
    coded = texts.flatten().dictionary_encode()
    forms = FormColumn(coded.dictionary.to_pylist(), Rows(np.asarray(coded.indices, np.int64), ends))
    owners = np.repeat(np.arange(len(counts)), counts) if every else np.arange(len(counts))
    chosen = np.arange(len(texts)) if every else np.cumsum(counts) - counts
    unfolded: dict[str, Column] = {name: one.taken(owners) for name, one in read.items()}
    texts_of_rows = TextsColumn(forms, np.concatenate([[0], np.cumsum(counts)]), owners)
    return {REFERENCE_TOKENS: texts_of_rows, **unfolded, column: forms.taken(chosen)}
