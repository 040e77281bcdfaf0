from __future__ import annotations

import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import conllu
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqapps.data.sources.conllu import COLUMNS, Conllu
from seqapps.data.sources.source import Places
from seqapps.errors import DataError


def written(text: str) -> str:
    """Blanks to tabs: a table that can be read here."""
    return "\n".join(line if line.startswith("#") else "\t".join(line.split()) for line in text.splitlines()) + "\n"


GERMAN = written("""\
# newdoc id = d
# sent_id = s1
# text = Er geht zum Haus
1 Er er PRON PPER Case=Nom|Number=Sing 2 nsubj _ _
2 geht gehen VERB VVFIN _ 0 root _ _
3-4 zum _ _ _ _ _ _ _ SpaceAfter=No
3 zu zu ADP _ _ 5 case _ _
4 dem der DET _ Case=Dat 5 det _ _
5 Haus Haus NOUN NN Case=Dat 2 obl _ _

# sent_id = s2
0.1 _ _ _ _ _ _ _ _ _
1 Ja ja INTJ ITJ _ 0 root _ _
1.1 geht gehen VERB _ _ _ _ 0:root _
2 . . PUNCT $. _ 1 punct _ _
""")


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Load one file's text with these fields: column -> rows."""

    def read(text: str, **fields: Any) -> dict[str, Any]:
        (tmp_path / "train.conllu").write_text(text, encoding="utf8", newline="")
        return Conllu(train="train.conllu", **fields).load(Places(tmp_path))["train"].to_dict()

    return read


def by_oracle(text: str) -> dict[str, list[list[str]]]:
    """Each sentence's words as the package conllu reads them: forms, lemmas and so on."""
    keys = {"tokens": "form", "lemmas": "lemma", "upos": "upos", "xpos": "xpos", "deprels": "deprel", "heads": "head"}
    sentences = [[token for token in s if isinstance(token["id"], int)] for s in conllu.parse(text)]
    return {
        column: [["_" if token[key] is None else str(token[key]) for token in s] for s in sentences]
        for column, key in keys.items()
    }


def test_words_are_read_as_the_package_conllu_reads_them(load: Callable[..., dict[str, Any]]) -> None:
    found = load(GERMAN)
    assert {column: found[column] for column in by_oracle(GERMAN)} == by_oracle(GERMAN)
    assert found["tokens"] == [["Er", "geht", "zu", "dem", "Haus"], ["Ja", "."]]


def test_surface_tokens_stand_for_their_words(load: Callable[..., dict[str, Any]]) -> None:
    found = load(GERMAN, units="surface", features=["Case"])
    first = {column: rows[0] for column, rows in found.items()}
    assert first["tokens"] == ["Er", "geht", "zum", "Haus"]
    assert first["upos"] == ["PRON", "VERB", "ADP+DET", "NOUN"]
    assert first["xpos"] == ["PPER", "VVFIN", "_", "NN"]
    assert first["feats.Case"] == ["Nom", "_", "_+Dat", "Dat"]
    assert first["misc"] == ["_", "_", "SpaceAfter=No", "_"]
    assert found["tokens"][1] == ["Ja", "."]


def test_a_feature_is_a_column_of_its_own(load: Callable[..., dict[str, Any]]) -> None:
    found = load(GERMAN, features=["Number", "Case"])
    assert found["feats.Case"] == [["Nom", "_", "_", "Dat", "Dat"], ["_", "_"]]
    assert found["feats.Number"] == [["Sing", "_", "_", "_", "_"], ["_", "_"]]
    assert found["feats"][0][0] == "Case=Nom|Number=Sing"


def test_comments_give_the_columns_sent_id_and_text(load: Callable[..., dict[str, Any]]) -> None:
    found = load(GERMAN)
    assert found["sent_id"] == ["s1", "s2"]
    assert found["text"] == ["Er geht zum Haus", ""]


def test_forms_may_hold_blanks_and_underscores(load: Callable[..., dict[str, Any]]) -> None:
    row = "1\t10 000\t10000\tNUM" + "\t_" * 6 + "\n2\t_\t_\tSYM" + "\t_" * 6 + "\n"
    assert load(row)["tokens"] == [["10 000", "_"]]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff", "\n\n"])
def test_line_ends_byte_order_mark_and_further_blank_lines_change_nothing(
    load: Callable[..., dict[str, Any]], start: str, end: str
) -> None:
    assert load((start + GERMAN.replace("\n\n", "\n\n \n")).replace("\n", end)) == load(GERMAN)


def test_a_missing_tab_is_located(load: Callable[..., dict[str, Any]]) -> None:
    head = GERMAN.split("1\tEr")[0]
    with pytest.raises(DataError, match=r'train\.conllu:4: 9 columns, expected 10; is a tab missing after "Bahnhof"\?'):
        load(head + "1\tBahnhof Bahnhof\tNOUN" + "\t_" * 6 + "\n")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 Er er PRON _ _ 0 root _ _", r"1: 1 column, expected 10; columns are separated by tabs"),
        ("1\tEr" + "\t_" * 9, r'1: 11 columns, expected 10; is a tab too many after "Er"\?'),
        ("1\tEr\t" + "\t_" * 7, r"1: column 3 is empty; write '_'"),
        ("2\tEr" + "\t_" * 8, r"1: ID '2', expected '1'"),
        ("1\tEr" + "\t_" * 8 + "\n1\tSie" + "\t_" * 8, r"2: ID '1', expected '2'; is a blank line missing"),
        ("1-2\tzum" + "\t_" * 8 + "\n1\tzu" + "\t_" * 8, r"2: the sentence ends after word 1, inside the range 1-2"),
        ("1-2\tzum" + "\t_" * 8 + "\n\n1\tzu" + "\t_" * 8, r"2: the sentence ends after word 0, inside the range 1-2"),
        ("1-2\tzum" + "\t_" * 8 + "\n1\tzu" + "\t_" * 8 + "\n2-3\tx" + "\t_" * 8, r"3: range 2-3 overlaps 1-2"),
        ("2-1\tzum" + "\t_" * 8, r"1: ID '2-1', expected '1'"),
        ("3.1\tx" + "\t_" * 8, r"1: ID '3\.1', expected '1'"),
        ("# only a comment", r"no sentences in the file"),
    ],
)
def test_lines_that_are_not_conllu_are_errors_with_file_and_line(
    load: Callable[..., dict[str, Any]], line: str, message: str
) -> None:
    with pytest.raises(DataError, match=rf"train\.conllu:.?{message}"):
        load(line + "\n")


def test_features_that_are_no_pairs_are_an_error_with_file_and_line(load: Callable[..., dict[str, Any]]) -> None:
    text = GERMAN.replace("\tCase=Dat\t5\tdet", "\tDat\t5\tdet")
    with pytest.raises(DataError, match=r"train\.conllu:8: FEATS of 'dem' is 'Dat'; expected Key=Value"):
        load(text, features=["Case"])


def test_a_feature_that_no_word_has_is_an_error(load: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(DataError, match="no word has the feature 'Csae'; did you mean 'Case'"):
        load(GERMAN, features=["Csae"])


def test_a_feature_named_twice_is_a_fault_of_the_recipe() -> None:
    assert Conllu.check_fields({"features": ["Case", "Case"]}) == [
        ("features", "Case is named twice; name each feature once")
    ]


def test_a_folder_gives_its_conllu_files_and_a_split_that_is_not_asked_for_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "treebank"
    folder.mkdir()
    (folder / "a.conllu").write_text(GERMAN)
    (folder / "b.conllu.xz").write_bytes(lzma.compress(GERMAN.encode()))
    (folder / "README.md").write_text("not a treebank")
    (tmp_path / "test.conllu").write_text("not a treebank")
    source, places = Conllu(train="treebank", test="test.conllu"), Places(tmp_path)
    assert len(source.load(places, ["train"])["train"]) == 4
    assert [file.name for file in source.files(places)] == ["a.conllu", "b.conllu.xz", "test.conllu"]


CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=4)
WORDS = st.tuples(CELLS, CELLS, st.sampled_from(["NOUN", "VERB", "_"]), CELLS)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(WORDS, min_size=1, max_size=4), min_size=1, max_size=4))
def test_any_words_come_back(load: Callable[..., dict[str, Any]], sentences: list[list[tuple[str, ...]]]) -> None:
    text = "".join(
        "".join("\t".join([str(i), *word, "_", "0", "root", "_", "_"]) + "\n" for i, word in enumerate(words, 1)) + "\n"
        for words in sentences
    )
    found = load(text)
    for index, column in enumerate(COLUMNS[:4]):
        assert found[column] == [[word[index] for word in words] for words in sentences]
