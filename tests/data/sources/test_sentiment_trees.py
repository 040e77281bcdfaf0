from __future__ import annotations

import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqapps.data.sources.sentiment_trees import SentimentTrees
from seqapps.data.sources.source import Places
from seqapps.errors import DataError

TREES = """\
(3 (2 It) (4 (2 's) (4 lovely)))

(1 (2 Quite) (0 (1 dull) (2 .)))
(2 (2 It) (2 (2 's) (2 here)))
(4 (4 lovely) (2 .))
"""

Load = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load these lines with these fields: (sentence, label) of a split."""

    def read(text: str = TREES, split: str = "train", **fields: Any) -> list[tuple[str, str]]:
        (tmp_path / "trees.txt").write_text(text, encoding="utf8")
        found = SentimentTrees(**{split: "trees.txt"}, **fields).load(Places(tmp_path))[split]
        return [(" ".join(row["tokens"]), row["label"]) for row in found]

    return read


def test_a_sentence_has_the_label_of_its_root(load: Load) -> None:
    assert load() == [
        ("It 's lovely", "positive"),
        ("Quite dull .", "negative"),
        ("It 's here", "neutral"),
        ("lovely .", "very positive"),
    ]


def test_two_classes_leave_neutral_sentences_out(load: Load) -> None:
    assert load(binary=True) == [("It 's lovely", "positive"), ("Quite dull .", "negative"), ("lovely .", "positive")]


def test_phrases_are_added_once_each_after_the_sentences(load: Load) -> None:
    found = load(phrases=True)
    assert found[:4] == load()
    assert found[4:] == [
        ("It", "neutral"),
        ("'s", "neutral"),
        ("lovely", "very positive"),
        ("'s lovely", "very positive"),
        ("Quite", "neutral"),
        ("dull", "negative"),
        (".", "neutral"),
        ("dull .", "very negative"),
        ("here", "neutral"),
        ("'s here", "neutral"),
    ]


def test_phrases_of_two_classes_leave_neutral_ones_out(load: Load) -> None:
    assert load(phrases=True, binary=True)[3:] == [
        ("lovely", "positive"),
        ("'s lovely", "positive"),
        ("dull", "negative"),
        ("dull .", "negative"),
    ]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_only_training_gets_phrases(load: Load, split: str) -> None:
    assert load(split=split, phrases=True) == load()


def test_a_sentence_that_occurs_twice_stays_twice(load: Load) -> None:
    assert load("(3 yes)\n(3 yes)\n", phrases=True) == [("yes", "positive")] * 2


def test_brackets_and_slashes_are_read_as_what_they_stand_for(load: Load) -> None:
    assert load(r"(2 (2 (2 -LRB-) (2 and\/or)) (2 (2 -RRB-) (2 \*\*)))") == [("( and/or ) **", "neutral")]


def test_the_layout_of_a_tree_does_not_matter(load: Load) -> None:
    assert load("( 3 (2 It)(4(2 's) (4 lovely) ) )\n") == load()[:1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("(3 (2 It) (4 works)", "1 brackets are not closed; is the line cut?"),
        ("(3 (2 It)) (4 works)", r"'\(4' after the tree; expected one tree a line"),
        ("(3 (2 It)))", r"'\)' after the tree"),
        ("It works", "'It' before the first bracket; expected one tree a line"),
        ("(5 (2 It))", r"a node is labelled '5'; expected 0 \(very negative\) to 4"),
        ("((2 It))", "a node is labelled ''"),
        ("(²  It)", "a node is labelled '²'"),
        ("(3 (2 It) (4))", "a node holds no words"),
    ],
)
def test_what_is_no_tree_is_an_error_with_file_and_line(load: Load, line: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"trees\.txt:2: {message}"):
        load(f"(3 fine)\n{line}\n")


def test_a_file_without_trees_is_an_error(load: Load) -> None:
    with pytest.raises(DataError, match=r"trees\.txt: no trees in the file"):
        load("\n\n")


def test_a_folder_of_compressed_files_is_read(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.txt.xz").write_bytes(lzma.compress(TREES.encode()))
    (tmp_path / "train" / "b.txt").write_text(TREES)
    source = SentimentTrees(train="train")
    assert len(source.load(Places(tmp_path))["train"]) == 8
    assert [file.name for file in source.files(Places(tmp_path))] == ["a.txt.xz", "b.txt"]
