"""A tokenizer for each column: its own, the recipe's, or one learnt from several."""

import json

import pytest
from datasets import Dataset

from seqapps.data.tokenizers import Characters, Whitespace
from seqapps.data.tokenizers.columns import ColumnTokenizers
from seqapps.errors import DataError
from seqapps.recipe import Spec

WORDS = Spec("tokenizers", "words")
TRAIN = Dataset.from_dict(
    {
        "tokens": [f"the {word}{ending}" for word in ("house", "garden") for ending in ("", "s", "less")] * 5,
        "target": [f"das {word}{ending}" for word in ("Haus", "Tor") for ending in ("", "e", "los")] * 5,
    }
)


def sentencepiece(**fields):
    complete = {"model": "bpe", "vocabulary_size": 22, "character_coverage": 1.0, "shared": False}
    return Spec("tokenizers", "sentencepiece", {**complete, "normalization": "none", **fields})


def test_a_column_has_its_own_tokenizer_or_that_of_the_recipe():
    found = ColumnTokenizers.of(WORDS, {"target": Spec("tokenizers", "characters")}, ["tokens", "target"])
    assert found["tokens"].tokenize("Yes!") == ["Yes", "!"]
    assert found["target"].tokenize("Yes!") == ["Y", "e", "s", "!"]
    assert found.first is found["tokens"]


def test_without_text_columns_typed_text_is_split_at_white_space():
    assert isinstance(ColumnTokenizers.of(WORDS, {}, []).first, Whitespace)


def test_a_tokenizer_of_a_column_that_is_no_text_is_an_error():
    with pytest.raises(DataError, match=r"data.tokenizers: .* no text column 'targt'; did you mean 'target'\?"):
        ColumnTokenizers.of(WORDS, {"targt": WORDS}, ["tokens", "target"])


@pytest.mark.parametrize(
    ("shared", "size", "pieces"),
    [
        (False, 22, ["▁", "TT"]),  # T occurs in the other column only: unknown characters in a row are one token
        (True, 28, ["▁", "T", "T"]),
    ],
)
def test_equal_tokenizers_learn_from_their_own_column_unless_they_are_shared(shared, size, pieces):
    found = ColumnTokenizers.of(sentencepiece(shared=shared, vocabulary_size=size), {}, ["tokens", "target"])
    found.fit(TRAIN)
    assert (found["tokens"] is found["target"]) == shared
    assert found["tokens"].tokenize("TT") == pieces


def test_different_settings_are_never_shared():
    specs = {"target": sentencepiece(shared=True, vocabulary_size=24)}
    found = ColumnTokenizers.of(sentencepiece(shared=True, vocabulary_size=23), specs, ["tokens", "target"])
    assert found["tokens"] is not found["target"]


@pytest.mark.parametrize("shared", [False, True])
def test_what_was_learnt_and_every_setting_is_saved_as_json(shared):
    others = {"target": Spec("tokenizers", "characters", {"spaces": "keep", "normalization": "NFC"})}
    found = ColumnTokenizers.of(sentencepiece(shared=shared), others, ["tokens", "target"])
    found.fit(TRAIN)
    again = ColumnTokenizers.from_json(json.loads(json.dumps(found.to_json())))
    assert list(again) == ["tokens", "target"]
    assert again["tokens"].tokenize("the houses") == found["tokens"].tokenize("the houses")
    assert isinstance(again["target"], Characters)
    assert again["target"].tokenize("e\u0301 x") == ["é", " ", "x"]


def test_several_texts_a_row_are_all_learnt_from_and_missing_ones_passed_by():
    rows = Dataset.from_dict({"captions": [["a house", "the house"], ["houses"], None]})
    found = ColumnTokenizers.of(sentencepiece(vocabulary_size=14), {}, ["captions"])
    found.fit(rows, several=["captions"])
    assert "".join(found["captions"].tokenize("the houses")) == "▁the▁houses"


@pytest.mark.parametrize(("shared", "columns"), [(False, "column 'tokens'"), (True, "column 'tokens' and 'target'")])
def test_texts_that_are_too_few_to_learn_from_are_told_by_their_columns(shared, columns):
    found = ColumnTokenizers.of(sentencepiece(shared=shared, vocabulary_size=999), {}, ["tokens", "target"])
    with pytest.raises(DataError, match=rf"^{columns}: tokenizer 'sentencepiece': vocabulary_size is 999, but"):
        found.fit(TRAIN)


def test_a_column_in_tokens_already_cannot_be_learnt_from():
    found = ColumnTokenizers.of(sentencepiece(), {}, ["tokens"])
    with pytest.raises(DataError, match="column 'tokens' is in tokens already, and tokenizer 'sentencepiece' learns"):
        found.fit(Dataset.from_dict({"tokens": [["a", "b"]]}))
    ColumnTokenizers.of(WORDS, {}, ["tokens"]).fit(Dataset.from_dict({"tokens": [["a", "b"]]}))
