"""Slots, lookahead, brackets and addition: each answer follows from the tokens, and not from too few of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from random import Random
from typing import Any

import pytest

from seqapps.data.sources.source import Places
from seqapps.data.sources.synthetic import Addition, Brackets, Lookahead, Slots, Synthetic
from seqapps.data.sources.synthetic.lookahead import WORDS as LOOKAHEAD_WORDS
from seqapps.data.sources.synthetic.slots import WORDS as SLOTS_WORDS
from seqapps.errors import RecipeError
from seqapps.recipe import load_recipe
from seqapps.schemes import detect

SIZES = {"train": 150, "validation": 30, "test": 60}
KINDS: list[Any] = [Slots, Lookahead, Brackets, Addition]
PINNED = {
    Slots: "i leave sunny rainy rainy loud prague on monday and arrive in rainy lovely old rainy loud cairo on sunday",
    Lookahead: "nobody heard that amber um well hm er er harris bored children",
    Brackets: "{ } [ [ ] ( ) { [ ] { } ( ) } ( ( [ ] ( ) ) ) ]",
    Addition: "8+7 2+4 4+6 0+0",
}
each = pytest.mark.parametrize("make", KINDS)
CITIES = set(SLOTS_WORDS["city"])


def rows(source: Synthetic) -> list[tuple[list[str], list[str]]]:
    splits = source.load(Places())
    return [(row["tokens"], row["labels"]) for split in splits.values() for row in split]


@pytest.mark.parametrize("cities", [1, 2, 4])
@pytest.mark.parametrize("distances", [(1, 1), (1, 6), (3, 5)])
def test_a_city_is_what_the_last_verb_before_it_says(cities: int, distances: tuple[int, int]) -> None:
    seen = set()
    for tokens, labels in rows(Slots(min_distance=distances[0], max_distance=distances[1], cities=cities, **SIZES)):
        assert len(tokens) == len(labels)
        decided = ("", 0)
        for position, (token, label) in enumerate(zip(tokens, labels, strict=True)):
            if token == "leave":
                decided = ("S-origin", position)
            if tokens[max(position - 1, 0) : position + 1] == ["arrive", "in"]:
                decided = ("S-destination", position)
            assert label == (decided[0] if token in CITIES else "O")
            if token in CITIES:
                seen.add(position - decided[1])
        assert sum(token in CITIES for token in tokens) == cities
    assert seen == set(range(distances[0], distances[1] + 1))


@pytest.mark.parametrize("distances", [(1, 1), (1, 6), (4, 4)])
def test_a_name_is_of_the_kind_that_a_later_word_says(distances: tuple[int, int]) -> None:
    seen = set()
    for tokens, labels in rows(Lookahead(min_distance=distances[0], max_distance=distances[1], **SIZES)):
        (deciding,) = (n for n, token in enumerate(tokens) if token in {*_words("person"), *_words("thing")})
        kind = "S-person" if tokens[deciding] in _words("person") else "S-thing"
        assert tokens[2] == "that"
        assert tokens[3] in LOOKAHEAD_WORDS["name"]
        assert set(tokens[4:deciding]) <= set(LOOKAHEAD_WORDS["hesitation"])
        assert len(tokens) == deciding + 3
        assert labels == ["O", "O", "O", kind] + ["O"] * (len(tokens) - 4)
        seen.add(deciding - 3)
    assert seen == set(range(distances[0], distances[1] + 1))


def _words(name: str) -> tuple[str, ...]:
    return LOOKAHEAD_WORDS[name]


@pytest.mark.parametrize(("pairs", "depth", "kinds"), [(12, 4, 3), (10, 2, 1), (10, 20, 4), (9, 5, 2)])
def test_after_a_closing_bracket_the_label_is_what_has_to_close_next(pairs: int, depth: int, kinds: int) -> None:
    """Recomputed by deleting matched pairs from the prefix until none is left, not with a stack."""
    deepest = 0
    for tokens, labels in rows(Brackets(pairs=pairs, depth=depth, kinds=kinds, **SIZES)):
        assert len(tokens) == len(labels) == 2 * pairs
        assert set(tokens) <= set("()[]{}<>"[: 2 * kinds])
        for end, label in enumerate(labels, 1):
            rest = _unmatched("".join(tokens[:end]))
            assert set(rest) <= set("([{<")
            deepest = max(deepest, len(rest))
            closed = tokens[end - 1] in ")]}>"
            assert label == (f"S-{dict(zip('([{<', ')]}>', strict=True))[rest[-1]]}" if closed and rest else "O")
        assert _unmatched("".join(tokens)) == ""
    assert deepest == depth if depth < pairs // 2 else deepest <= pairs


def _unmatched(prefix: str) -> str:
    while True:
        shorter = prefix
        for pair in ("()", "[]", "{}", "<>"):
            shorter = shorter.replace(pair, "")
        if shorter == prefix:
            return prefix
        prefix = shorter


def test_shapes_of_brackets_are_equally_frequent() -> None:
    """With 4 pairs up to depth 3: the 14 shapes of 4 pairs but the one of depth 4."""
    random, source = Random(1), Brackets(pairs=4, depth=3, kinds=1)
    counts = Counter(source.draw(random).tokens for _ in range(13_000))
    assert len(counts) == source.space == 13
    assert min(counts.values()) > 850  # 1000 expected, standard deviation 30


@pytest.mark.parametrize("digits", [(1, 1), (3, 3), (1, 4), (30, 30)])
def test_the_labels_are_the_digits_of_the_sum(digits: tuple[int, int]) -> None:
    seen = set()
    sizes = SIZES if digits != (1, 1) else {"train": 50, "validation": 20, "test": 30}  # there are 100 such sums
    for tokens, labels in rows(Addition(min_digits=digits[0], max_digits=digits[1], **sizes)):
        first, second = (int("".join(reversed(column))) for column in zip(*(t.split("+") for t in tokens), strict=True))
        assert str(first + second).zfill(len(tokens)) == "".join(reversed(labels))
        assert tokens[-1] == "0+0"
        seen.add(len(tokens) - 1)
    assert seen == set(range(digits[0], digits[1] + 1))


@pytest.mark.parametrize("source", [Slots(max_distance=4, cities=1), Lookahead(max_distance=4)])
def test_distances_are_about_equally_frequent(source: Synthetic) -> None:
    random = Random(1)
    drawn = [source.draw(random).tokens for _ in range(4000)]
    counts = Counter(len(tokens) - ("arrive" in tokens) for tokens in drawn)  # "arrive in" has a word more than "leave"
    assert len(counts) == 4
    assert min(counts.values()) > 880  # 1000 expected, standard deviation 27


@pytest.mark.parametrize(("source", "side"), [(Slots(), "after"), (Lookahead(), "before"), (Slots(), "at")])
def test_the_wrong_side_does_not_tell_the_answer(source: Synthetic, side: str) -> None:
    """Each word there stands with either answer about equally often."""
    random, answers = Random(1), defaultdict(Counter)
    for _ in range(6000):
        tokens, labels = source.draw(random)
        position = next(n for n, label in enumerate(labels) if label != "O")
        where = {"after": position + 2, "before": position - 2, "at": position}[side]
        answers[tokens[where]][labels[position]] += 1
    for counts in answers.values():
        total = counts.total()
        assert total > 150
        assert max(counts.values()) / total < 0.5 + 4 * 0.5 / total**0.5


def test_a_pair_of_digits_does_not_tell_its_carry() -> None:
    random, source = Random(1), Addition(min_digits=3)
    carried = Counter()
    for _ in range(20_000):
        tokens, labels = source.draw(random)
        carried[tokens[2], labels[2]] += 1
    for first in range(10):
        for second in range(10):
            without, carry = (carried[f"{first}+{second}", str((first + second + c) % 10)] for c in (0, 1))
            assert without + carry > 120
            assert 0.25 < carry / (without + carry) < 0.75  # 0.495 expected


@pytest.mark.parametrize("words", [SLOTS_WORDS, LOOKAHEAD_WORDS])
def test_words_of_a_class_are_in_no_other(words: dict[str, tuple[str, ...]]) -> None:
    drawn = [word for members in words.values() for word in members]
    assert len(drawn) == len(set(drawn))


@each
def test_the_same_fields_give_the_same_sequences_and_another_seed_others(make: Any) -> None:
    assert rows(make(**SIZES)) == rows(make(**SIZES))
    one, other = ({tuple(tokens) for tokens, _ in rows(make(seed=seed, **SIZES))} for seed in (1, 2))
    assert len(one & other) < 3


@each
def test_sequences_are_the_same_on_every_machine(make: Any) -> None:
    """Pinned: a change here changes what measured scores of the recipes speak of."""
    assert make().load(Places(), ["test"])["test"]["tokens"][0] == PINNED[make].split()


@each
def test_no_sequence_occurs_twice(make: Any) -> None:
    drawn = [tuple(tokens) for tokens, _ in rows(make(train=3000, validation=400, test=500))]
    assert len(drawn) == len(set(drawn)) == 3900


@pytest.mark.parametrize(
    ("source", "draws"),
    [
        (Slots(min_distance=1, max_distance=2, cities=1), 300_000),
        (Brackets(pairs=5, depth=3, kinds=2), 30_000),
        (Brackets(pairs=4, depth=9, kinds=2), 8_000),
        (Addition(min_digits=1, max_digits=2), 300_000),
    ],
)
def test_the_space_is_as_large_as_drawing_says(source: Synthetic, draws: int) -> None:
    random = Random(1)
    assert len({source.draw(random).tokens for _ in range(draws)}) == source.space


def test_the_space_of_lookahead_is_the_product_of_its_choices() -> None:
    """Choices at each position over a great many draws, for one distance."""
    random, source = Random(1), Lookahead(min_distance=3, max_distance=3)
    choices = [set(column) for column in zip(*(source.draw(random).tokens for _ in range(3000)), strict=True)]
    product = 1
    for options in choices:
        product *= len(options)
    assert product == source.space


@each
def test_labels_are_spans_but_for_addition_where_every_position_has_an_answer(make: Any) -> None:
    assert detect([labels for _, labels in rows(make(**SIZES))]) == (None if make is Addition else "bioes")


RECIPE = """
data: {{source: {source}}}
model:
  embedder: tokens
  encoder: {{type: recurrent, cell: lstm}}
  head: {{type: tagging, column: labels}}
"""


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("{type: slots, min_distance: 0}", ["0 is out of range; expected 1 or more"]),
        ("{type: slots, cities: 0, test: 0}", ["0 is out of range; expected 1 or more"] * 2),
        ("{type: slots, max_distance: 0}", ["0 is below min_distance, which is 1"]),
        ("{type: lookahead, min_distance: 0}", ["0 is out of range; expected 1 or more"]),
        ("{type: lookahead, min_distance: 7}", ["6 is below min_distance, which is 7"]),
        ("{type: brackets, pairs: 1}", ["1 is out of range; expected 2 or more"]),
        ("{type: brackets, depth: 1}", ["1 is out of range; expected 2 or more"]),
        ("{type: brackets, kinds: 0}", ["0 is out of range; expected 1 or more"]),
        ("{type: brackets, kinds: 5}", ["5 is out of range; expected 4 or less"]),
        ("{type: addition, min_digits: 0}", ["0 is out of range; expected 1 or more"]),
        (
            "{type: addition, max_digits: 2, seed: -1}",
            ["2 is below min_digits, which is 3", "-1 is out of range; expected 0 or more"],
        ),
    ],
)
def test_a_fault_of_a_field_is_one_line_at_its_position(tmp_path: Path, source: str, faults: list[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(RECIPE.format(source=source), encoding="utf8")
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(faults)
    for line, fault in zip(lines, faults, strict=True):
        assert line.startswith(f"{path}:2:")
        assert line.endswith(fault)
