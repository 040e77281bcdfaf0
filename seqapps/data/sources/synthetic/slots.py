"""Cities whose part in a journey an earlier word tells."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from seqapps.data.sources.synthetic.synthetic import LEAST, OUTSIDE, Labelled, Synthetic, pick, range_faults, too_small

__all__ = ["Slots"]

WORDS: dict[str, tuple[str, ...]] = {
    "speaker": ("i", "you", "we", "they"),
    "adjective": ("old", "busy", "sunny", "rainy", "grey", "loud", "lovely", "windy"),
    "city": (
        *("taipei", "paris", "berlin", "tokyo", "cairo", "lima", "oslo", "rome", "delhi", "boston", "lagos", "madrid"),
        *("seoul", "vienna", "lisbon", "prague", "sydney", "havana", "nairobi", "athens"),
    ),
    "day": ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
}
VERBS = {"destination": ("arrive", "in"), "origin": ("leave",)}


class Slots(Synthetic):
    """Slot filling: a city is the destination after "arrive in" and the origin after "leave".

    The example by which courses explain why a network over single words is not enough: the same word has two labels,
    and only an earlier word tells which. With cities = 2 and distances of 2 and 1:

        tokens   we  leave  rainy  taipei    on  monday  and  arrive  in  oslo           on  friday
        labels   O   O      O      S-origin  O   O       O    O       O   S-destination  O   O

    The distance is from the deciding word (`leave`, or the `in` of "arrive in") to the city; adjectives fill it.
    Nothing after the city tells anything, and a city's part does not depend on the other cities. Parts, distances and
    the words of a class are independent and equally frequent, so whoever sees only the city has F1 = 0.5 on average,
    and whoever sees the n words before it is right in all distances up to n and in half of the others.

    Fields:
        min_distance, max_distance: how many positions a city stands after the word that decides (1 = the next word).
        cities: in a sequence.
        train, validation, test: sequences in each split.
        seed: of the data; training has one of its own.
    """

    def __init__(
        self,
        *,
        min_distance: int = 1,
        max_distance: int = 6,
        cities: int = 2,
        train: int = 5_000,
        validation: int = 500,
        test: int = 2_000,
        seed: int = 1,
    ):
        super().__init__(train, validation, test, seed)
        self.distances, self.cities = range(min_distance, max_distance + 1), cities

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """There is a city, and a distance."""
        return too_small(fields, {"min_distance": 1, "cities": 1} | LEAST) + range_faults(fields, "distance")

    @property
    def space(self) -> int:
        adjectives = sum(len(WORDS["adjective"]) ** (distance - 1) for distance in self.distances)
        journeys = len(VERBS) * adjectives * len(WORDS["city"]) * len(WORDS["day"])
        return len(WORDS["speaker"]) * journeys**self.cities

    def draw(self, random: Random) -> Labelled:
        tokens, labels = [pick(random, WORDS["speaker"])], [OUTSIDE]
        for city in range(self.cities):
            part = pick(random, sorted(VERBS))
            adjectives = [pick(random, WORDS["adjective"]) for _ in range(1, pick(random, self.distances))]
            before = [*(["and"] if city else []), *VERBS[part], *adjectives]
            tokens += [*before, pick(random, WORDS["city"]), "on", pick(random, WORDS["day"])]
            labels += [*[OUTSIDE] * len(before), f"S-{part}", OUTSIDE, OUTSIDE]
        return Labelled(tuple(tokens), tuple(labels))
