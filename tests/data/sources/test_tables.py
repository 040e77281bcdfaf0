from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from seqapps.data.sources import tables
from seqapps.data.sources.source import Places
from seqapps.data.sources.tables import Tables
from seqapps.errors import DataError

Load = Callable[..., dict[str, Any]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load one file's content with these fields: column -> rows."""

    def read(name: str, content: str | bytes, **fields: Any) -> dict[str, Any]:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return Tables(train=name, **fields).load(Places(tmp_path))["train"].to_dict()

    return read


def test_cells_stay_as_they_are_written(load: Load) -> None:
    found = load("a.csv", "text,label\nNA,007\n,null\n1e3, x\n")
    assert found == {"text": ["NA", "", "1e3"], "label": ["007", "null", " x"]}


def test_a_quoted_cell_of_csv_holds_commas_line_breaks_and_quotes(load: Load) -> None:
    found = load("a.csv", 'text,label\n"He said ""no"", twice",0\n"two\nlines",1\n5" nails,2\n')
    assert found["text"] == ['He said "no", twice', "two\nlines", '5" nails']


def test_a_lone_quote_in_tsv_is_a_character(load: Load) -> None:
    found = load("a.tsv", 'text\tlabel\n"unclosed\t0\nb"\t1\n"c"\t2\n')
    assert found == {"text": ['"unclosed', 'b"', '"c"'], "label": ["0", "1", "2"]}


def test_quotes_can_be_chosen_against_the_ending(load: Load) -> None:
    assert load("a.tsv", 'text\tlabel\n"a\tb"\t0\n', quotes="double")["text"] == ["a\tb"]
    assert load("a.csv", 'text,label\n"a,0\n', quotes="none")["text"] == ['"a']


def test_a_quote_left_open_is_an_error_with_the_line_where_it_opens(load: Load) -> None:
    with pytest.raises(DataError, match=r"a\.csv:3: .*is a quote left open.*quotes: none"):
        load("a.csv", 'text,label\na,0\n"b,1\nc,2\n')


@pytest.mark.parametrize(
    ("name", "row", "found"), [("a.csv", "1,5,x", 3), ("a.csv", "short", 1), ("a.tsv", "a\tb\tc", 3), ("a.tsv", "a", 1)]
)
def test_a_row_of_another_width_is_an_error_with_file_and_line(load: Load, name: str, row: str, found: int) -> None:
    separator = "," if name == "a.csv" else "\t"
    content = f"text{separator}label\n\nfine{separator}0\n{row}\n"
    with pytest.raises(DataError, match=rf"{name}:4: {found} columns, expected 2 \(text, label\)"):
        load(name, content)


def test_the_line_of_an_error_counts_the_lines_inside_quotes(load: Load) -> None:
    with pytest.raises(DataError, match=r"a\.csv:4: 1 columns"):
        load("a.csv", 'text,label\n"two\nlines",0\nshort\n')


@pytest.mark.parametrize("head", ["text,text", "text,"])
def test_a_first_line_that_names_no_columns_is_an_error(load: Load, head: str) -> None:
    with pytest.raises(DataError, match=r"a\.csv:1: the first line names the columns"):
        load("a.csv", f"{head}\na,b\n")


def test_a_file_without_a_line_of_names_gets_them_from_the_recipe(load: Load) -> None:
    assert load("a.tsv", "a\t0\n", names=["text", "label"]) == {"text": ["a"], "label": ["0"]}


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_lists_are_split_on_white_space(load: Load, name: str) -> None:
    content = {"a.csv": "tokens,tags\n a  b ,X Y\n,\n", "a.jsonl": '{"tokens": " a  b ", "tags": ["X", "Y"]}\n'}[name]
    found = load(name, content, lists=["tokens", "tags"])
    assert (found["tokens"][0], found["tags"][0]) == (["a", "b"], ["X", "Y"])


def test_a_list_column_that_is_not_there_is_an_error(load: Load) -> None:
    with pytest.raises(DataError, match="no column 'token' to make lists of; did you mean 'tokens'"):
        load("a.csv", "tokens\na b\n", lists=["token"])


@pytest.mark.parametrize(
    "content", ['{"a": 1, "b": {"de": "x"}}\n\n{"a": 2.5}\n', '[{"a": 1, "b": {"de": "x"}},\n{"a": 2.5}]']
)
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_json_is_one_object_a_line_or_one_list(load: Load, name: str, content: str) -> None:
    assert load(name, content) == {"a": [1.0, 2.5], "b": [{"de": "x"}, None]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}\n{"a": \n', r"a\.jsonl:2: not JSON"),
        ('{"a": 1}\n3\n', r"a\.jsonl:2: 3 is no object"),
        ('[{"a": 1}, "x"]', r'a\.jsonl:2: "x" is no object'),
        ('{"a": 1}\n\n{"a": 2}\n{"a": "x"}\n', r"""a\.jsonl:4: column 'a' holds "x", of another type"""),
        ('{"a": ["x"]}\n{"a": "x"}\n', r"a\.jsonl:2: column 'a' holds"),
        ("[]", "no rows in the file"),
    ],
)
def test_json_that_is_no_table_is_an_error_with_file_and_line(load: Load, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load("a.jsonl", content)


def test_batches_of_rows_become_one_table(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_BATCH", 2)
    rows = [{"a": None}, {"b": "x"}, {"a": 3}, {"a": 1.5, "b": "y"}, {"a": 2}]
    found = load("a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert found == {"a": [None, None, 3.0, 1.5, 2.0], "b": [None, "x", None, "y", None]}
    with pytest.raises(DataError, match="a column changes its type"):
        load("a.jsonl", '{"a": 1}\n' * 2 + '{"a": "x"}\n')


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
@pytest.mark.parametrize(("name", "content"), [("a.csv", "t\nx\n"), ("a.tsv", "t\nx\n"), ("a.jsonl", '{"t": "x"}\n')])
def test_compressed_files_are_read_as_they_are(
    load: Load, pack: Callable[[bytes], bytes], name: str, content: str
) -> None:
    ending = {gzip.compress: ".gz", lzma.compress: ".xz", bz2.compress: ".bz2"}[pack]
    assert load(name + ending, pack(content.encode())) == {"t": ["x"]}


@pytest.mark.parametrize(("name", "content"), [("a.csv", "t\nx\n"), ("a.tsv", "t\nx\n"), ("a.jsonl", '{"t": "x"}\n')])
def test_a_byte_order_mark_and_windows_line_ends_change_nothing(load: Load, name: str, content: str) -> None:
    assert load(name, "\ufeff" + content.replace("\n", "\r\n")) == {"t": ["x"]}


@pytest.mark.parametrize(("name", "content"), [("a.csv", "t\nschön\n"), ("a.jsonl", '{"t": 1}\n{"t": "schön"}\n')])
def test_bytes_that_are_not_utf8_are_an_error_with_file_and_line(load: Load, name: str, content: str) -> None:
    with pytest.raises(DataError, match=rf"{name}:2: byte .* is 0xf6, not UTF-8"):
        load(name, content.encode("latin-1"))


@pytest.mark.parametrize(("content", "message"), [("", "the file is empty"), ("a,b\n", "no rows in the file")])
def test_an_empty_file_is_an_error(load: Load, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load("a.csv", content)


def write_parquet(path: Path) -> None:
    labels = datasets.ClassLabel(names=["neg", "pos"])
    features = datasets.Features(
        {"tokens": datasets.List(datasets.Value("string")), "words": datasets.Value("string"), "label": labels}
    )
    rows = {"tokens": [["a", "b"], ["c"]], "words": ["a b", "c"], "label": [1, 0]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(path))


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet")
    found = Tables(train="a.parquet", lists=["tokens", "words"]).load(Places(tmp_path))["train"]
    assert found.to_dict() == {"tokens": [["a", "b"], ["c"]], "label": [1, 0], "words": [["a", "b"], ["c"]]}
    assert found.features["label"].names == ["neg", "pos"]


def test_progress_bars_are_as_they_were_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "are_progress_bars_disabled", lambda: False)
    calls = []
    monkeypatch.setattr(datasets, "enable_progress_bars", lambda: calls.append("on"))
    monkeypatch.setattr(datasets, "disable_progress_bars", lambda: calls.append("off"))
    with pytest.raises(KeyError), tables.without_progress_bars():
        raise KeyError
    assert calls == ["off", "on"]


def test_parquet_that_is_none_is_an_error(load: Load, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.parquet: cannot be read as parquet"):
        load("a.parquet", b"hello")
    write_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet\.gz: parquet files are compressed inside"):
        load("b.parquet.gz", gzip.compress((tmp_path / "b.parquet").read_bytes()))


def test_parquet_files_whose_columns_differ_are_an_error(tmp_path: Path) -> None:
    for name, column in (("a", "text"), ("b", "label")):
        parquet.write_table(pa.table({column: ["x"]}), tmp_path / f"{name}.parquet")
    with pytest.raises(DataError, match="cannot be read as parquet"):
        Tables(train=".").load(Places(tmp_path))


def test_a_folder_is_read_file_after_file(tmp_path: Path) -> None:
    for name, content in (("b.csv", "t\ny\n"), ("a.csv", "t\nx\n"), ("notes.md", "no table")):
        (tmp_path / name).write_text(content)
    source = Tables(train=".")
    assert source.load(Places(tmp_path))["train"]["t"][:] == ["x", "y"]
    assert [file.name for file in source.files(Places(tmp_path))] == ["a.csv", "b.csv"]
    (tmp_path / "c.tsv").write_text("t\nz\n")
    with pytest.raises(DataError, match="holds csv and tsv files"):
        source.load(Places(tmp_path))
    assert Tables(train=".", format="tsv").load(Places(tmp_path))["train"]["t"][:] == ["z"]


def test_the_format_can_be_said_where_the_ending_does_not(load: Load) -> None:
    with pytest.raises(DataError, match=r"a\.txt: the ending '\.txt' says no format"):
        load("a.txt", "t\nx\n")
    assert load("a.txt", "t\nx\n", format="tsv") == {"t": ["x"]}


def test_a_split_that_is_not_asked_for_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t\nx\n")
    (tmp_path / "b.csv").write_text("")
    assert list(Tables(train="a.csv", test="b.csv").load(Places(tmp_path), ["train"])) == ["train"]


@pytest.mark.parametrize(
    ("fields", "faulty"), [({"names": ["a", "a"]}, "names"), ({"names": ["a"], "lists": ["b"]}, "lists")]
)
def test_fields_that_do_not_fit_together_are_faults(fields: dict[str, Any], faulty: str) -> None:
    assert [field for field, _ in Tables.check_fields({"names": [], "lists": [], **fields})] == [faulty]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=5)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5))
def test_what_the_csv_module_writes_comes_back(load: Load, rows: list[tuple[str, str]]) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\n").writerows([("left", "right"), *rows])
    found = load("a.csv", written.getvalue())
    assert list(zip(found["left"], found["right"], strict=True)) == rows
