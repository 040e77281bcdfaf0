"""Texts cut to a number of tokens that a model reads of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from seqapps.data.batch import Rows
from seqapps.data.resources import FormColumn
from seqapps.data.several import Column

__all__ = ["Kept", "Shortening"]

Kept = Literal["first", "last", "both"]


@dataclass(frozen=True)
class Shortening:
    """Of a text of more than `max_length` tokens so many are kept: the first, the last, or both halves of them.

    With `both` an odd one is the first half's. A shorter text stays as it is.
    """

    max_length: int
    kept: Kept

    def of(self, columns: Mapping[str, Column], texts: Collection[str]) -> tuple[dict[str, Column], int]:
        """All columns, those in `texts` cut, and how many examples are longer."""
        cut = dict(columns)
        longer = 0
        for name in texts:
            column = columns[name]
            assert isinstance(column, FormColumn), name
            longer = int((column.lengths > self.max_length).sum())
            cut[name] = FormColumn(column.forms, self._rows(column.numbers))
        return cut, longer

    def _rows(self, rows: Rows) -> Rows:
        M, n = self.max_length, np.repeat(rows.lengths, rows.lengths)  # of the text that each position is in
        at = np.arange(len(n)) - np.repeat(rows.offsets[:-1] - rows.offsets[0], rows.lengths)
        tail = {"first": 0, "last": M, "both": M // 2}[self.kept]
        kept = (at < M - tail) | (at >= n - tail) | (n <= M)
        values = rows.values[rows.offsets[0] : rows.offsets[-1]][kept]
        return Rows(values, np.concatenate([[0], np.cumsum(np.minimum(rows.lengths, M))]))

    def note(self, longer: int, where: str) -> str:
        """What a reader should know where so many texts were longer."""
        half = self.max_length // 2
        both = f"{self.max_length - half} first and {half} last"
        kept = both if self.kept == "both" else f"{self.max_length} {self.kept}"
        texts = "1 text of {} is" if longer == 1 else f"{longer} texts of {{}} are"
        return f"{texts.format(where)} longer than {self.max_length} tokens, of which the {kept} are read"
