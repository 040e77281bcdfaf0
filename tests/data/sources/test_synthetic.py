from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from seqapps.baselines import TAGGING
from seqapps.data.sources.source import Places
from seqapps.data.sources.synthetic import Agreement, Copy, Synthetic
from seqapps.data.sources.synthetic.agreement import VERBS, WORDS
from seqapps.errors import RecipeError
from seqapps.metrics.tagging import TaggedSentence, evaluate_tagging
from seqapps.recipe import load_recipe
from seqapps.schemes import detect

PINNED_COPY = "1 6 6 2 _ _ : _ _ _ _"
PINNED_AGREEMENT = (
    "our cats that sang and fell and slept quietly with their man behind your "
    "cats that cried slowly and laughed often <verb>"
)
SMALL = {"train": 60, "validation": 20, "test": 40}
SOURCES = [
    Copy(symbols=4, alphabet=5, distance=9, **SMALL),
    Agreement(min_distance=7, max_distance=12, attractors=1, **SMALL),
]
CLASS_OF = {word: name for name, words in WORDS.items() for word in words}
each_source = pytest.mark.parametrize("source", SOURCES, ids=lambda source: type(source).__name__)


def rows(source: Synthetic) -> list[tuple[list[str], list[str]]]:
    splits = source.load(Places())
    return [(row["tokens"], row["labels"]) for split in splits.values() for row in split]


def number(noun: str) -> str:
    return CLASS_OF[noun]


def space_by_drawing(source: Synthetic, draws: int) -> int:
    random = Random(1)
    return len({source.draw(random).tokens for _ in range(draws)})


@pytest.mark.parametrize(("symbols", "alphabet", "distance"), [(1, 2, 1), (3, 4, 1), (4, 12, 9)])
def test_copy_asks_for_the_symbols_in_order_after_the_gap(symbols: int, alphabet: int, distance: int) -> None:
    for tokens, labels in rows(Copy(symbols=symbols, alphabet=alphabet, distance=distance, **SMALL)):
        assert len(tokens) == len(labels) == 2 * symbols + distance + 1
        assert {int(token) for token in tokens[:symbols]} <= set(range(alphabet))
        assert "".join(tokens[symbols:]) == "_" * distance + ":" + "_" * symbols
        assert labels[: symbols + distance + 1] == ["O"] * (symbols + distance + 1)
        assert labels[symbols + distance + 1 :] == ["S-" + token for token in tokens[:symbols]]


def test_copy_uses_every_symbol_at_every_position_about_equally_often() -> None:
    train = Copy(symbols=3, alphabet=10, train=800, validation=1, test=1).load(Places())["train"]
    for counts in (Counter(column) for column in zip(*(row[:3] for row in train["tokens"]), strict=True)):
        assert sorted(counts) == sorted(map(str, range(10)))
        assert min(counts.values()) > 50  # 80 expected, standard deviation below 9


@pytest.mark.parametrize(
    ("distance", "attractors"), [(1, 0), (2, 0), (3, 0), (7, 1), (8, 1), (20, 1), (13, 2), (45, 3)]
)
def test_agreement_keeps_its_distance_and_its_attractors(distance: int, attractors: int) -> None:
    for tokens, labels in rows(Agreement(min_distance=distance, max_distance=distance, attractors=attractors, **SMALL)):
        assert len(tokens) == len(labels) == distance + 2
        assert tokens[-1] == "<verb>"
        subject, between = tokens[1], tokens[2:-1]
        assert labels == ["O"] * (distance + 1) + ["S-" + {"singular": "was", "plural": "were"}[number(subject)]]
        nouns = Counter(number(word) for word in between if number(word) in VERBS)
        assert set(nouns.values()) <= {attractors}
        assert nouns.total() == 2 * attractors


def test_distances_fill_their_range_about_equally_often() -> None:
    source = Agreement(min_distance=7, max_distance=10, train=800, validation=1, test=1)
    counts = Counter(len(tokens) - 2 for tokens in source.load(Places())["train"]["tokens"])
    assert sorted(counts) == [7, 8, 9, 10]
    assert min(counts.values()) > 150  # 200 expected, standard deviation 12


def test_what_stands_between_subject_and_verb_does_not_tell_the_number() -> None:
    """The first and the last noun there agree with the verb in about half of the sentences."""
    train = Agreement(min_distance=20, attractors=2, train=2000, validation=1, test=1).load(Places())["train"]
    plural = last = first = 0
    for tokens in train["tokens"]:
        subject, *nouns = [number(word) for word in tokens[:-1] if number(word) in VERBS]
        plural += subject == "plural"
        first += nouns[0] == subject
        last += nouns[-1] == subject
    for share in (plural, first, last):
        assert abs(share / 2000 - 0.5) < 0.04  # 3.6 standard deviations


def test_no_word_is_in_two_classes_and_each_singular_has_its_plural() -> None:
    assert len(CLASS_OF) == sum(map(len, WORDS.values()))
    assert len(WORDS["singular"]) == len(WORDS["plural"])
    for singular, plural in zip(WORDS["singular"], WORDS["plural"], strict=True):
        assert plural[0] == singular[0]


@each_source
def test_the_same_fields_give_the_same_sequences(source: Synthetic) -> None:
    assert rows(source) == rows(source)


def test_sequences_are_the_same_on_every_machine() -> None:
    """Pinned: a change here changes what measured scores of the recipes speak of."""
    copied = Copy(symbols=4, distance=2).load(Places(), ["test"])["test"]["tokens"]
    assert copied[0] == PINNED_COPY.split()
    agreeing = Agreement().load(Places(), ["test"])["test"]["tokens"]
    assert agreeing[0] == PINNED_AGREEMENT.split()


@pytest.mark.parametrize("make", [Copy, Agreement])
def test_another_seed_gives_other_sequences(make: Any) -> None:
    first, second = (make(seed=seed, **SMALL).load(Places())["train"]["tokens"][:] for seed in (1, 2))
    assert not {tuple(tokens) for tokens in first} & {tuple(tokens) for tokens in second}


@pytest.mark.parametrize(
    "source",
    [
        Copy(symbols=3, alphabet=5, **SMALL),  # 125 sequences, 120 asked for
        Agreement(min_distance=1, max_distance=1, attractors=0, train=200, validation=60, test=76),  # all 336
    ],
    ids=["copy", "agreement"],
)
def test_no_sequence_occurs_twice_while_there_are_enough(source: Synthetic) -> None:
    drawn = [tuple(tokens) for tokens, _ in rows(source)]
    assert len(drawn) == len(set(drawn)) == sum(source.sizes.values())
    assert source.warning is None


@pytest.mark.parametrize(
    "source",
    [
        Copy(symbols=2, alphabet=3, train=5, validation=2, test=3),
        Agreement(min_distance=1, max_distance=1, attractors=0, train=330, validation=3, test=4),
    ],
    ids=["copy: 9", "agreement: 336"],
)
def test_a_space_that_is_too_small_is_said(source: Synthetic) -> None:
    assert f"only {source.space} different sequences and {sum(source.sizes.values())} are asked for" in source.warning
    assert [len(split) for split in source.load(Places()).values()] == list(source.sizes.values())


@pytest.mark.parametrize(
    ("source", "draws"),
    [(Copy(symbols=2, alphabet=6), 1000), (Agreement(min_distance=1, max_distance=2, attractors=0), 40_000)],
    ids=["copy", "agreement"],
)
def test_the_space_is_as_large_as_drawing_says(source: Synthetic, draws: int) -> None:
    assert space_by_drawing(source, draws) == source.space


@pytest.mark.parametrize(("distance", "attractors"), [(4, 0), (8, 1), (10, 1), (13, 2)])
def test_the_space_of_agreement_equals_enumeration_over_word_classes(distance: int, attractors: int) -> None:
    """Every sequence of phrases of that length, listed, times the words of each class."""
    noun, total = len(WORDS["singular"]), 0
    phrases = [
        ("preposition", "determiner", "noun"),
        ("preposition", "determiner", "adjective", "noun"),
        ("that", "determiner", "noun", "transitive"),
        ("that", "determiner", "adjective", "noun", "transitive"),
        ("that", "intransitive"),
        ("that", "intransitive", "adverb"),
    ]
    for start in ((), ("place",)):
        for n in range(distance // 2 + 1):
            for chosen in itertools.product(phrases, repeat=n):
                classes = [*start, *itertools.chain(*chosen)]
                if len(classes) == distance - 1 and classes.count("noun") == 2 * attractors:
                    ways = 1
                    for name in classes:
                        ways *= noun if name == "noun" else len(WORDS[name])
                    total += ways
    orders = len(set(itertools.permutations("sp" * attractors)))
    source = Agreement(min_distance=distance, max_distance=distance, attractors=attractors)
    assert source.space == total * orders * 2 * noun * len(WORDS["determiner"])


def test_more_training_sequences_leave_the_other_splits_as_they_are() -> None:
    few, many = (Copy(train=train, validation=20, test=30).load(Places()) for train in (10, 50))
    for split in ("validation", "test"):
        assert few[split][:] == many[split][:]
    assert few["train"]["tokens"][:] == many["train"]["tokens"][:10]


@each_source
def test_only_the_splits_that_are_asked_for_are_given(source: Synthetic) -> None:
    assert source.load(Places(), ["test"])["test"][:] == source.load(Places())["test"][:]
    assert list(source.load(Places(), ["test", "missing"])) == ["test"]
    assert list(source.load(Places())) == ["train", "validation", "test"]


def test_distances_beyond_floats_and_recursion_work() -> None:
    """The number of sequences has some thousand digits here."""
    source = Agreement(min_distance=2000, max_distance=2000, attractors=3, train=2, validation=1, test=1)
    assert {len(tokens) for tokens, _ in rows(source)} == {2002}


@each_source
def test_baselines_that_cannot_remember_gain_nothing(source: Synthetic) -> None:
    """The headline leaves out positions without an answer: each word's most frequent label scores 0 on copying, where
    blanks are mostly O, and chance on agreement; so does a trigram model."""
    splits = source.load(Places())
    train, test = ([(row["tokens"], row["labels"]) for row in splits[split]] for split in ("train", "test"))
    assert detect([labels for _, labels in train]) == "bioes"
    for baseline in TAGGING.values():
        fitted = baseline().fit(train)
        sentences = [TaggedSentence(tokens, labels, fitted.predict(tokens)) for tokens, labels in test]
        evaluation = evaluate_tagging(sentences, frequencies=Counter(train[0][0]), spans=True)
        assert evaluation.headline == "f1"
        f1 = evaluation.scores["f1"].value
        assert f1 is not None
        assert f1 < 0.3 if isinstance(source, Copy) else 0.3 < f1 < 0.7


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
        ("{type: copy, symbols: 0}", ["0 is out of range; expected 1 or more"]),
        ("{type: copy, alphabet: 1}", ["1 is out of range; expected 2 or more"]),
        ("{type: copy, distance: 0, test: 0}", ["0 is out of range; expected 1 or more"] * 2),
        ("{type: copy, seed: -1}", ["-1 is out of range; expected 0 or more"]),
        ("{type: agreement, min_distance: 0, attractors: 0}", ["0 is out of range; expected 1 or more"]),
        ("{type: agreement, attractors: -1}", ["-1 is out of range; expected 0 or more"]),
        ("{type: agreement, max_distance: 19}", ["19 is below min_distance, which is 20"]),
        (
            "{type: agreement, min_distance: 12, attractors: 2}",
            ["12 is too short for 2 attractors and as many other nouns; expected 13 or more, or fewer attractors"],
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
