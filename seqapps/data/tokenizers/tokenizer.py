"""What a tokenizer promises."""

from __future__ import annotations

import abc
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

__all__ = ["Normalization", "Tokenizer"]

Normalization = Literal["none", "NFC", "NFKC"]


class Tokenizer(abc.ABC):
    """Turns a line of text into tokens, and tokens into text.

    One that has to be trained does so inside a run, on the texts of the training split; what it has learnt is saved
    with the run.

    Args:
        normalization: Unicode normal form that texts are brought to first; `none` leaves every character as it is.

    Attributes:
        trained: must `fit` or `load_json` come first?
        shared: is one tokenizer trained on all columns that have the same?
    """

    trained: ClassVar[bool] = False
    shared = False

    def __init__(self, *, normalization: Normalization = "none"):
        self.normalization = normalization

    def tokenize(self, text: str) -> list[str]:
        """The tokens of `text`, [] if there are none."""
        return self.split(self.normalized(text))

    def normalized(self, text: str) -> str:
        """`text` in the normal form that was asked for."""
        return text if self.normalization == "none" else unicodedata.normalize(self.normalization, text)

    @abc.abstractmethod
    def split(self, text: str) -> list[str]:
        """The tokens of a text that is normalised already."""

    @abc.abstractmethod
    def detokenize(self, tokens: Iterable[str]) -> str:
        """A text with these tokens: where they come from `tokenize`, one that gives the same tokens again."""

    def fit(self, texts: Iterable[str]) -> None:  # noqa: B027
        """Learn from the texts of the training split; a tokenizer that only follows rules does not read them."""

    def to_json(self) -> dict[str, Any]:
        """What was learnt, for `load_json`."""
        return {}

    def load_json(self, saved: Mapping[str, Any]) -> None:  # noqa: B027
        """Take up what `to_json` gave."""
