"""Symbols to be repeated after a gap."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from seqapps.data.sources.synthetic.synthetic import LEAST, OUTSIDE, Labelled, Synthetic, too_small

__all__ = ["Copy"]


class Copy(Synthetic):
    """The copying problem: symbols to be repeated in order after a long gap.

    Hochreiter and Schmidhuber (1997) posed tasks of this kind; the form is that of Arjovsky, Shah and Bengio (2016,
    arXiv 1511.06464). With symbols = 2, distance = 3:

        tokens   4    7    _    _    _    :    _    _
        labels   O    O    O    O    O    O    S-4  S-7

    Symbols are independent and equally frequent, so knowing when to answer but not what has F1 = 1 / alphabet. Every
    symbol is due symbols + distance + 1 positions after it was read; a sequence has 2 symbols + distance + 1 tokens.
    There are alphabet ** symbols different sequences.

    Deviation: labels without an answer are `O` rather than the blank, and not scored.

    Fields:
        symbols: how many have to be remembered.
        alphabet: how many different ones there are, called 0, 1, 2, ...
        distance: blanks (`_`) between the last symbol and the marker (`:`).
        train, validation, test: sequences in each split.
        seed: of the data; training has one of its own.
    """

    def __init__(
        self,
        *,
        symbols: int = 5,
        alphabet: int = 8,
        distance: int = 20,
        train: int = 10_000,
        validation: int = 500,
        test: int = 1_000,
        seed: int = 1,
    ):
        super().__init__(train, validation, test, seed)
        self.symbols, self.alphabet, self.distance = symbols, alphabet, distance

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """There is something to remember, something to choose from, and a gap."""
        return too_small(fields, {"symbols": 1, "alphabet": 2, "distance": 1} | LEAST)

    @property
    def space(self) -> int:
        return self.alphabet**self.symbols

    def draw(self, random: Random) -> Labelled:
        symbols = [str(int(random.random() * self.alphabet)) for _ in range(self.symbols)]
        tokens = [*symbols, *["_"] * self.distance, ":", *["_"] * self.symbols]
        labels = [OUTSIDE] * (self.symbols + self.distance + 1) + [f"S-{symbol}" for symbol in symbols]
        return Labelled(tuple(tokens), tuple(labels))
