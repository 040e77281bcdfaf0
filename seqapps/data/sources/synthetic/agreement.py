"""A verb that agrees with a subject some words before."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from random import Random
from typing import Any

from seqapps.data.sources.synthetic.synthetic import LEAST, OUTSIDE, Labelled, Synthetic, pick, range_faults, too_small

__all__ = ["VERBS", "WORDS", "Agreement"]

# Word classes of `agreement`; no word is in two of them, so a sequence can be taken apart in one way only.
WORDS: dict[str, tuple[str, ...]] = {
    "determiner": ("the", "my", "your", "his", "her", "our", "their"),
    "adjective": ("old", "young", "tall", "small", "clever", "quiet", "tired", "happy"),
    "singular": (
        *("cat", "dog", "horse", "fox", "wolf", "goose", "mouse", "bird", "child", "man", "woman", "boy"),
        *(
            "girl",
            "farmer",
            "teacher",
            "doctor",
            "judge",
            "pilot",
            "singer",
            "king",
            "lady",
            "guard",
            "baker",
            "author",
        ),
    ),
    "plural": (
        *("cats", "dogs", "horses", "foxes", "wolves", "geese", "mice", "birds", "children", "men", "women", "boys"),
        *("girls", "farmers", "teachers", "doctors", "judges", "pilots", "singers", "kings", "ladies", "guards"),
        *("bakers", "authors"),
    ),
    "preposition": ("near", "behind", "beside", "with", "opposite", "without"),
    "transitive": ("chased", "saw", "heard", "admired", "followed", "avoided", "knew", "visited"),
    "intransitive": ("slept", "laughed", "waited", "cried", "danced", "sang", "ran", "fell"),
    "adverb": ("quietly", "often", "slowly", "yesterday", "again", "together"),
    "place": ("here", "there", "upstairs", "outside"),
    "that": ("that",),
    "and": ("and",),
}
VERBS = {"singular": "was", "plural": "were"}
VERB = "<verb>"
# What can stand between subject and verb; "noun" is of either number, all verbs are past forms that show none.
PHRASES = (
    ("preposition", "determiner", "noun"),
    ("preposition", "determiner", "adjective", "noun"),
    ("that", "determiner", "noun", "transitive"),
    ("that", "determiner", "adjective", "noun", "transitive"),
    ("that", "intransitive"),
    ("that", "intransitive", "adverb"),
)
_NOUN_PHRASE = min(len(phrase) for phrase in PHRASES if "noun" in phrase)  # words that one noun takes at least


class Agreement(Synthetic):
    """Agreement in number of a verb with its subject, across words that say nothing about it.

    The task by which Linzen, Dupoux and Goldberg (2016, arXiv 1611.01368) tested recurrent networks, on made-up
    sentences. With a distance of 11 and attractors = 1:

        tokens   the  mice  that  our  dog  chased  near  the  young  cats  that  slept  <verb>
        labels   O    O     O     O    O    O       O     O    O      O     O     O      S-were

    The second word is the subject; the last word is to be replaced by `was` or `were`. Attractors are nouns in between
    whose number is not the subject's. As many nouns of the subject's number stand there too, in random order: with
    attractors alone, the opposite of the last noun's number would be the answer. What stands between subject and verb
    thus has the same distribution for both numbers, and whoever forgot the subject has F1 = 0.5 on average.

    Both numbers are equally likely, so are all distances, and all sequences of a distance. A sequence has distance + 2
    tokens.

    Fields:
        min_distance, max_distance: how many positions the verb stands after the subject (1 = the next word).
        attractors: intervening nouns of the other number.
        train, validation, test: sequences in each split.
        seed: of the data; training has one of its own.
    """

    def __init__(
        self,
        *,
        min_distance: int = 20,
        max_distance: int = 20,
        attractors: int = 1,
        train: int = 5_000,
        validation: int = 500,
        test: int = 2_000,
        seed: int = 1,
    ):
        super().__init__(train, validation, test, seed)
        self.distances, self.attractors = range(min_distance, max_distance + 1), attractors

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The attractors, and as many other nouns, have room between subject and verb."""
        faults = too_small(fields, {"min_distance": 1, "attractors": 0} | LEAST)
        shortest = fields["min_distance"]
        room = 1 + 2 * _NOUN_PHRASE * fields["attractors"]
        if 1 <= shortest < room:
            faults.append(
                (
                    "min_distance",
                    f"{shortest} is too short for {fields['attractors']} attractors and as many other nouns; expected "
                    f"{room} or more, or fewer attractors",
                )
            )
        return faults + range_faults(fields, "distance")

    @property
    def space(self) -> int:
        nouns = 2 * self.attractors
        fillers = sum(self._fillers(distance - 1, nouns) for distance in self.distances)
        subjects = len(WORDS["determiner"]) * sum(len(WORDS[number]) for number in VERBS)
        return subjects * math.comb(nouns, self.attractors) * fillers

    def draw(self, random: Random) -> Labelled:
        words = pick(random, self.distances) - 1
        number, other = pick(random, [("singular", "plural"), ("plural", "singular")])
        nouns = [number, other] * self.attractors
        nouns.sort(key=lambda _: random.random())
        classes = ["determiner", number, *self._filler(random, words, len(nouns))]
        numbers = iter(nouns)
        tokens = [pick(random, WORDS[next(numbers) if name == "noun" else name]) for name in classes]
        return Labelled((*tokens, VERB), (OUTSIDE,) * len(tokens) + (f"S-{VERBS[number]}",))

    def _filler(self, random: Random, words: int, nouns: int) -> list[str]:
        """Word classes of what stands between subject and verb: perhaps a place, then phrases."""
        placed = random.random() >= self._ways[words][nouns] / self._fillers(words, nouns)
        classes = ["place"] if placed else []
        words -= placed
        clause = False  # is the phrase before a clause without a noun? Then "and" goes on with it.
        while words:
            through = [_ways_through(phrase, self._ways, words, nouns) for phrase in PHRASES]
            phrase = random.choices(PHRASES, [ways / self._ways[words][nouns] for ways in through])[0]
            words, nouns = words - len(phrase), nouns - phrase.count("noun")
            goes_on, clause = clause, "noun" not in phrase
            classes += ("and", *phrase[1:]) if clause and goes_on else phrase
        return classes

    def _fillers(self, words: int, nouns: int) -> int:
        """How many fillers there are of so many words, `nouns` of them nouns whose number is given."""
        placed = self._ways[words - 1][nouns] * len(WORDS["place"]) if words else 0
        return self._ways[words][nouns] + placed

    @cached_property
    def _ways(self) -> list[list[int]]:
        """ways[words][nouns]: how many sequences of phrases have so many words and nouns whose number is given."""
        nouns = 2 * self.attractors
        ways = [[1] + [0] * nouns]
        for words in range(1, self.distances[-1]):
            ways.append([sum(_ways_through(phrase, ways, words, n) for phrase in PHRASES) for n in range(nouns + 1)])
        return ways


def _ways_through(phrase: Sequence[str], ways: Sequence[Sequence[int]], words: int, nouns: int) -> int:
    """How many sequences of phrases of so many words and nouns begin with `phrase`; `ways` counts the shorter ones."""
    words, nouns = words - len(phrase), nouns - phrase.count("noun")
    if words < 0 or nouns < 0:
        return 0
    return ways[words][nouns] * math.prod(len(WORDS["singular" if name == "noun" else name]) for name in phrase)
