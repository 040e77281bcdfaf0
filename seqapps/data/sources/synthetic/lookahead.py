"""Names of people or of things, as a later word tells."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from seqapps.data.sources.synthetic.synthetic import LEAST, OUTSIDE, Labelled, Synthetic, pick, range_faults, too_small

__all__ = ["Lookahead"]

WORDS: dict[str, tuple[str, ...]] = {
    "speaker": ("he", "she", "someone", "nobody", "everyone"),
    "saying": ("said", "heard", "thought", "wrote", "knew"),
    "name": ("teddy", "rose", "ruby", "olive", "penny", "amber", "lily", "daisy", "jade", "pearl", "violet", "robin"),
    "hesitation": ("er", "um", "well", "hm"),
    "person": ("roosevelt", "adams", "baldwin", "carter", "dixon", "evans", "foster", "graham", "harris", "irving"),
    "thing": ("bears", "shops", "posters", "buttons", "stickers", "cards", "rings", "lamps", "boxes", "shirts"),
    "verb": ("pleased", "surprised", "bored", "delighted", "annoyed", "amused"),
    "object": ("us", "them", "me", "visitors", "children", "critics"),
}
KINDS = ("person", "thing")


class Lookahead(Synthetic):
    """The word after decides: "Teddy bears" are things and "Teddy Roosevelt" was a person.

    The example by which courses explain bidirectional networks. With distances of 1 and 3:

        tokens   she  said  that  teddy     roosevelt  pleased  us
        labels   O    O     O     S-person  O          O        O
        tokens   he  wrote  that  teddy    er  um  bears  pleased  us
        labels   O   O      O     S-thing  O   O   O      O        O

    The distance is from the name to the word that decides; hesitations fill it. No other word tells anything. Kinds,
    distances and the words of a class are independent and equally frequent, so whoever sees only what came up to the
    name has F1 = 0.5 on average, whatever it remembers, and whoever sees the n words after it is right in all distances
    up to n and in half of the others.

    Fields:
        min_distance, max_distance: how many positions the deciding word stands after the name (1 = the next word).
        train, validation, test: sequences in each split.
        seed: of the data; training has one of its own.
    """

    def __init__(
        self,
        *,
        min_distance: int = 1,
        max_distance: int = 6,
        train: int = 5_000,
        validation: int = 500,
        test: int = 2_000,
        seed: int = 1,
    ):
        super().__init__(train, validation, test, seed)
        self.distances = range(min_distance, max_distance + 1)

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """There is a distance."""
        return too_small(fields, {"min_distance": 1} | LEAST) + range_faults(fields, "distance")

    @property
    def space(self) -> int:
        space = sum(len(WORDS["hesitation"]) ** (distance - 1) for distance in self.distances)
        for name in ("speaker", "saying", "name", "verb", "object"):
            space *= len(WORDS[name])
        return space * sum(len(WORDS[kind]) for kind in KINDS)

    def draw(self, random: Random) -> Labelled:
        kind = pick(random, KINDS)
        between = ["hesitation"] * (pick(random, self.distances) - 1)
        speaker, saying, *rest = (
            pick(random, WORDS[name]) for name in ("speaker", "saying", "name", *between, kind, "verb", "object")
        )
        labels = [OUTSIDE, OUTSIDE, OUTSIDE, f"S-{kind}", *[OUTSIDE] * (len(rest) - 1)]
        return Labelled((speaker, saying, "that", *rest), tuple(labels))
