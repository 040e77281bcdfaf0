"""SCAN: commands and the actions that they ask for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqapps.data.sources.reading import lines_of, split_files
from seqapps.data.sources.source import Places, Source
from seqapps.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["Scan"]

_LINE = re.compile(r"\s*IN:(?P<tokens>.*\S.*?)\sOUT:(?P<target>.*\S.*)")


class Scan(Source):
    """Commands and their actions (Lake and Baroni 2018, arXiv 1711.00350); columns `tokens` and `target`, as text.

        IN: jump twice and walk OUT: I_JUMP I_JUMP I_WALK

    A pair a line, UTF-8, plain or .gz, .xz, .bz2; a folder is read file after file, empty lines are skipped. Which
    generalisation is tested lies in the choice of files: `tasks_train_simple` and `tasks_test_simple` are drawn at
    random, `tasks_test_length` asks for more actions than any command in training.

    Fields:
        train, validation, test: a file or folder for each split.
    """

    def __init__(self, *, train: str | None = None, validation: str | None = None, test: str | None = None):
        self.named = {"train": train, "validation": validation, "test": test}

    def files(self, places: Places) -> list[Path]:
        return [file for files in split_files(places, self.named).values() for file in files]

    def load(self, places: Places, splits: Sequence[str] | None = None) -> dict[str, Dataset]:
        from datasets import Dataset

        wanted = split_files(places, self.named, splits=splits)
        read = {split: [pair for file in files for pair in _pairs(file)] for split, files in wanted.items()}
        return {
            split: Dataset.from_dict({"tokens": [command for command, _ in rows], "target": [to for _, to in rows]})
            for split, rows in read.items()
        }


def _pairs(path: Path) -> list[tuple[str, str]]:
    pairs = []
    for number, line in lines_of(path):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise DataError(f"{path}:{number}: {line[:40]!r} is no pair; expected IN: command OUT: ACTIONS")
        pairs.append((found["tokens"].strip(), found["target"].strip()))
    if not pairs:
        raise DataError(f"{path}: no pairs in the file")
    return pairs
