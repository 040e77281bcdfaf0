from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from seqapps.data.sources.scan import Scan
from seqapps.data.sources.source import Places
from seqapps.errors import DataError

LINES = "IN: jump twice and walk OUT: I_JUMP I_JUMP I_WALK\n\nIN: turn left OUT: I_TURN_LEFT\r\n"


def test_a_line_is_a_command_and_its_actions(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(LINES.encode())
    assert Scan(train="a.txt").load(Places(tmp_path))["train"].to_dict() == {
        "tokens": ["jump twice and walk", "turn left"],
        "target": ["I_JUMP I_JUMP I_WALK", "I_TURN_LEFT"],
    }


def test_a_folder_of_compressed_files_and_only_the_splits_asked_for(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.txt.xz").write_bytes(lzma.compress(LINES.encode()))
    (tmp_path / "train" / "b.txt").write_bytes(LINES.encode())
    source = Scan(train="train", test="nowhere.txt")
    assert {split: len(rows) for split, rows in source.load(Places(tmp_path), ["train"]).items()} == {"train": 4}
    assert [file.name for file in Scan(test="train").files(Places(tmp_path))] == ["a.txt.xz", "b.txt"]


@pytest.mark.parametrize(
    "line", ["jump twice", "IN: jump", "OUT: I_JUMP", "IN: OUT: I_JUMP", "IN: jump OUT: ", "x IN: a OUT: B"]
)
def test_what_is_no_pair_is_an_error_with_file_and_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.txt").write_text(LINES + line)
    with pytest.raises(DataError, match=r"a\.txt:4: '.*' is no pair; expected IN: command OUT: ACTIONS"):
        Scan(train="a.txt").load(Places(tmp_path))


def test_a_file_without_pairs_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n")
    with pytest.raises(DataError, match=r"a\.txt: no pairs in the file"):
        Scan(train="a.txt").load(Places(tmp_path))
