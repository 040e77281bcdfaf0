"""Every error that seqapps raises on purpose.

    SeqappsError             something failed                                        exit code 1
    ├── TrainingError        training cannot go on (a loss that is not finite, ...)  exit code 1
    └── UseError             the caller can mend it                                  exit code 2
        ├── RecipeError      a recipe has faults; carries all of them at once
        ├── ComponentError   an unknown name, a name owned twice, a plugin that cannot be imported
        ├── DataError        a file, column, split or line that does not fit
        ├── ShapeError       a tensor or size that does not fit
        └── RunError         a run folder that is missing, locked, taken or made by something not installed

A message is one line: `where: what is wrong; what to do`. The command line prints it without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = [
    "ComponentError",
    "DataError",
    "Fault",
    "RecipeError",
    "RunError",
    "SeqappsError",
    "ShapeError",
    "TrainingError",
    "UseError",
    "close_match",
]


class SeqappsError(Exception):
    """Base of all errors raised on purpose."""

    exit_code = 1


class TrainingError(SeqappsError):
    """Training cannot go on; what was saved before stays usable."""


class UseError(SeqappsError):
    """Wrong use, wrong recipe or wrong data: the caller can mend it."""

    exit_code = 2


class ComponentError(UseError):
    """A component that is not known, is owned twice, breaks its contract or cannot be imported."""


class DataError(UseError):
    """Data that is not there or does not fit; the message names file and line, or split and row."""


class ShapeError(UseError, ValueError):
    """A tensor or a size that does not fit."""


class RunError(UseError):
    """A run folder that cannot be used as asked."""


class Fault(NamedTuple):
    """One fault of a recipe: `where` it stands (`file:line:column` or `--set key`) and what is wrong."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class RecipeError(UseError):
    """All faults of a recipe, one a line, in the order in which they stand in the file."""

    def __init__(self, faults: Sequence[Fault]):
        self.faults = list(faults)
        super().__init__("\n".join(map(str, self.faults)))


def close_match(word: str, known: Iterable[str]) -> str:
    """The end of an error message about an unknown `word`: a suggestion, or the list of what is known.

    >>> close_match("lsmt", ["lstm", "gru"])
    "; did you mean 'lstm'?"
    >>> close_match("transformer", ["lstm", "gru"])
    '; known: gru, lstm'
    """
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    listed = ", ".join(known[:20]) + (f", ... ({len(known)} in all)" if len(known) > 20 else "")
    return f"; known: {listed}" if known else "; none is known"
