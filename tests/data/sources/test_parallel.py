from __future__ import annotations

import gzip
import lzma
from pathlib import Path
from typing import Any

import pytest

from seqapps.data.sources.parallel import Parallel
from seqapps.data.sources.source import Places
from seqapps.errors import DataError

EN, DE, ZH = "a dog .\n two cats\n", "ein Hund .\n zwei Katzen\n", "狗。\n　两只猫\n"


def load(folder: Path, files: dict[str, str], **fields: Any) -> dict[str, Any]:
    """Write the files, load `train`: column -> rows."""
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf8", newline="")
    return Parallel(**fields).load(Places(folder))["train"].to_dict()


def test_lines_of_two_files_are_pairs_as_they_are_written(tmp_path: Path) -> None:
    found = load(tmp_path, {"a.en": EN, "a.zh": ZH}, train=["a.en", "a.zh"])
    assert found == {"tokens": ["a dog .", " two cats"], "target": ["狗。", "\u3000两只猫"]}


def test_names_say_which_file_is_which_and_leave_one_out(tmp_path: Path) -> None:
    files = {"a.en": EN, "a.de": DE, "a.zh": ZH}
    found = load(tmp_path, files, train=["a.en", "a.de", "a.zh"], names=["target", "_", "tokens"])
    assert found == {"target": ["a dog .", " two cats"], "tokens": ["狗。", "\u3000两只猫"]}


def test_compressed_files_are_read_beside_plain_ones(tmp_path: Path) -> None:
    (tmp_path / "a.en.xz").write_bytes(lzma.compress(EN.encode()))
    (tmp_path / "a.de.gz").write_bytes(gzip.compress(DE.encode()))
    source = Parallel(train=["a.en.xz", "a.de.gz"])
    assert source.load(Places(tmp_path))["train"]["target"] == ["ein Hund .", " zwei Katzen"]
    assert source.files(Places(tmp_path)) == [tmp_path / "a.en.xz", tmp_path / "a.de.gz"]


def test_a_line_separator_inside_a_line_does_not_shift_the_pairs(tmp_path: Path) -> None:
    found = load(tmp_path, {"a.en": "a\u2028b\nc\n", "a.de": "x\ny\x0bz\n"}, train=["a.en", "a.de"])
    assert found == {"tokens": ["a\u2028b", "c"], "target": ["x", "y\x0bz"]}


def test_one_file_with_tabs_holds_pairs_and_further_columns_are_ignored(tmp_path: Path) -> None:
    pairs = "Hi.\t嗨。\tCC-BY\nRun.\t跑！\n\n"
    assert load(tmp_path, {"p.tsv": pairs}, train="p.tsv") == {"tokens": ["Hi.", "Run."], "target": ["嗨。", "跑！"]}
    swapped = load(tmp_path, {}, train="p.tsv", names=["target", "tokens"])
    assert swapped == {"target": ["Hi.", "Run."], "tokens": ["嗨。", "跑！"]}


def test_a_folder_of_files_with_tabs_is_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "pairs").mkdir()
    found = load(tmp_path, {"pairs/2.tsv": "c\td\n", "pairs/1.tsv": "a\tb\n"}, train="pairs")
    assert found == {"tokens": ["a", "c"], "target": ["b", "d"]}


def test_files_of_different_length_are_an_error_with_both_counts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.en: 2 lines, but 3 in .*a\.de; the files belong together line by line"):
        load(tmp_path, {"a.en": EN, "a.de": DE + "drei\n"}, train=["a.en", "a.de"])


def test_an_empty_side_is_an_error_with_the_number_of_them_and_the_first_line(tmp_path: Path) -> None:
    files = {"a.en": "a\nb\n\nd\n", "a.de": "x\n \nz\nu\n"}
    with pytest.raises(DataError, match=r"a\.en:2: 'target' is empty \(2 such pairs in 'train'\).*'empty: drop'"):
        load(tmp_path, files, train=["a.en", "a.de"])
    with pytest.raises(DataError, match=r"p\.tsv:3: 'tokens' is empty \(1 such pairs"):
        load(tmp_path, {"p.tsv": "a\tb\n\n\tc\n"}, train="p.tsv")


def test_pairs_with_an_empty_side_are_dropped_if_told_to_and_reported(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("a\nb\n\nd\n")
    (tmp_path / "a.de").write_text("x\n \nz\nu\n")
    source = Parallel(train=["a.en", "a.de"], empty="drop")
    for _ in range(2):  # a second loading says it once as well
        assert source.load(Places(tmp_path))["train"].to_dict() == {"tokens": ["a", "d"], "target": ["x", "u"]}
        (note,) = source.notes
    assert note == f"2 pairs of train with an empty side were left out, the first at {tmp_path}/a.en:2"


def test_a_missing_column_is_an_error_with_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"p\.tsv:2: 1 column, expected 2 \(tokens, target\) with tabs .*is a tab miss"):
        load(tmp_path, {"p.tsv": "a\tb\nc d\n"}, train="p.tsv")


def test_bytes_that_are_not_utf8_are_an_error_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "a.de").write_bytes("gut\nschön\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"a\.de:2: byte 4 of the line is 0xf6, not UTF-8"):
        load(tmp_path, {"a.en": EN}, train=["a.en", "a.de"])


def test_a_file_that_is_not_there_and_no_file_at_all_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.de: no such file"):
        load(tmp_path, {"a.en": EN}, train=["a.en", "a.de"])
    with pytest.raises(DataError, match="names no file; set one of train, validation, test"):
        Parallel().load(Places(tmp_path))


def test_only_the_splits_asked_for_are_read(tmp_path: Path) -> None:
    (tmp_path / "p.tsv").write_text("a\tb\n")
    (tmp_path / "q.tsv").write_text("no tab\n")
    source = Parallel(train="p.tsv", test="q.tsv")
    assert list(source.load(Places(tmp_path), ["train", "validation"])) == ["train"]


@pytest.mark.parametrize(
    ("fields", "faulty"),
    [
        ({"names": []}, "names"),
        ({"names": ["a", "a"]}, "names"),
        ({"names": ["_"]}, "names"),
        ({"test": ["a"]}, "test"),
    ],
)
def test_fields_that_do_not_fit_together_are_faults(fields: dict[str, Any], faulty: str) -> None:
    complete = {"train": None, "validation": None, "test": None, "names": ["tokens", "target"], "empty": "error"}
    assert [field for field, _ in Parallel.check_fields(complete | fields)] == [faulty]
