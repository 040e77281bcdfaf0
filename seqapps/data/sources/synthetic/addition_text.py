"""Sums, as texts."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from seqapps.data.sources.synthetic.synthetic import LEAST, Answered, Synthetic, pick, range_faults, too_few, too_small

__all__ = ["AdditionText"]


class AdditionText(Synthetic):
    """Addition as a translation of one text into another, to be read and written by encoder and decoder.

        tokens   12+345
        target   357

    Zaremba and Sutskever (2014, arXiv 1410.4615) had LSTMs add numbers of up to nine digits this way. The texts are to
    be split into characters, `data.tokenizer: characters`; then a model reads what it is given later in the same way.
    A sum is right if all its digits are (exact match).

    Both numbers have a number of digits of their own, all equally likely while there are sums that have not occurred
    yet; a number does not begin with 0 unless it is 0. Testing on more digits than training shows whether a model has
    learnt to add or only sums of that size.

    Fields:
        min_digits, max_digits: of each number, in training and validation.
        min_test_digits, max_test_digits: the same in testing; none = as in training.
        lowest_first: the sum is written from its lowest digit (12+345 -> 753), in the order of carries.
        train, validation, test: sums in each split.
        seed: of the data; training has one of its own.
    """

    def __init__(
        self,
        *,
        min_digits: int = 3,
        max_digits: int = 3,
        min_test_digits: int | None = None,
        max_test_digits: int | None = None,
        lowest_first: bool = False,
        train: int = 20_000,
        validation: int = 500,
        test: int = 2_000,
        seed: int = 1,
    ):
        super().__init__(train, validation, test, seed)
        self.digits = range(min_digits, max_digits + 1)
        self.test_digits = range(
            min_digits if min_test_digits is None else min_test_digits,
            (max_digits if max_test_digits is None else max_test_digits) + 1,
        )
        self.lowest_first = lowest_first

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """There are digits, in testing too."""
        tested = {f"{end}_test_digits": fields[f"{end}_test_digits"] for end in ("min", "max")}
        least = {"min_digits": 1} | LEAST | {name: 1 for name, digits in tested.items() if digits is not None}
        faults = too_small(fields, least) + range_faults(fields, "digits")
        complete = {name: fields[name.replace("_test", "")] if n is None else n for name, n in tested.items()}
        if any(digits is not None for digits in tested.values()) and not faults:
            faults += range_faults(complete, "test_digits")
        return faults

    @property
    def space(self) -> int:
        """How many different sums there are to train on."""
        return _numbers(self.digits) ** 2

    @property
    def warning(self) -> str | None:  # type: ignore[override]
        both = range(max(self.digits[0], self.test_digits[0]), min(self.digits[-1], self.test_digits[-1]) + 1)
        shared = min(self.sizes["test"], _numbers(both) ** 2)  # test sums that training then must not have
        in_training = self.sizes["train"] + self.sizes["validation"] + shared
        return too_few(_numbers(self.test_digits) ** 2, self.sizes["test"]) or too_few(self.space, in_training)

    def draw(self, random: Random) -> Answered:
        return self._sum(random, self.digits)

    def draw_test(self, random: Random) -> Answered:
        return self._sum(random, self.test_digits)

    def _sum(self, random: Random, digits: range) -> Answered:
        first, second = (_number(random, pick(random, digits)) for _ in range(2))
        total = str(first + second)
        return Answered(f"{first}+{second}", total[::-1] if self.lowest_first else total)


def _numbers(digits: range) -> int:
    """How many numbers have so many digits; 0 has one."""
    return sum(9 * 10 ** (n - 1) + (n == 1) for n in digits)


def _number(random: Random, digits: int) -> int:
    drawn = [pick(random, range(1 if place == 0 and digits > 1 else 0, 10)) for place in range(digits)]
    return int("".join(map(str, drawn)))
