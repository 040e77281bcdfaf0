from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from seqapps.data.sources.reading import bare_suffix, files_of, lines_of, split_files
from seqapps.data.sources.source import Places
from seqapps.errors import DataError

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
}


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_a_file_is_read_plain_or_compressed_by_its_ending(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.txt{ending}"
    path.write_bytes(COMPRESSIONS[ending]("straße\n東京\n".encode()))
    assert list(lines_of(path)) == [(1, "straße"), (2, "東京")]


@pytest.mark.parametrize("ending", [".gz", ".xz", ".bz2"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "plain"])
def test_a_damaged_compressed_file_is_named(tmp_path: Path, ending: str, damage: str) -> None:
    content = bytes(range(256)) * 40
    packed = bytearray(COMPRESSIONS[ending](content.hex().encode()))
    packed[len(packed) // 2] ^= 0xFF
    path = tmp_path / f"a.txt{ending}"
    path.write_bytes({"cut": bytes(packed[:-12]), "flipped": bytes(packed), "plain": b"words\n"}[damage])
    with pytest.raises(DataError, match=f"{path.name}: cannot be read"):
        list(lines_of(path))


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbffirst\r\n\r\nlast")
    assert list(lines_of(path)) == [(1, "first"), (2, ""), (3, "last")]


def test_bytes_that_are_not_utf8_are_an_error_with_file_line_and_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("gut\nschön\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"a\.txt:2: byte 4 of the line is 0xf6, not UTF-8"):
        list(lines_of(path))


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(DataError, match=r"a\.txt: the file is empty"):
        list(lines_of(tmp_path / "a.txt"))


def test_a_folder_gives_its_files_by_name_and_those_with_the_endings_only(tmp_path: Path) -> None:
    for name in ("b.txt", "a.TXT.gz", "c.md", ".hidden.txt"):
        (tmp_path / name).touch()
    (tmp_path / "inner.txt").mkdir()
    assert [file.name for file in files_of(tmp_path)] == ["a.TXT.gz", "b.txt", "c.md"]
    assert [file.name for file in files_of(tmp_path, [".txt"])] == ["a.TXT.gz", "b.txt"]
    with pytest.raises(DataError, match=r"no files ending in \.conllu"):
        files_of(tmp_path, [".conllu"])


def test_the_ending_of_a_file_is_the_one_before_its_compression() -> None:
    assert [bare_suffix(Path(name)) for name in ("a.csv", "a.b.CSV.gz", "a.gz", "a")] == [".csv", ".csv", "", ""]


def test_splits_are_found_under_the_data_root_before_the_recipe_folder(tmp_path: Path) -> None:
    for folder in ("root", "recipes"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train.txt").touch()
    (tmp_path / "recipes" / "test.txt").touch()
    places = Places(tmp_path / "recipes", tmp_path / "root")
    named = {"train": "train.txt", "validation": None, "test": "test.txt"}
    assert split_files(places, named) == {
        "train": [tmp_path / "root" / "train.txt"],
        "test": [tmp_path / "recipes" / "test.txt"],
    }
    assert list(split_files(places, named, splits=["test", "validation"])) == ["test"]


def test_a_missing_file_is_named_with_every_place_it_was_looked_for(tmp_path: Path) -> None:
    places = Places(tmp_path / "recipes", tmp_path / "root")
    with pytest.raises(
        DataError, match=r"gone\.txt: no such file; looked for .*root.gone\.txt and .*recipes.gone\.txt"
    ):
        split_files(places, {"train": "gone.txt"})


@pytest.mark.parametrize("name", [None, ""])
def test_a_source_without_any_file_is_an_error(name: str | None) -> None:
    with pytest.raises(DataError, match="names no file; set one of train, test"):
        split_files(Places(), {"train": name, "test": None})
