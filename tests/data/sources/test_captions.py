from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from seqapps.data.image_files import image_places, read_images
from seqapps.data.sources.captions import Captions
from seqapps.data.sources.source import Places
from seqapps.data.sources.vector_captions import VectorCaptions
from seqapps.errors import DataError

FLICKR = "a.png#0\tA dog .\na.png#1\tTwo dogs\t.\nb.png#0\tA cat .\nc.png#0\tA cow .\n"
VECTORS = {"a.png": [1.0, 2.0], "b.png": [3.0, 4.0], "c.png": [5.0, 6.0]}


def here(row: int) -> str:
    return f"here, row {row + 1}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Captions of three images, the images in a folder and in an archive, and lists of two splits."""
    (tmp_path / "captions.txt").write_text(FLICKR, encoding="utf8")
    (tmp_path / "images").mkdir()
    for number, name in enumerate("abc"):
        Image.new("RGB", (4, 4), (number, 10, 20)).save(tmp_path / "images" / f"{name}.png")
    with tarfile.open(tmp_path / "images.tar", "w") as archive:
        archive.add(tmp_path / "images", "some/folder")
    (tmp_path / "train.txt").write_text("c.png\na.png\n")
    (tmp_path / "test.txt").write_text("b.png\n\n")
    return tmp_path


def load(folder: Path, **fields: Any) -> dict[str, Any]:
    source = Captions(**{"captions": "captions.txt", "images": "images", **fields})
    return {split: dataset.to_dict() for split, dataset in source.load(Places(folder)).items()}


def load_vectors(folder: Path, **fields: Any) -> dict[str, Any]:
    source = VectorCaptions(**{"captions": "captions.txt", "vectors": "vectors.npz", **fields})
    return {split: dataset.to_dict() for split, dataset in source.load(Places(folder)).items()}


def test_without_lists_every_image_is_a_training_row_with_all_its_captions(folder: Path) -> None:
    loaded = load(folder)
    assert list(loaded) == ["train"]
    assert loaded["train"]["captions"] == [["A dog .", "Two dogs\t."], ["A cat ."], ["A cow ."]]
    assert loaded["train"]["name"] == ["a.png", "b.png", "c.png"]
    assert loaded["train"]["image"][0] == str(folder / "images" / "a.png")


def test_lists_say_which_images_make_up_a_split_and_in_which_order(folder: Path) -> None:
    loaded = load(folder, train="train.txt", test="test.txt")
    assert {split: rows["name"] for split, rows in loaded.items()} == {"train": ["c.png", "a.png"], "test": ["b.png"]}


def test_files_are_all_that_is_read(folder: Path) -> None:
    source = Captions(captions="captions.txt", images="images.tar", train="train.txt")
    assert [path.name for path in source.files(Places(folder))] == ["captions.txt", "train.txt", "images.tar"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.tsv", "image\tcaption\na.png\tone\na.png\ttwo\n"),
        ("c.jsonl", '{"file_name": "a.png", "captions": ["one", " two "]}\n\n'),
        ("c.jsonl", '{"image": "a.png", "caption": "one"}\n{"image": "a.png", "text": "two"}\n'),
    ],
)
def test_captions_come_in_several_forms(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    assert load(folder, captions=name)["train"]["captions"] == [["one", "two"]]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.txt", "a.png#0\tx\nb.png#0 y\n", r"c\.txt:2: no tab in the line"),
        ("c.txt", "a.png#0\t \n", r"c\.txt:1: no caption of 'a\.png'"),
        ("c.jsonl", '{"image": "a.png"}\n', r"c\.jsonl:1: an image, its caption or both are missing"),
        ("c.jsonl", '{"image": "a.png", "captions": []}\n', r"c\.jsonl:1: no caption of 'a\.png'"),
        ("c.jsonl", "{\n", r"c\.jsonl:1: not JSON"),
        ("c.txt", "\n", r"c\.txt: no captions"),
    ],
)
def test_a_line_without_image_or_caption_is_an_error_with_file_and_line(
    folder: Path, name: str, text: str, message: str
) -> None:
    (folder / name).write_text(text)
    with pytest.raises(DataError, match=message):
        load(folder, captions=name)


@pytest.mark.parametrize("images", ["images", "images.tar"])
def test_missing_images_are_counted_and_three_are_named(folder: Path, images: str) -> None:
    (folder / "captions.txt").write_text(FLICKR + "".join(f"{n}.png\tx\n" for n in range(5)))
    with pytest.raises(DataError, match=rf"5 images \(0\.png, 1\.png, 2\.png, \.\.\.\) are not in .*{images}"):
        load(folder, images=images)


def test_a_list_that_names_unknown_images_is_an_error(folder: Path) -> None:
    (folder / "test.txt").write_text("b.png\nz.png\n")
    with pytest.raises(DataError, match=r"test\.txt: 1 image \(z\.png\) has no caption in .*captions\.txt"):
        load(folder, test="test.txt")


def test_an_image_in_two_splits_is_an_error(folder: Path) -> None:
    (folder / "test.txt").write_text("a.png\n")
    with pytest.raises(DataError, match=r"test\.txt: 1 image \(a\.png\) in split 'train' as well"):
        load(folder, train="train.txt", test="test.txt")


def test_a_name_twice_in_a_list_is_an_error_with_both_lines(folder: Path) -> None:
    (folder / "test.txt").write_text("b.png\nc.png\nb.png\n")
    with pytest.raises(DataError, match=r"test\.txt:3: 'b\.png' stands on line 1 already"):
        load(folder, test="test.txt")


def test_images_of_a_folder_and_of_an_archive_are_the_same(folder: Path) -> None:
    plain = read_images(load(folder)["train"]["image"], 4, here)
    packed = read_images(load(folder, images="images.tar")["train"]["image"], 4, here)
    assert (plain == packed).all()
    assert (plain[2] == np.array([2, 10, 20])[:, None, None]).all()


def test_only_folders_that_all_members_of_an_archive_are_in_may_be_left_out(folder: Path) -> None:
    with tarfile.open(folder / "images.tar", "a") as archive:
        archive.add(folder / "images" / "a.png", "some/a.png")
    found = image_places(folder / "images.tar", ["a.png", "folder/a.png", "some/folder/a.png", "b.png"])
    assert {name: place.split("::")[0] for name, place in found.items()} == {
        "a.png": "tar://some/a.png",
        "folder/a.png": "tar://some/folder/a.png",
        "some/folder/a.png": "tar://some/folder/a.png",
    }


def test_an_archive_made_inside_its_folder_holds_names_as_they_are(folder: Path) -> None:
    with tarfile.open(folder / "images.tar", "w") as archive:
        archive.add(folder / "images", ".")
    assert load(folder, images="images.tar")["train"]["name"] == ["a.png", "b.png", "c.png"]


def test_a_compressed_archive_is_an_error_that_says_so(folder: Path) -> None:
    with tarfile.open(folder / "images.tar.gz", "w:gz") as archive:
        archive.add(folder / "images", ".")
    with pytest.raises(DataError, match=r"images\.tar\.gz: neither a folder nor a tar archive .*decompress"):
        load(folder, images="images.tar.gz")


def png(pixels: list[list[tuple[int, ...]]], mode: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.array(pixels, np.uint8), mode).save(stream, "png")
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore:'mode' parameter:DeprecationWarning")
def test_pixels_are_red_green_blue_from_the_top_left_on() -> None:
    image = png([[(1, 2, 3), (4, 5, 6)], [(7, 8, 9), (10, 11, 12)]], "RGB")
    assert read_images([image], 2, here).tolist() == [[[[1, 4], [7, 10]], [[2, 5], [8, 11]], [[3, 6], [9, 12]]]]


@pytest.mark.filterwarnings("ignore:'mode' parameter:DeprecationWarning")
def test_what_is_transparent_is_white() -> None:
    image = png([[(0, 0, 0, 0), (9, 9, 9, 255)]] * 2, "RGBA")
    assert read_images([{"bytes": image, "path": None}], 2, here)[0, :, 0].tolist() == [[255, 9]] * 3


def test_images_are_stretched_to_a_square() -> None:
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((8, 32)).save(stream, "png")
    pixels = read_images([stream.getvalue()], 4, here)[0]
    assert pixels.shape == (3, 4, 4)
    assert (np.diff(pixels[0, :, 0].astype(int)) > 50).all()


@pytest.mark.parametrize("images", ["images", "images.tar"])
def test_an_image_that_cannot_be_decoded_is_named(folder: Path, images: str) -> None:
    (folder / "images" / "b.png").write_bytes(b"\x89PNG no more")
    with tarfile.open(folder / "images.tar", "w") as archive:
        archive.add(folder / "images", "images")
    found = load(folder, images=images)["train"]["image"]
    with pytest.raises(DataError, match=r"split 'train', row 2: .*b\.png.* cannot be decoded") as error:
        read_images(found, 4, lambda row: f"split 'train', row {row + 1}")
    assert "\n" not in str(error.value)


def test_an_image_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"here, row 1: .*gone\.png cannot be read \(No such file"):
        read_images([str(tmp_path / "gone.png")], 4, here)


def test_images_without_pillow_are_answered_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(DataError, match=r"pip install 'seqapps\[images\]'"):
        read_images([], 4, here)


def save_by_name(path: Path) -> None:
    np.savez(path, **{name: np.array(vector, np.float32) for name, vector in reversed(VECTORS.items())})


def save_names_and_features(path: Path) -> None:
    np.savez(path, names=np.array(list(VECTORS)), features=np.array(list(VECTORS.values()), np.float16))


def save_tensors(path: Path) -> None:
    save_file({name: np.array(vector, np.float64) for name, vector in VECTORS.items()}, path)


def save_rows(path: Path) -> None:
    np.save(path, np.array(list(VECTORS.values()), ">f4"))
    path.with_name("names.txt").write_text("\n".join(VECTORS))


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("v.npz", save_by_name),
        ("v.npz", save_names_and_features),
        ("v.safetensors", save_tensors),
        ("v.npy", save_rows),
    ],
    ids=["npz by name", "npz names and features", "safetensors", "npy"],
)
def test_vectors_come_in_several_forms(folder: Path, name: str, save: Callable[[Path], None]) -> None:
    save(folder / name)
    names = {"names": "names.txt"} if name == "v.npy" else {}
    loaded = load_vectors(folder, vectors=name, train="train.txt", test="test.txt", **names)
    assert loaded["train"] == {
        "vector": [[5.0, 6.0], [1.0, 2.0]],
        "captions": [["A cow ."], ["A dog .", "Two dogs\t."]],
        "name": ["c.png", "a.png"],
    }
    assert loaded["test"]["vector"] == [[3.0, 4.0]]


def test_regions_may_be_as_many_for_every_image_or_not(folder: Path) -> None:
    regions = np.arange(24, dtype=np.float32).reshape(3, 4, 2)
    np.savez(folder / "same.npz", names=np.array(list(VECTORS)), features=regions)
    cut = {name: regions[number, : number + 1] for number, name in enumerate(VECTORS)}
    np.savez(folder / "several.npz", **cut)
    fields = {"train": "train.txt", "test": "test.txt"}
    same = load_vectors(folder, vectors="same.npz", **fields)["train"]["vector"]
    assert same == [regions[2].tolist(), regions[0].tolist()]
    several = load_vectors(folder, vectors="several.npz", **fields)["train"]["vector"]
    assert several == [cut["c.png"].tolist(), cut["a.png"].tolist()]


def test_a_vector_of_another_size_is_named(folder: Path) -> None:
    np.savez(folder / "vectors.npz", **{**{k: np.zeros(2) for k in VECTORS}, "b.png": np.zeros(3)})
    with pytest.raises(DataError, match=r"vectors\.npz: 'b\.png' has shape \(3\), 'a\.png' \(2\)"):
        load_vectors(folder)


def test_missing_vectors_are_counted_and_named(folder: Path) -> None:
    np.savez(folder / "vectors.npz", **{"a.png": np.zeros(2)})
    with pytest.raises(DataError, match=r"captions\.txt: 2 images \(b\.png, c\.png\) have no vectors in"):
        load_vectors(folder)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 5)), r"2 rows for 3 names"),
        (np.zeros((2, 5), complex), r"features is complex128 of shape \(2, 5\); expected numbers in 2 or 3"),
        (np.zeros(3), r"features is float64 of shape \(3\)"),
    ],
)
def test_an_array_that_does_not_fit_its_names_is_an_error(folder: Path, array: np.ndarray, message: str) -> None:
    np.save(folder / "v.npy", array)
    (folder / "names.txt").write_text("\n".join(VECTORS))
    with pytest.raises(DataError, match=message):
        load_vectors(folder, vectors="v.npy", names="names.txt")


@pytest.mark.parametrize("name", ["v.npz", "v.npy", "v.safetensors"])
def test_a_damaged_file_of_vectors_is_an_error(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"nothing of the kind")
    (folder / "names.txt").write_text("\n".join(VECTORS))
    with pytest.raises(DataError, match=rf"{name}: cannot be read as"):
        load_vectors(folder, vectors=name, names="names.txt")


def test_a_file_of_rows_needs_names() -> None:
    fields = {"vectors": "v.npy", "names": None}
    assert VectorCaptions.check_fields(fields) == [
        ("names", "v.npy holds no names; give a file with the image of each row")
    ]


def test_an_array_is_memory_mapped_until_its_rows_are_taken(tmp_path: Path) -> None:
    from seqapps.data.vector_files import read_named_vectors

    np.save(tmp_path / "v.npy", np.ones((3, 4, 2), np.float16))
    assert isinstance(read_named_vectors(tmp_path / "v.npy", ["a", "b", "c"]).values, np.memmap)


def test_captions_in_json_may_hold_any_script(folder: Path) -> None:
    text = json.dumps({"image": "a.png", "captions": ["两只狗", "zwei Hunde, größer"]}, ensure_ascii=False)
    (folder / "c.jsonl").write_text(text, encoding="utf8")
    assert load(folder, captions="c.jsonl")["train"]["captions"] == [["两只狗", "zwei Hunde, größer"]]
