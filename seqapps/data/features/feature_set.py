"""What a feature set promises."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from seqapps.data.sources.source import Places

__all__ = ["FeatureSet"]


class FeatureSet(abc.ABC):
    """Some numbers that follow from the tokens of a text.

    A set of one's own is a class with `names` and `values`, registered in the entry point group `seqapps.features`:

        class Emoticons(FeatureSet):
            names = ("smiling",)

            def values(self, tokens):
                return [sum(token in (":)", ":-)") for token in tokens)]

    They are standardised by what they are in the training split, so units do not matter.

    Attributes:
        names: what each number is called.
    """

    names: ClassVar[tuple[str, ...]]

    @abc.abstractmethod
    def values(self, tokens: Sequence[str]) -> Sequence[float]:
        """A finite number for each of `names`; of a text of at least one token, spelt as it is."""

    def read(self, places: Places) -> None:  # noqa: B027
        """Read the files that fields name. DataError if one is not there or cannot be understood."""

    def to_json(self) -> dict[str, Any]:
        """What was read, for `load_json`: a run is complete without the files."""
        return {}

    def load_json(self, saved: Mapping[str, Any]) -> None:  # noqa: B027
        """Take up what `to_json` gave."""
