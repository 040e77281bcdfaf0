from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from seqapps.data.sources.source import Places
from seqapps.data.sources.text import Text
from seqapps.errors import DataError

WIKI = " \n = Crabs = \n \n A crab , = a thing = , walks . \n\n = = Legs = = \n = = = Left = = \n Äh 狗 \n"


@pytest.fixture
def wiki(tmp_path: Path) -> Path:
    (tmp_path / "train.txt").write_text(WIKI, encoding="utf8")
    return tmp_path


def test_lines_stay_as_they_are_and_empty_ones_are_left_out_and_counted(wiki: Path) -> None:
    source = Text(train="train.txt")
    assert source.load(Places(wiki))["train"]["tokens"] == [
        " = Crabs = ",
        " A crab , = a thing = , walks . ",
        " = = Legs = = ",
        " = = = Left = = ",
        " Äh 狗 ",
    ]
    assert source.notes == ["3 empty lines of train were left out"]


def test_headings_are_left_out_if_told_to(wiki: Path) -> None:
    source = Text(train="train.txt", headings="drop")
    kept = source.load(Places(wiki))["train"]["tokens"]
    assert kept == [" A crab , = a thing = , walks . ", " = = = Left = = ", " Äh 狗 "]  # one = is missing: no heading
    assert source.notes == ["3 empty lines of train were left out", "2 headings of train were left out"]


def test_everything_can_be_kept(wiki: Path) -> None:
    source = Text(train="train.txt", empty="keep")
    assert source.load(Places(wiki))["train"]["tokens"] == WIKI.split("\n")[:-1]
    assert source.notes == []


def test_a_folder_of_compressed_files_and_only_the_splits_asked_for(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "b.txt").write_text("second\n")
    (tmp_path / "train" / "a.txt.xz").write_bytes(lzma.compress(b"first\n"))
    (tmp_path / "test.txt").write_bytes(b"\xff\n")
    source = Text(train="train", test="test.txt")
    assert source.load(Places(tmp_path), ["train"])["train"]["tokens"] == ["first", "second"]
    assert [file.name for file in source.files(Places(tmp_path))] == ["a.txt.xz", "b.txt", "test.txt"]
    with pytest.raises(DataError, match=r"test\.txt:1: byte 1 of the line is 0xff, not UTF-8"):
        source.load(Places(tmp_path))


@pytest.mark.parametrize(("empty", "headings"), [("drop", "drop"), ("keep", "drop"), ("keep", "keep")])
def test_a_file_without_texts_is_an_error(tmp_path: Path, empty: str, headings: str) -> None:
    (tmp_path / "a.txt").write_text("\n \n" if headings == "keep" else "\n = Title = \n")
    with pytest.raises(DataError, match=r"a\.txt: no texts in the file"):
        Text(train="a.txt", empty=empty, headings=headings).load(Places(tmp_path))  # type: ignore[arg-type]
