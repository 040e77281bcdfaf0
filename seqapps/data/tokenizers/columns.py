"""The tokenizers of a recipe, one for each column of text."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from seqapps.data.tokenizers.rules import Whitespace
from seqapps.data.tokenizers.tokenizer import Tokenizer
from seqapps.errors import DataError, close_match
from seqapps.recipe.components import read_components
from seqapps.recipe.dumping import dump_value
from seqapps.recipe.spec import Spec

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["ColumnTokenizers"]


class ColumnTokenizers:
    """Column -> its tokenizer. Columns with equal ones have one in common only if it says so (`shared`)."""

    def __init__(self, specs: Mapping[str, Spec]):
        self._specs = dict(specs)
        self._tokenizers: dict[str, Tokenizer] = {}
        for column, spec in self._specs.items():
            equal = (self._tokenizers[other] for other in self._tokenizers if self._specs[other] == spec)
            same = next(equal, None)
            self._tokenizers[column] = same if same is not None and same.shared else spec.build()

    @classmethod
    def of(cls, default: Spec, own: Mapping[str, Spec], columns: Collection[str]) -> ColumnTokenizers:
        """Those of the columns of text that a model reads and writes; DataError if another one has its own."""
        for unknown in own.keys() - set(columns):
            hint = close_match(unknown, columns)
            raise DataError(f"data.tokenizers: the model reads and writes no text column {unknown!r}{hint}")
        return cls({column: own.get(column, default) for column in columns})

    def __getitem__(self, column: str) -> Tokenizer:
        return self._tokenizers[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tokenizers)

    @property
    def first(self) -> Tokenizer:
        """That of the first column, which texts that are typed go through."""
        return next(iter(self._tokenizers.values()), Whitespace())

    def fit(self, train: Dataset, several: Collection[str] = ()) -> None:
        """Train those that have to be, on the texts of the training split.

        Args:
            several: columns whose rows are lists of texts.

        Raises:
            DataError: a column is in tokens already, or its texts are too few for what is to be learnt.
        """
        trained = {column: self[column] for column in self if self[column].trained}
        texts = {column: self._texts(train, column, column in several) for column in trained}
        for tokenizer in dict.fromkeys(trained.values()):
            columns = [column for column, one in trained.items() if one is tokenizer]
            try:
                tokenizer.fit(text for column in columns for text in texts[column])
            except DataError as error:
                raise DataError(f"column {' and '.join(map(repr, columns))}: {error}") from error

    def _texts(self, train: Dataset, column: str, several: bool) -> list[str]:
        rows = [row if several and isinstance(row, list) else [row] for row in train[column][:]]
        texts = [text for row in rows for text in row if text is not None]  # a missing one is told when it is read
        if not all(isinstance(text, str) for text in texts):
            raise DataError(
                f"split 'train': column {column!r} is in tokens already, and tokenizer {self._specs[column].name!r} "
                "learns from texts; give texts, or another tokenizer"
            )
        return texts

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {
            column: {"tokenizer": dump_value(self._specs[column]), "learnt": self[column].to_json()} for column in self
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> ColumnTokenizers:
        """The tokenizers that `to_json` described, trained."""
        specs = {column: read_components("tokenizers", one["tokenizer"], column)[0] for column, one in saved.items()}
        tokenizers = cls(specs)
        for column, one in saved.items():
            tokenizers[column].load_json(one["learnt"])
        return tokenizers
