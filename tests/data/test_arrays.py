"""Vectors, images and several texts, from a source's columns to a batch."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import Array2D, Dataset, Features, Image, Value
from PIL import Image as Pictures

from seqapps.data.arrays import ArrayColumn, array_column, read_arrays
from seqapps.data.indexed import IndexedSplit
from seqapps.data.requests import Request, array_requests
from seqapps.data.resources import Resources
from seqapps.data.several import with_references
from seqapps.engine.assembly import fingerprint, forms_of
from seqapps.errors import ComponentError, DataError

VECTOR = Request("vector", "vector", "vector")
PICTURE = Request("image", "image", "image", size=2)
CAPTIONS = Request("captions", "captions", "target", frame="sentence", several=True)
REGIONS = [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]], [[7.0, 8.0], [9.0, 10.0], [11.0, 12.0]]]


def here(row: int) -> str:
    return f"here, row {row + 1}"


def picture(value: int) -> bytes:
    stream = io.BytesIO()
    Pictures.new("RGB", (2, 2), (value, 0, 255)).save(stream, "png")
    return stream.getvalue()


def split(data: Dataset, *requests: Request, every: bool = True) -> IndexedSplit:
    asked = {request.key: request for request in requests}
    data = with_references(data, {r.column for r in requests if r.several}, "train", str.split)
    columns = forms_of(data, asked, "train", every=every)
    return IndexedSplit(columns, Resources.build(asked, columns), "train")


def read(things: Any, request: Request = VECTOR) -> ArrayColumn:
    return read_arrays(Dataset(pa.table({request.column: things})), request, "train")


def test_vectors_of_rows_are_padded_to_the_longest_list() -> None:
    field = read(pa.array(REGIONS)).field(np.array([1, 2]))
    assert field.values.tolist() == [[[5, 6], [0, 0], [0, 0]], [[7, 8], [9, 10], [11, 12]]]
    assert field.lengths.tolist() == [1, 3]
    assert str(field.values.dtype) == "torch.float32"


@pytest.mark.parametrize("type_", [pa.list_(pa.float16(), 2), pa.list_(pa.float64()), pa.large_list(pa.int8())])
def test_a_row_of_one_vector_is_a_list_of_one(type_: pa.DataType) -> None:
    rows = np.array([[1, 2], [3, 4]])
    if type_ == pa.list_(pa.float16(), 2):
        array = pa.FixedSizeListArray.from_arrays(pa.array(rows.astype(np.float16).reshape(-1)), 2)
    else:
        array = pa.array(rows.tolist(), type_)
    field = read(array).field(np.array([1, 0]))
    assert field.values.tolist() == [[[3, 4]], [[1, 2]]]
    assert field.lengths.tolist() == [1, 1]


def test_rows_of_a_selection_and_arrays_of_the_hub_are_read() -> None:
    features = Features({"vector": Array2D((2, 2), "float32")})
    data = Dataset.from_dict({"vector": [REGIONS[0], [[0.0, 1.0]] * 2, [[2.0, 3.0]] * 2]}, features=features)
    field = read_arrays(data.select([2, 0]), VECTOR, "train").field(np.array([0, 1]))
    assert field.values.tolist() == [[[2, 3], [2, 3]], REGIONS[0]]


@pytest.mark.parametrize(
    ("things", "message"),
    [
        ([[1.0, 2.0], [1.0]], r"split 'train', row 2: a vector of 1 numbers in column 'vector', the first has 2"),
        ([[[1.0, 2.0]], [[1.0, 2.0], [1.0]]], r"row 2: a vector of 1 numbers"),
        ([[1.0], None], r"row 2: column 'vector' is empty \(null\)"),
        ([[[1.0]], []], r"row 2: column 'vector' holds no vector"),
        ([[1.0, 2.0], [1.0, float("nan")]], r"row 2: column 'vector' holds a number that is not finite"),
        ([[1.0, None]], r"column 'vector' holds list<.*>, expected vectors"),
        (["a"], r"column 'vector' holds string, expected vectors"),
    ],
)
def test_a_row_that_is_no_vector_of_the_size_of_the_others_is_named(things: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(pa.array(things))


def test_images_are_decoded_once_and_handed_out_as_they_are() -> None:
    column = read(pa.array([picture(1), picture(2), picture(1)]), PICTURE)
    assert column.values.shape == (2, 3, 2, 2)
    field = column.field(np.array([2, 1]))
    assert field.values[:, :, 0, 0].tolist() == [[1, 0, 255], [2, 0, 255]]
    assert field.lengths.tolist() == [1, 1]


def test_images_of_the_hub_are_read() -> None:
    rows = [{"bytes": picture(7), "path": None}, {"bytes": picture(8), "path": "a.png"}]
    data = Dataset.from_dict({"image": rows}, features=Features({"image": Image()}))
    assert read_arrays(data, PICTURE, "train").values[:, 0, 0, 0].tolist() == [7, 8]


def test_an_image_costs_as_much_of_a_budget_as_it_has_squares_of_eight_pixels() -> None:
    column = array_column(PICTURE._replace(size=32), [picture(1)] * 3, here)
    assert column.lengths.tolist() == [16, 16, 16]


def test_each_caption_is_an_example_of_its_image_and_arrays_are_not_repeated() -> None:
    data = Dataset.from_dict({"vector": REGIONS[:2], "captions": [["a b", "c"], ["b"]]})
    found = split(data, VECTOR, CAPTIONS)
    assert [found.strings("captions", row) for row in range(len(found))] == [["a", "b"], ["c"], ["b"]]
    assert found.lengths.tolist() == [2 + 3, 2 + 2, 1 + 2]
    batch = found.batch(np.array([0, 1, 2]))
    assert batch.fields["vector"].values[0].tolist() == batch.fields["vector"].values[1].tolist() == REGIONS[0]
    assert batch.fields["captions"].lengths.tolist() == [3, 2, 2]
    assert batch.tokens == 7
    assert found.columns["vector"].values.shape == (3, 2)
    assert [len(found.references("captions", row)[1]) for row in range(3)] == [2, 2, 1]


def test_in_an_evaluation_each_image_counts_once_and_all_its_captions_are_references() -> None:
    data = Dataset.from_dict({"vector": REGIONS[:2], "captions": [["a  b", "c"], ["b"]], "name": ["x.png", "y.png"]})
    found = split(data, VECTOR, CAPTIONS, every=False)
    assert [found.strings("captions", row) for row in range(len(found))] == [["a", "b"], ["b"]]
    assert [found.strings("references", row) for row in range(len(found))] == [["a  b", "c"], ["b"]]
    assert found.strings("name", 1) == ["y.png"]
    assert found.references("captions", 0) == (["a  b", "c"], [["a", "b"], ["c"]])
    assert found.references("captions", 1) == (["b"], [["b"]])


def test_a_caption_may_be_a_single_text_and_captions_may_be_in_tokens() -> None:
    single = split(Dataset.from_dict({"vector": REGIONS[:2], "captions": ["a b", "c"]}), VECTOR, CAPTIONS)
    assert [single.strings("references", row) for row in range(2)] == [["a b"], ["c"]]
    tokens = split(Dataset.from_dict({"vector": REGIONS[:1], "captions": [[["a", "b"], ["c"]]]}), VECTOR, CAPTIONS)
    assert [tokens.strings("captions", row) for row in range(2)] == [["a", "b"], ["c"]]
    assert tokens.strings("references", 0) == ["a b", "c"]


@pytest.mark.parametrize("captions", [["a", None], [["a"], []], [["a"], None]])
def test_a_row_without_a_caption_is_named(captions: list[Any]) -> None:
    with pytest.raises(DataError, match=r"split 'train', row 2: column 'captions' holds no text"):
        split(Dataset.from_dict({"vector": REGIONS[:2], "captions": captions}), VECTOR, CAPTIONS)


def test_what_stands_beside_several_texts_goes_with_each_of_them() -> None:
    data = Dataset.from_dict({"tokens": [["x", "y"], ["z"]], "captions": [["a b", "c"], ["b"]]})
    found = split(data, Request("tokens", "tokens"), CAPTIONS)
    assert [found.strings("tokens", row) for row in range(3)] == [["x", "y"], ["x", "y"], ["z"]]
    assert found.lengths.tolist() == [2, 2, 1]


def test_sizes_are_resources_and_vectors_of_another_size_are_refused() -> None:
    found = split(Dataset.from_dict({"vector": REGIONS}), VECTOR)
    assert found.resources.sizes == {"vector": 2}
    assert Resources.from_json(found.resources.to_json()).sizes == {"vector": 2}
    with pytest.raises(DataError, match=r"split 'input': column 'vector' holds vectors of 3 numbers, .* of 2"):
        IndexedSplit({"vector": array_column(VECTOR, [[1, 2, 3]], here)}, found.resources, "input")


def test_what_is_no_vector_is_refused_when_predicting() -> None:
    with pytest.raises(DataError, match=r"here, row 1: 'vector' holds no vector"):
        array_column(VECTOR, [[1, "a"]], here)


def test_a_fingerprint_knows_values_and_which_row_they_belong_to() -> None:
    first = read(pa.array(REGIONS))
    prints = {fingerprint({"vector": column}) for column in (first, read(pa.array(REGIONS)))}
    assert len(prints) == 1
    other = read(pa.array([[[1.0, 2.5], [3.0, 4.0]], *REGIONS[1:]]))
    for column in (other, first.taken(np.array([0, 2, 1])), read(pa.array([[*REGIONS[0], *REGIONS[1]], REGIONS[2]]))):
        prints.add(fingerprint({"vector": column}))
    assert len(prints) == 4


def test_parts_of_a_model_agree_on_the_size_of_an_image() -> None:
    with pytest.raises(ComponentError, match=r"column 'image' differently"):
        array_requests({"a": PICTURE, "b": Request("b", "image", "image", size=3)})


def test_the_type_of_a_column_of_names_does_not_matter() -> None:
    data = Dataset.from_dict(
        {"vector": REGIONS, "name": [1, 2, 3]},
        features=Features({"vector": [[Value("float32")]], "name": Value("int64")}),
    )
    assert split(data, VECTOR).strings("name", 2) == ["3"]


def test_of_several_vectors_their_mean_stands_for_a_thing() -> None:
    assert read(pa.array(REGIONS)).vectors().tolist() == [[2, 3], [5, 6], [9, 10]]


def test_of_an_image_the_mean_colours_of_64_parts_stand_for_it() -> None:
    stream = io.BytesIO()
    left = Pictures.new("RGB", (16, 16), (0, 0, 0))
    left.paste((255, 0, 0), (8, 0, 16, 16))
    left.save(stream, "png")
    column = array_column(PICTURE._replace(size=16), [stream.getvalue()], here)
    red, green, _ = column.vectors().reshape(3, 8, 8)
    assert red[3].tolist() == pytest.approx([-1] * 4 + [1] * 4)
    assert (green == -1).all()
    tiny = array_column(PICTURE._replace(size=4), [stream.getvalue()], here).vectors()
    assert tiny.shape == (1, 192)
    assert np.isfinite(tiny).all()


def test_texts_of_training_are_recognised_after_they_were_saved_and_cannot_be_read() -> None:
    data = Dataset.from_dict({"vector": REGIONS[:2], "captions": [["A b", "c"], ["b"]]})
    resources = split(data, VECTOR, CAPTIONS._replace(lowercase=True)).resources
    saved = json.loads(json.dumps(resources.to_json()))
    seen = Resources.from_json(saved).seen_texts["captions"]
    assert [seen.holds(tokens) for tokens in (["a", "b"], ["c"], ["A", "b"], ["a"], ["ab"])] == [
        True,
        True,
        *[False] * 3,
    ]
    assert all(len(digest) == 16 for digest in saved["seen_texts"]["captions"])
