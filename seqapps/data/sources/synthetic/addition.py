"""Sums, digit by digit."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from seqapps.data.sources.synthetic.synthetic import LEAST, Labelled, Synthetic, pick, range_faults, too_small

__all__ = ["Addition"]


class Addition(Synthetic):
    """Addition in columns: a pair of digits in at each step, from the lowest, and a digit of the sum out.

    How courses draw what a recurrent network has to remember: the carry. 385 + 629 = 1014, digits = 3:

        tokens   5+9  8+2  3+6  0+0
        labels   4    1    0    1

    A last pair `0+0` lets the last carry out, so n digits give n + 1 tokens. Every position has an answer: labels are
    no spans, the headline is accuracy, and a sum is right if all its labels are (`accuracy_sentence`).

    Digits are independent and equally frequent, zeros in front included; so are all lengths, while a length has sums
    that have not occurred yet. A pair says nothing of the carry it receives, so whoever sees single pairs has every
    first digit right and about half of the others.

    Fields:
        min_digits, max_digits: of each number.
        train, validation, test: sequences in each split.
        seed: of the data; training has one of its own.
    """

    def __init__(
        self,
        *,
        min_digits: int = 3,
        max_digits: int = 3,
        train: int = 5_000,
        validation: int = 500,
        test: int = 2_000,
        seed: int = 1,
    ):
        super().__init__(train, validation, test, seed)
        self.digits = range(min_digits, max_digits + 1)

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """There are digits."""
        return too_small(fields, {"min_digits": 1} | LEAST) + range_faults(fields, "digits")

    @property
    def space(self) -> int:
        return sum(100**digits for digits in self.digits)

    def draw(self, random: Random) -> Labelled:
        tokens, labels, carry = [], [], 0
        digits = pick(random, self.digits)
        for place in range(digits + 1):
            first, second = (0, 0) if place == digits else (pick(random, range(10)), pick(random, range(10)))
            carry, digit = divmod(first + second + carry, 10)
            tokens.append(f"{first}+{second}")
            labels.append(str(digit))
        return Labelled(tuple(tokens), tuple(labels))
