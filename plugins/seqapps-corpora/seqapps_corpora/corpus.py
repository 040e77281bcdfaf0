"""What the corpora share: their files lie in data packages, and each example knows its split."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from seqapps.data.sources.source import Places, Source
from seqapps_corpora.packages import DataPackage

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["Corpus", "Example", "split_by_digest", "split_by_turn"]

Example = tuple[str, dict[str, Any]]  # split, and column -> value


class Corpus(Source):
    """A source that reads what Python packages ship. Its splits are fixed, so that scores stay comparable."""

    name: ClassVar[str]  # in recipes, and of the extra that installs its packages
    packages: ClassVar[tuple[DataPackage, ...]]

    @abc.abstractmethod
    def examples(self) -> Iterator[Example]:
        """Every example in order, with its split; all have the same columns."""

    def load(self, places: Places, splits: Sequence[str] | None = None) -> dict[str, Dataset]:
        from datasets import Dataset

        rows: dict[str, list[dict[str, Any]]] = {"train": [], "validation": [], "test": []}
        for split, row in self.examples():
            rows[split].append(row)
        return {
            split: Dataset.from_dict({column: [row[column] for row in those] for column in those[0]})
            for split, those in rows.items()
            if those and (splits is None or split in splits)
        }

    def file(self, *parts: str) -> Path:
        """A file or folder of the first package. DataError naming the pip command if it is not installed."""
        return self.packages[0].file(self.name, *parts)


def split_by_digest(text: str) -> str:
    """The split of an example by what it says, so that equal texts are never in two of them.

    The MD5 of the UTF-8 text, read as a number, modulo 10: 0 is test, 1 is validation, the rest train.
    """
    number = int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(), 16)
    return {0: "test", 1: "validation"}.get(number % 10, "train")


def split_by_turn(number: int, period: int, *, validation: int) -> str:
    """The split of document `number`, counted from 0: modulo `period` the last is test, `validation` validation."""
    return {period - 1: "test", validation: "validation"}.get(number % period, "train")
