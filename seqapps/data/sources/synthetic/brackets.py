"""Nested brackets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from random import Random
from typing import Any

from seqapps.data.sources.synthetic.synthetic import LEAST, OUTSIDE, Labelled, Synthetic, pick, too_small

__all__ = ["Brackets"]

PAIRS = ("()", "[]", "{}", "<>")


class Brackets(Synthetic):
    """Which bracket has to close next, or is everything closed?

    Balanced brackets of several kinds: the language D_k of Chomsky and Schützenberger (1963), up to a depth, as Hewitt
    et al. (2020, arXiv 2010.07515) gave it to recurrent networks. With pairs = 4, depth = 3, kinds = 2:

        tokens   (  [  (  )    ]    )  [  ]
        labels   O  O  O  S-]  S-)  O  O  O

    After a closing bracket the label is the one that now has to close: that of the innermost bracket still open, or `O`
    if the sequence so far is balanced. After an opening bracket there is nothing to remember, and the label is `O`. The
    brackets in between were opened and closed again, so a stack is what the rule needs; with a depth there are finitely
    many stacks.

    All shapes with so many pairs up to that depth are equally likely, and all kinds of each pair.

    Fields:
        pairs: of brackets in a sequence, which has twice as many tokens.
        depth: how many may be open at a time, at most.
        kinds: how many kinds there are, of () [] {} <> the first ones; with 1 the labels tell balanced from not.
        train, validation, test: sequences in each split.
        seed: of the data; training has one of its own.
    """

    def __init__(
        self,
        *,
        pairs: int = 12,
        depth: int = 4,
        kinds: int = 3,
        train: int = 5_000,
        validation: int = 500,
        test: int = 2_000,
        seed: int = 1,
    ):
        super().__init__(train, validation, test, seed)
        self.pairs, self.depth, self.kinds = pairs, depth, PAIRS[:kinds]

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """A bracket can stand in another, and the kinds have signs."""
        faults = too_small(fields, {"pairs": 2, "depth": 2, "kinds": 1} | LEAST)
        if fields["kinds"] > len(PAIRS):
            faults.append(("kinds", f"{fields['kinds']} is out of range; expected {len(PAIRS)} or less"))
        return faults

    @property
    def space(self) -> int:
        return self._shapes[2 * self.pairs][0] * len(self.kinds) ** self.pairs

    def draw(self, random: Random) -> Labelled:
        tokens: list[str] = []
        labels: list[str] = []
        due: list[str] = []  # closing brackets, the innermost last
        for left in reversed(range(2 * self.pairs)):  # tokens after this one
            opened = len(due)
            opens = random.random() < self._shapes[left][opened + 1] / self._shapes[left + 1][opened]
            if opens:
                opening, closing = pick(random, self.kinds)
                tokens.append(opening)
                due.append(closing)
            else:
                tokens.append(due.pop())
            labels.append(OUTSIDE if opens or not due else f"S-{due[-1]}")
        return Labelled(tuple(tokens), tuple(labels))

    @cached_property
    def _shapes(self) -> list[list[int]]:
        """shapes[n][opened]: in how many ways n more brackets of one kind close all; 0 if `opened` exceeds `depth`."""
        shapes = [[1] + [0] * (self.depth + 1)]
        for _ in range(2 * self.pairs):
            fewer = shapes[-1]
            ways = [(fewer[n - 1] if n else 0) + fewer[n + 1] for n in range(self.depth + 1)]
            shapes.append([*ways, 0])
        return shapes
