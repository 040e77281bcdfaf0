"""Two numbers to be found in a long sequence, and added."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from seqapps.data.sources.synthetic.synthetic import LEAST, Classed, Synthetic, pick, too_small

__all__ = ["AddingProblem"]


class AddingProblem(Synthetic):
    """The adding problem of Hochreiter and Schmidhuber (1997, section 5.4): of many numbers two are marked; their sum?

        tokens   3  8*  0  5  5  9  1  4*  2  7
        label    12

    Columns `tokens` and `label`. One mark stands in the first half, one in the second, all places of a half equally
    likely, as Arjovsky, Shah and Bengio (2016, arXiv 1511.06464) have it. Numbers are independent and equally frequent,
    so whoever misses one of the two is right in 1 / numbers of the cases on average, and so is the most frequent sum.
    What has to be remembered is two tokens, over about half of the sequence; their order does not matter, so an encoder
    `pooled`, which knows no order, can solve it, as it could the original.

    Deviation: the original's numbers are real, their sum is a value to be approximated, right within 0.04. Here they
    are whole, 0, 1, 2, ..., a number and its mark are one token, and the sum is a class, so that the answer is right or
    wrong.

    Fields:
        length: of the sequences, in tokens.
        numbers: how many different ones there are.
        train, validation, test: sequences in each split.
        seed: of the data; training has one of its own.
    """

    def __init__(
        self,
        *,
        length: int = 100,
        numbers: int = 10,
        train: int = 10_000,
        validation: int = 500,
        test: int = 2_000,
        seed: int = 1,
    ):
        super().__init__(train, validation, test, seed)
        self.length, self.numbers = length, numbers

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """There are two places to mark, and numbers to tell apart."""
        return too_small(fields, {"length": 2, "numbers": 2} | LEAST)

    @property
    def space(self) -> int:
        half = self.length // 2
        return half * (self.length - half) * self.numbers**self.length

    def draw(self, random: Random) -> Classed:
        half = self.length // 2
        marked = (pick(random, range(half)), pick(random, range(half, self.length)))
        numbers = [pick(random, range(self.numbers)) for _ in range(self.length)]
        tokens = [f"{number}*" if place in marked else str(number) for place, number in enumerate(numbers)]
        return Classed(tuple(tokens), str(sum(numbers[place] for place in marked)))
