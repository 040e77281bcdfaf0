from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqapps.data.sources.columns import Columns
from seqapps.data.sources.source import Places
from seqapps.errors import DataError

NAMES = ["tokens", "pos_tags", "chunk_tags"]
BIO = """\
He PRP B-NP
reckons VBZ B-VP
the DT B-NP
deficit NN I-NP

Rome NNP B-NP
. . O
"""


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Load one file's text with these fields: column -> rows."""

    def read(text: str, **fields: Any) -> dict[str, Any]:
        (tmp_path / "train.txt").write_text(text, encoding="utf8", newline="")
        source = Columns(**{"names": NAMES, "train": "train.txt", **fields})
        return source.load(Places(tmp_path))["train"].to_dict()

    return read


def test_blank_lines_end_sentences_and_columns_get_their_names(load: Callable[..., dict[str, Any]]) -> None:
    assert load("\n" + BIO + "\n\n") == {
        "tokens": [["He", "reckons", "the", "deficit"], ["Rome", "."]],
        "pos_tags": [["PRP", "VBZ", "DT", "NN"], ["NNP", "."]],
        "chunk_tags": [["B-NP", "B-VP", "B-NP", "I-NP"], ["B-NP", "O"]],
    }


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(load: Callable[..., dict[str, Any]]) -> None:
    assert load("\ufeff" + BIO.replace("\n", "\r\n")) == load(BIO)


def test_columns_named_underscore_and_further_ones_are_left_out(load: Callable[..., dict[str, Any]]) -> None:
    assert load("a x y z\n", names=["tokens", "_", "pos_tags"]) == {"tokens": [["a"]], "pos_tags": [["y"]]}


@pytest.mark.parametrize("start", ["-DOCSTART- -X- -X-", "-DOCSTART-"])
@pytest.mark.parametrize("blank", ["\n", ""])
def test_document_starts_are_left_out_and_nothing_with_them(
    load: Callable[..., dict[str, Any]], start: str, blank: str
) -> None:
    assert load(f"{start}\n{blank}{BIO}\n{start}\n{blank}{BIO}") == load(f"{BIO}\n{BIO}")


def test_too_few_columns_are_an_error_with_file_and_line(load: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(DataError, match=r"train\.txt:3: 2 columns, expected 3 \(tokens, pos_tags, chunk_tags\)"):
        load(BIO.replace("the DT B-NP", "the DT"))


def test_an_empty_column_is_an_error_with_file_and_line(load: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(DataError, match=r"train\.txt:2: column 'pos_tags' is empty"):
        load("a\tx\ty\nb\t\ty\n", separator="tab")


def test_tokens_may_hold_blanks_where_tabs_separate(load: Callable[..., dict[str, Any]]) -> None:
    assert load("New York\tNNP\n", names=["tokens", "pos_tags"], separator="tab")["tokens"] == [["New York"]]


@pytest.mark.parametrize(
    ("written", "scheme"),
    [
        (["I-NP I-NP B-NP O", "I-VP I-NP O"], "iob1"),
        (["B-NP I-NP B-NP O", "B-VP B-NP O"], "bio"),
        (["B-NP E-NP S-NP O", "S-VP S-NP O"], "bioes"),
        (["B-NP E-NP S-NP O", "S-VP B-NP M-NP E-NP"], "bmes"),
    ],
)
def test_each_tag_scheme_is_recognised_and_converted(
    load: Callable[..., dict[str, Any]], written: list[str], scheme: str
) -> None:
    text = "\n".join("".join(f"w t {tag}\n" for tag in sentence.split()) for sentence in written)
    end = ["B-VP", "B-NP", "I-NP", "I-NP"] if scheme == "bmes" else ["B-VP", "B-NP", "O"]
    expected = [["B-NP", "I-NP", "B-NP", "O"], end]
    found = load(text, convert_to="bio")
    assert found["chunk_tags"] == expected
    assert found["pos_tags"] == [["t"] * len(tags) for tags in expected]
    assert load(text, convert_to="bio", scheme=scheme, span_columns=["chunk_tags"])["chunk_tags"] == expected


def test_without_conversion_tags_stay_as_they_are(load: Callable[..., dict[str, Any]]) -> None:
    assert load("a t I-NP\nb t O\nc t I-NP\n")["chunk_tags"] == [["I-NP", "O", "I-NP"]]


def test_a_violated_scheme_is_an_error_with_file_and_line(load: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(DataError, match=r"train\.txt:42: column 'chunk_tags' violates scheme 'bio': 'I-VP' after 'O'"):
        load("a t B-NP\nb t I-NP\nc t O\n\n" * 10 + "a t O\nb t I-VP\n")


def test_scheme_none_takes_the_tags_as_they_are(load: Callable[..., dict[str, Any]]) -> None:
    assert load("a t O\nb t I-VP\nc t B-NP\n", scheme="none")["chunk_tags"] == [["O", "I-VP", "B-NP"]]


def test_a_column_without_spans_cannot_be_made_a_span_column(load: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(DataError, match="column 'pos_tags' follows no tag scheme"):
        load(BIO, span_columns=["pos_tags"])


@pytest.mark.parametrize("fields", [{"scheme": "bio"}, {"convert_to": "bioes"}])
def test_a_scheme_or_conversion_that_finds_no_column_is_an_error(
    load: Callable[..., dict[str, Any]], fields: dict[str, str]
) -> None:
    with pytest.raises(DataError, match=r"train\.txt: no column is recognised as marking spans; .*span_columns"):
        load("a DT x\nb NN y\n", **fields)


def test_a_file_without_any_span_has_nothing_to_convert(load: Callable[..., dict[str, Any]]) -> None:
    assert load("a DT O\nb NN O\n", convert_to="bioes")["chunk_tags"] == [["O", "O"]]


def test_a_no_break_space_belongs_to_the_token(load: Callable[..., dict[str, Any]]) -> None:
    # 10 000 as French writes it, and an ideographic space as a token
    assert load("10\xa0000  CD\tB-NP\n\u3000 PU O\n")["tokens"] == [["10\xa0000", "\u3000"]]


@pytest.mark.parametrize("text", ["\n\n", "-DOCSTART- -X- O\n\n"])
def test_a_file_without_sentences_is_an_error(load: Callable[..., dict[str, Any]], text: str) -> None:
    with pytest.raises(DataError, match="no sentences in the file"):
        load(text)


def test_a_folder_is_read_file_after_file_and_only_the_splits_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "train"
    folder.mkdir()
    (folder / "1.txt").write_text("a x\n")  # ends without a blank line: the next file begins a new sentence
    (folder / "2.txt.gz").write_bytes(gzip.compress(b"b y\n"))
    (tmp_path / "test.txt").write_text("too few\ncolumns\n")
    source = Columns(names=["tokens", "pos_tags"], train="train", test="test.txt")
    places = Places(tmp_path)
    assert source.load(places, ["train", "validation"])["train"]["tokens"] == [["a"], ["b"]]
    assert [file.name for file in source.files(places)] == ["1.txt", "2.txt.gz", "test.txt"]
    with pytest.raises(DataError, match="expected 2"):
        source.load(places)


@pytest.mark.parametrize(
    ("fields", "faulty"),
    [
        ({"names": []}, "names"),
        ({"names": ["_"]}, "names"),
        ({"names": ["a", "a"]}, "names"),
        ({"span_columns": ["chunks"]}, "span_columns"),
        ({"scheme": "none", "convert_to": "bio"}, "scheme"),
    ],
)
def test_fields_that_do_not_fit_together_are_faults(fields: dict[str, Any], faulty: str) -> None:
    complete = {"names": NAMES, "span_columns": [], "scheme": "auto", "convert_to": "none", **fields}
    assert [field for field, _ in Columns.check_fields(complete)] == [faulty]
