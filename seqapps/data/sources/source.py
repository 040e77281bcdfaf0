"""What a source of data promises."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from seqapps.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["Places", "Source"]


@dataclass(frozen=True)
class Places:
    """Where relative file names of a recipe are looked for: first `data_root`, then the recipe's folder."""

    recipe_folder: Path = field(default_factory=Path.cwd)
    data_root: Path | None = None

    def candidates(self, name: str) -> list[Path]:
        """Every place where `name` may stand, first choice first."""
        path = Path(name).expanduser()
        if path.is_absolute():
            return [path]
        return [root / path for root in (self.data_root, self.recipe_folder) if root is not None]

    def find(self, name: str) -> Path:
        """The first candidate that exists; DataError naming all of them if there is none."""
        candidates = self.candidates(name)
        for path in candidates:
            if path.exists():
                return path
        tried = " and ".join(str(path) for path in candidates)
        raise DataError(f"{name}: no such file; looked for {tried}; give --data-root DIR or an absolute path")


class Source(abc.ABC):
    """Yields the splits of one corpus, each a `datasets.Dataset`, with the hub's column names.

    A source is constructed from recipe fields only and opens nothing until `load`.
    """

    licence: ClassVar[str | None] = None  # said in every report made from the source
    warning: ClassVar[str | None] = None  # shown at the start of a run, for example a contested licence

    @property
    def recognised(self) -> dict[str, str]:
        """What `load` found out about its files, column -> tag scheme; kept with a run for files read later."""
        return {}

    @property
    def notes(self) -> list[str]:
        """What `load` met in its files that a reader of the report should know, a sentence each."""
        return []

    @abc.abstractmethod
    def load(self, places: Places, splits: Sequence[str] | None = None) -> dict[str, Dataset]:
        """Read the data: split name ("train", "validation", "test") to Dataset.

        With `splits`, only those (and only those that the source has) need be read.
        Raises DataError with file:line, or split and row.
        """

    def files(self, places: Places) -> list[Path]:
        """The files that `load` would read; [] where the data comes from elsewhere.

        Raises DataError if one is missing.
        """
        return []
