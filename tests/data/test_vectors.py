from __future__ import annotations

import gzip
import lzma
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from seqapps.data.vectors import Vectors, read_vectors
from seqapps.errors import DataError

SIZE = 12
WORDS = ["the", "New_York", "straße", "東京", ",", "1", "the", "Paris"]
ROWS = np.random.default_rng(0).normal(size=(len(WORDS), SIZE)).astype(np.float32)


def lines(words: list[str], rows: np.ndarray, end: str = "\n") -> bytes:
    return b"".join(
        f"{word} {' '.join(map(repr, row.tolist()))}{end}".encode() for word, row in zip(words, rows, strict=True)
    )


def header(words: list[str], rows: np.ndarray) -> bytes:
    return b"%d %d\n" % rows.shape


def binary(words: list[str], rows: np.ndarray, end: bytes = b"") -> bytes:
    return header(words, rows) + b"".join(
        word.encode() + b" " + row.astype("<f4").tobytes() + end for word, row in zip(words, rows, strict=True)
    )


FORMATS = {
    "GloVe": lines,
    "header": lambda w, r: header(w, r) + lines(w, r),
    "fastText, spaces before line breaks": lambda w, r: header(w, r) + lines(w, r, " \n"),
    "line breaks of Windows": lambda w, r: b"%d %d\r\n" % r.shape + lines(w, r, "\r\n"),
    "no line break at the end": lambda w, r: lines(w, r)[:-1],
    "binary": binary,
    "binary with line breaks": lambda w, r: binary(w, r, b"\n"),
}


@pytest.fixture
def written(tmp_path):
    def write(content: bytes) -> Path:
        path = tmp_path / "vectors"
        path.write_bytes(content)
        return path

    return write


def as_dict(vectors: Vectors) -> dict[str, list[float]]:
    return dict(zip(vectors.words, vectors.rows.tolist(), strict=True))


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress], ids=["plain", "gz", "xz"])
@pytest.mark.parametrize("made", FORMATS.values(), ids=FORMATS)
def test_every_format_gives_the_rows_of_the_wanted_words(made, compress, written):
    vectors = read_vectors(written(compress(made(WORDS, ROWS))), ["Paris", "the", "東京", "unheard"])
    assert vectors.size == SIZE
    assert vectors.rows.dtype == np.float32
    expected = {"the": ROWS[0], "東京": ROWS[3], "Paris": ROWS[7]}  # the first of two rows counts
    assert as_dict(vectors) == {word: row.tolist() for word, row in expected.items()}


@pytest.mark.parametrize("made", FORMATS.values(), ids=FORMATS)
def test_nothing_found_keeps_the_size(made, written):
    vectors = read_vectors(written(made(WORDS, ROWS)), ["unheard"])
    assert (vectors.words, vectors.rows.shape) == ([], (0, SIZE))


@pytest.mark.parametrize("made", FORMATS.values(), ids=FORMATS)
def test_without_wanted_words_all_are_read_in_the_order_of_the_file(made, written):
    vectors = read_vectors(written(made(WORDS, ROWS)))
    assert vectors.words == [*WORDS[:6], "Paris"]
    np.testing.assert_array_equal(vectors.rows, ROWS[[0, 1, 2, 3, 4, 5, 7]])


def test_words_of_glove_may_contain_spaces(written):
    words = ["the", ". . .", "at name@domain.com", "."]
    vectors = read_vectors(written(lines(words, ROWS[:4])), [". . .", ".", "at", "at name@domain.com"])
    assert as_dict(vectors) == {word: ROWS[row].tolist() for row, word in enumerate(words) if word != "the"}


def test_a_word_that_is_not_utf8_equals_none(written):
    for content in (binary(["caf?", "Paris"], ROWS[:2]), header([], ROWS[:2]) + lines(["caf?", "Paris"], ROWS[:2])):
        broken = content.replace(b"caf?", b"caf\xe9")
        vectors = read_vectors(written(broken), ["caf", "café", "caf\ufffd", "caf\udce9", "Paris"])
        assert as_dict(vectors) == {"Paris": ROWS[1].tolist()}
        assert read_vectors(written(broken)).words == ["Paris"]


@pytest.mark.parametrize("word", ["the", "unheard"])
def test_a_row_of_another_length_is_refused_with_its_line(word, written):
    short = lines(WORDS, ROWS).replace(b"Paris ", b"Paris")
    with pytest.raises(DataError, match=r"vectors:8: 11 values, expected 12"):
        read_vectors(written(short), [word])
    long = header(WORDS, ROWS) + lines(WORDS, ROWS).replace(b"Paris ", b"Paris 0 ")
    with pytest.raises(DataError, match=r"vectors:9: 13 values, expected 12"):
        read_vectors(written(long), [word])


@pytest.mark.parametrize(
    ("value", "message"), [("abc", "could not convert.*expected a number"), ("nan", "'b' holds a value")]
)
def test_a_value_that_is_no_finite_number_is_refused_with_its_line(value, message, written):
    with pytest.raises(DataError, match=f"vectors:2: .*{message}"):
        read_vectors(written(f"a 0.5 0.5\nb 0.5 {value}\n".encode()), ["b"])


def test_a_binary_value_that_is_not_finite_is_refused_with_its_row(written):
    rows = ROWS[:2].copy()
    rows[1, 3] = np.inf
    with pytest.raises(DataError, match="vectors: row 2: the vector of 'b'"):
        read_vectors(written(binary(["a", "b"], rows)), ["b"])


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress], ids=["plain", "gz", "xz"])
@pytest.mark.parametrize("made", [binary, FORMATS["header"]], ids=["binary", "header"])
def test_a_file_that_is_cut_off_is_refused(made, compress, written):
    rows = np.random.default_rng(0).normal(size=(3000, SIZE)).astype(np.float32)
    content = made([f"w{n}" for n in range(len(rows))], rows)
    cut = content[: content.index(b"w2000")] if compress is bytes else compress(content)[:-2000]
    with pytest.raises(DataError, match="complete"):
        read_vectors(written(cut), ["w1"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "vectors:1: expected a word and its values"),
        (b"hello world\n", "vectors:1: expected a word and its values"),
        (b"2 0\na\nb\n", "vectors:1: the header promises 2 rows of 0 values"),
        (b"\xba\x16\x4f\x2f\x0c\x00", "is a fastText model; use the .vec file"),
        (b"PK\x03\x04rest", "is a zip archive; unpack"),
        (b"9 100\n" + b"x" * 10000, "row 1 has no word"),
    ],
)
def test_other_files_are_refused(content, message, written):
    with pytest.raises(DataError, match=message):
        read_vectors(written(content), ["a"])


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_vectors(tmp_path / "absent.vec", ["a"])


@pytest.mark.parametrize("made", [binary, lines], ids=["binary", "text"])
def test_memory_does_not_grow_with_the_file(made, written):
    rows = np.random.default_rng(0).normal(size=(40_000, 100)).astype(np.float32)
    path = written(made([f"w{n}" for n in range(len(rows))], rows))
    assert path.stat().st_size > 15e6
    wanted = [f"w{n}" for n in range(0, 40_000, 4000)]
    tracemalloc.start()
    vectors = read_vectors(path, wanted)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert as_dict(vectors) == {word: rows[int(word[1:])].tolist() for word in wanted}
    assert peak < 6e6
