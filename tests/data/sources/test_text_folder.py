from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from seqapps.data.sources.source import Places
from seqapps.data.sources.text_folder import TextFolder
from seqapps.errors import DataError

TEXTS = {"neg/0_3.txt": "dull", "neg/1_1.txt": "schlecht\n烂片\n", "neg/2_2.txt": "no", "pos/0_9.txt": "lovely"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in TEXTS.items():
        put(tmp_path / "train" / name, text)
    return tmp_path


def put(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def load(folder: Path, **fields: Any) -> list[tuple[str, str]]:
    found = TextFolder(**{"train": "train", **fields}).load(Places(folder))["train"]
    return [(row["tokens"], row["label"]) for row in found]


def test_a_folder_is_a_label_and_labels_take_turns(folder: Path) -> None:
    put(folder / "train" / "urls_pos.txt", "http://example.org")
    put(folder / "train" / "pos" / "notes.md", "not a text")
    put(folder / "train" / "pos" / "1_8.txt.gz", gzip.compress(b"fine"))
    expected = [("dull", "neg"), ("lovely", "pos"), ("schlecht\n烂片", "neg"), ("fine", "pos"), ("no", "neg")]
    assert load(folder) == expected


def test_a_folder_that_is_no_label_is_left_out_by_name(folder: Path) -> None:
    put(folder / "train" / "unsup" / "0_0.txt", "whatever")
    assert {label for _, label in load(folder)} == {"neg", "pos", "unsup"}
    assert len(load(folder, labels=["pos", "neg"], leave_out=["unsup"])) == len(TEXTS)


def test_a_label_that_is_not_declared_is_an_error(folder: Path) -> None:
    put(folder / "train" / "unsup" / "0_0.txt", "whatever")
    with pytest.raises(DataError, match=r"train/unsup: 'unsup' is not among 'labels'; .*neg, pos; .*'leave_out'"):
        load(folder, labels=["pos", "neg"])


def test_a_declared_label_without_a_folder_is_an_error(folder: Path) -> None:
    with pytest.raises(DataError, match=r"train: no folder for the label 'neu'; did you mean 'neg'\?"):
        load(folder, labels=["pos", "neg", "neu"])


def test_a_label_without_texts_is_an_error(folder: Path) -> None:
    put(folder / "train" / "other" / "readme.md", "x")
    with pytest.raises(DataError, match=r"train/other: no texts \(\.txt\) for the label 'other'"):
        load(folder)


def test_an_empty_text_is_an_error_with_its_file(folder: Path) -> None:
    put(folder / "train" / "pos" / "1.txt", " \n\n")
    with pytest.raises(DataError, match=r"pos/1\.txt: no text in the file"):
        load(folder)
    put(folder / "train" / "pos" / "1.txt", "")
    with pytest.raises(DataError, match=r"pos/1\.txt: the file is empty"):
        load(folder)


def test_bytes_that_are_not_utf8_are_an_error_with_file_and_line(folder: Path) -> None:
    put(folder / "train" / "pos" / "1.txt", b"gut\nsch\xf6n")
    with pytest.raises(DataError, match=r"pos/1\.txt:2: byte 4 of the line is 0xf6"):
        load(folder)


def test_what_is_no_folder_of_folders_is_an_error(folder: Path) -> None:
    with pytest.raises(DataError, match="neg: no folders in it; expected one for each label"):
        load(folder, train="train/neg")
    with pytest.raises(DataError, match=r"0_3\.txt: is a file; name the folder"):
        load(folder, train="train/neg/0_3.txt")
    with pytest.raises(DataError, match="names no folder; set one of train, validation, test"):
        load(folder, train=None)


def test_only_the_splits_asked_for_are_read(folder: Path) -> None:
    source = TextFolder(train="train", test="nowhere")
    assert list(source.load(Places(folder), ["train"])) == ["train"]
    with pytest.raises(DataError, match="nowhere: no such file"):
        source.files(Places(folder))
    assert len(TextFolder(train="train").files(Places(folder))) == len(TEXTS)


@pytest.mark.parametrize(
    ("labels", "leave_out", "faulty"), [(["a", "a"], [], "labels"), (["a", "b"], ["b"], "leave_out")]
)
def test_fields_that_do_not_fit_together_are_faults(labels: list[str], leave_out: list[str], faulty: str) -> None:
    assert [field for field, _ in TextFolder.check_fields({"labels": labels, "leave_out": leave_out})] == [faulty]
