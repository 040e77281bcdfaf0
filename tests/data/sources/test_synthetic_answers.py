"""Sums as texts, and the adding problem: each answer follows from the tokens, no example occurs twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from random import Random
from typing import Any

import pytest

from seqapps.data.sources.source import Places
from seqapps.data.sources.synthetic import AddingProblem, AdditionText
from seqapps.errors import RecipeError
from seqapps.recipe import load_recipe

SIZES = {"train": 150, "validation": 30, "test": 60}
PINNED = {AdditionText: "8 7 2 + 5 6 7 0 0 -> 57572", AddingProblem: "7* 2 4 4 6 7 0 0* -> 7"}
each = pytest.mark.parametrize("make", [AdditionText, AddingProblem])


def texts(source: AdditionText) -> dict[str, list[tuple[str, str]]]:
    splits = source.load(Places())
    return {split: [(row["tokens"], row["target"]) for row in rows] for split, rows in splits.items()}


@pytest.mark.parametrize("lowest_first", [False, True])
@pytest.mark.parametrize("digits", [(1, 2), (3, 3), (2, 12)])
def test_the_target_is_the_sum(digits: tuple[int, int], lowest_first: bool) -> None:
    seen = set()
    source = AdditionText(min_digits=digits[0], max_digits=digits[1], lowest_first=lowest_first, **SIZES)
    for tokens, target in [pair for pairs in texts(source).values() for pair in pairs]:
        first, second = tokens.split("+")
        assert (target[::-1] if lowest_first else target) == str(int(first) + int(second))
        for number in (first, second):
            assert str(int(number)) == number  # no zeros in front
        seen |= {(len(first), len(second))}
    lengths = range(digits[0], digits[1] + 1)
    assert {first for first, _ in seen} == {second for _, second in seen} == set(lengths)


def test_testing_may_go_beyond_training() -> None:
    found = texts(AdditionText(min_digits=2, max_digits=3, min_test_digits=3, max_test_digits=5, **SIZES))
    lengths = {split: {len(n) for tokens, _ in rows for n in tokens.split("+")} for split, rows in found.items()}
    assert lengths == {"train": {2, 3}, "validation": {2, 3}, "test": {3, 4, 5}}


def test_lengths_and_digits_of_numbers_are_about_equally_frequent() -> None:
    random, source = Random(1), AdditionText(min_digits=1, max_digits=4)
    numbers = [n for _ in range(4000) for n in source.draw(random).tokens.split("+")]
    lengths = Counter(map(len, numbers))
    assert min(lengths.values()) > 1850  # 2000 expected, standard deviation 39
    for place, expected in ((0, "123456789"), (3, "0123456789")):
        digits = Counter(n[place] for n in numbers if len(n) == 4)
        assert sorted(digits) == list(expected)
        assert min(digits.values()) > 140  # 200 expected, standard deviation 14


@pytest.mark.parametrize("digits", [(1, 1), (1, 2), (2, 2)])
def test_the_space_of_sums_is_all_pairs_of_numbers_of_that_many_digits(digits: tuple[int, int]) -> None:
    numbers = [n for n in range(10 ** digits[1]) if digits[0] <= len(str(n)) <= digits[1]]
    assert AdditionText(min_digits=digits[0], max_digits=digits[1]).space == len(numbers) ** 2


@pytest.mark.parametrize(
    ("fields", "only"),
    [
        ({"min_digits": 1, "max_digits": 1, "train": 60, "validation": 20, "test": 20}, None),  # all 100
        ({"min_digits": 1, "max_digits": 1, "train": 60, "validation": 21, "test": 20}, 100),
        (
            {"min_digits": 1, "max_digits": 1, "train": 70, "validation": 30, "test": 8100, **{"min_test_digits": 2}},
            None,
        ),
        (
            {"min_digits": 1, "max_digits": 1, "train": 70, "validation": 30, "test": 8101, **{"min_test_digits": 2}},
            8100,
        ),
        ({"min_digits": 1, "max_digits": 1, "train": 71, "validation": 30, "test": 9, **{"min_test_digits": 2}}, 100),
        ({"min_digits": 1, "max_digits": 2, "train": 9950, "validation": 30, "test": 20, "max_test_digits": 1}, None),
        ({"min_digits": 1, "max_digits": 2, "train": 9951, "validation": 30, "test": 20, "max_test_digits": 1}, 10_000),
    ],
)
def test_no_sum_occurs_twice_or_it_is_said(fields: dict[str, int], only: int | None) -> None:
    if "min_test_digits" in fields:
        fields = fields | {"max_test_digits": 2}
    source = AdditionText(**fields)  # type: ignore[arg-type]
    if only is None:
        drawn = [tokens for rows in texts(source).values() for tokens, _ in rows]
        assert source.warning is None
        assert len(set(drawn)) == len(drawn)
    else:
        assert f"only {only} different sequences" in str(source.warning)
        assert [len(rows) for rows in texts(source).values()] == [fields[s] for s in ("train", "validation", "test")]


@pytest.mark.parametrize(("length", "numbers"), [(2, 2), (7, 3), (40, 25)])
def test_the_label_is_the_sum_of_the_marked_numbers(length: int, numbers: int) -> None:
    seen = Counter()
    sizes = {"train": 3, "validation": 1, "test": 1} if length == 2 else SIZES
    for rows in AddingProblem(length=length, numbers=numbers, **sizes).load(Places()).values():
        for row in rows:
            marked = [place for place, token in enumerate(row["tokens"]) if token.endswith("*")]
            values = [int(token.rstrip("*")) for token in row["tokens"]]
            assert len(row["tokens"]) == length
            assert set(values) <= set(range(numbers))
            assert row["label"] == str(values[marked[0]] + values[marked[1]])
            assert marked[0] < length // 2 <= marked[1]
            seen.update(marked)
    assert set(seen) == set(range(length))


def test_one_marked_number_tells_the_sum_in_one_of_numbers_cases() -> None:
    random, sums, source = Random(1), defaultdict(Counter), AddingProblem(length=6, numbers=4)
    for _ in range(8000):
        row = source.draw(random)
        first = next(token for token in row.tokens if token.endswith("*"))
        sums[first][row.label] += 1
    for counts in sums.values():
        assert len(counts) == 4
        assert max(counts.values()) / counts.total() < 0.25 + 4 * (0.25 * 0.75 / 2000) ** 0.5


@pytest.mark.parametrize(("length", "numbers"), [(2, 3), (5, 2)])
def test_the_space_of_the_adding_problem_is_as_large_as_drawing_says(length: int, numbers: int) -> None:
    random, source = Random(1), AddingProblem(length=length, numbers=numbers)
    assert len({source.draw(random).tokens for _ in range(10_000)}) == source.space


@each
def test_the_same_fields_give_the_same_sequences_and_another_seed_others(make: Any) -> None:
    first, again, other = (make(seed=seed, **SIZES).load(Places())["train"].to_dict() for seed in (1, 1, 2))
    assert first == again
    assert len(set(map(str, first["tokens"])) & set(map(str, other["tokens"]))) < 3


@each
def test_sequences_are_the_same_on_every_machine(make: Any) -> None:
    """Pinned: a change here changes what measured scores of the recipes speak of."""
    fields = {"length": 8} if make is AddingProblem else {"min_digits": 2, "max_digits": 9}
    first = make(test=2, **fields).load(Places(), ["test"])["test"][0]
    assert " ".join([*first["tokens"], "->", first.get("label") or first["target"]]) == PINNED[make]


RECIPE = """
data: {{source: {source}}}
model:
  embedder: tokens
  encoder: {{type: recurrent, cell: lstm}}
  head: {{type: classification}}
"""


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("{type: adding_problem, length: 1}", ["1 is out of range; expected 2 or more"]),
        (
            "{type: adding_problem, numbers: 1, train: 0}",
            ["1 is out of range; expected 2 or more", "0 is out of range; expected 1 or more"],
        ),
        ("{type: addition_text, min_digits: 0}", ["0 is out of range; expected 1 or more"]),
        ("{type: addition_text, max_digits: 2}", ["2 is below min_digits, which is 3"]),
        ("{type: addition_text, min_test_digits: 4}", ["3 is below min_test_digits, which is 4"]),
        ("{type: addition_text, max_test_digits: 0}", ["0 is out of range; expected 1 or more"]),
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
