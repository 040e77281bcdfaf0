"""The text that is read, as a model sees it that may write its tokens, known to the vocabulary or not."""

from __future__ import annotations

import numpy as np

from seqapps.data.batch import Rows
from seqapps.data.resources import FormColumn
from seqapps.data.vocabulary import UNK, Vocabulary

__all__ = ["Pointers"]


class Pointers:
    """A source in numbers of the vocabulary of the text to be written, which has V symbols.

    A token that the vocabulary knows has its number there; the others of a row are numbered V, V + 1, ... in the order
    in which they come, equal ones alike. So a row's numbers depend on nothing but the row. Tokens of source and target
    are equal if they are the same string, each as its own tokenizer made it; what a model looks up in lower case has
    its case here.

        vocabulary <pad> <unk> <bos> <eos> in saw      V = 6
        source     Ann saw Bob in Bern , Ann           6 5 7 4 8 9 6

    Attributes:
        rows: the numbers of every row.
    """

    def __init__(self, source: FormColumn, vocabulary: Vocabulary, *, lowercase: bool = False):
        self._vocabulary, self._lowercase = vocabulary, lowercase
        self._unknown: dict[int, dict[str, int]] = {}  # row -> token -> its number
        forms, values, strangers = self._looked_up(source)
        for row, at in strangers:
            of_row = self._unknown.setdefault(row, {})
            values[at] = of_row.setdefault(forms[source.numbers.values[at]], len(vocabulary) + len(of_row))
        self.rows = Rows(values, source.numbers.offsets)

    def unknown(self, row: int) -> tuple[str, ...]:
        """The tokens of a row that have the numbers V, V + 1, ..."""
        return tuple(self._unknown.get(row, ()))

    def targets(self, target: FormColumn) -> Rows:
        """Texts to be written in the same numbers; what neither vocabulary nor source knows is `<unk>`."""
        forms, values, strangers = self._looked_up(target)
        values[values < 0] = self._vocabulary[UNK]
        for row, at in strangers:
            found = self._unknown.get(row, {}).get(forms[target.numbers.values[at]])
            if found is not None:
                values[at] = found
        return Rows(values, target.numbers.offsets)

    def _looked_up(self, column: FormColumn) -> tuple[list[str], np.ndarray, list[tuple[int, int]]]:
        """A column's forms, its values in numbers, -1 = unknown, and row and place of each unknown one."""
        forms = [form.lower() for form in column.forms] if self._lowercase else column.forms
        values = self._vocabulary.numbers(forms, missing=-1)[column.numbers.values]
        offsets = column.numbers.offsets
        places = offsets[0] + np.flatnonzero(values[offsets[0] : offsets[-1]] < 0)
        rows = np.searchsorted(offsets, places, side="right") - 1
        return forms, values, list(zip(rows.tolist(), places.tolist(), strict=True))
