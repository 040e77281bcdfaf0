"""Character error rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqapps.metrics.evaluation import Counted, ratio
from seqapps.metrics.generation.written import WrittenExample

__all__ = ["character_error_rate", "edit_distance"]


def character_error_rate(examples: Sequence[WrittenExample]) -> Counted:
    """Edits that turn a text into its reference, per character of the reference; above 1 where much is written.

    Of several references the one with fewest edits counts, of equals the longest.
    """
    counts = np.zeros((len(examples), 2), np.int64)
    for row, example in enumerate(examples):
        found = [(edit_distance(example.hypothesis, reference), -len(reference)) for reference in example.references]
        edits, length = min(found)
        counts[row] = edits, -length
    return Counted(counts, ratio, counts[:, 1], "characters")


def edit_distance(a: str, b: str) -> int:
    """Fewest insertions, deletions and substitutions of characters that turn `a` into `b` (Levenshtein 1966).

    A column of the table of distances is two whole numbers, whose bits say where it rises and falls by one from row to
    row: Myers (1999), "A fast bit-vector algorithm for approximate string matching"; Hyyrö (2003). O(|b|) operations on
    numbers of |a| bits.

    >>> edit_distance("kitten", "sitting")
    3
    """
    if not a:
        return len(b)
    where: dict[str, int] = {}
    for place, letter in enumerate(a):
        where[letter] = where.get(letter, 0) | 1 << place
    every, last = (1 << len(a)) - 1, 1 << (len(a) - 1)
    rises, falls, distance = every, 0, len(a)
    for letter in b:
        equal = where.get(letter, 0)
        diagonal = (((equal & rises) + rises) ^ rises) | equal | falls
        to_right_up = falls | ~(diagonal | rises) & every  # where the row rises from the column before to this one
        to_right_down = rises & diagonal
        distance += bool(to_right_up & last) - bool(to_right_down & last)
        to_right_up = to_right_up << 1 | 1
        rises = (to_right_down << 1 | ~(diagonal | to_right_up)) & every
        falls = to_right_up & diagonal & every
    return distance
