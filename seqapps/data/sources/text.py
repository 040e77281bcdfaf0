"""Files with a text or a sentence a line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from seqapps.data.sources.reading import lines_of, split_files
from seqapps.data.sources.source import Places, Source
from seqapps.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["Text"]

_HEADING = re.compile(r"\s*(=( =)*) [^=].* \1\s*")


class Text(Source):
    """Files with a text, a paragraph or a sentence a line, as language models read them; column `tokens`, as text.

    Files are UTF-8, plain or .gz, .xz, .bz2; a folder is read file after file. Lines stay as they are written; the
    recipe's tokenizer splits them. In Penn Treebank every line is a sentence. WikiText has a paragraph a line, empty
    lines between them and headings (` = Title = `, ` = = Section = = `); published perplexities count all of that, an
    end mark for every line, empty ones included: `empty: keep`. Sentence by sentence models want neither: `empty:
    drop, headings: drop`. What is dropped is counted in the report.

    Fields:
        train, validation, test: a file or folder for each split.
        empty: lines without text; keep = each is a text of no tokens.
        headings: lines like ` = Title = `.
    """

    def __init__(
        self,
        *,
        train: str | None = None,
        validation: str | None = None,
        test: str | None = None,
        empty: Literal["drop", "keep"] = "drop",
        headings: Literal["drop", "keep"] = "keep",
    ):
        self.named = {"train": train, "validation": validation, "test": test}
        self.empty, self.headings = empty, headings
        self._notes: list[str] = []

    @property
    def notes(self) -> list[str]:
        return self._notes

    def files(self, places: Places) -> list[Path]:
        return [file for files in split_files(places, self.named).values() for file in files]

    def load(self, places: Places, splits: Sequence[str] | None = None) -> dict[str, Dataset]:
        from datasets import Dataset

        self._notes = []
        wanted = split_files(places, self.named, splits=splits)
        return {split: Dataset.from_dict({"tokens": self._texts(split, files)}) for split, files in wanted.items()}

    def _texts(self, split: str, files: Sequence[Path]) -> list[str]:
        """The lines that are kept. DataError if a file has none."""
        texts: list[str] = []
        empty = headings = 0
        for file in files:
            before = len(texts)
            for _, line in lines_of(file):
                if self.empty == "drop" and not line.strip():
                    empty += 1
                elif self.headings == "drop" and _HEADING.fullmatch(line):
                    headings += 1
                else:
                    texts.append(line)
            if not any(map(str.strip, texts[before:])):
                raise DataError(f"{file}: no texts in the file, only lines that are empty or headings")
        for count, what in ((empty, "empty lines"), (headings, "headings")):
            if count:
                self._notes.append(f"{count} {what} of {split} were left out")
        return texts
