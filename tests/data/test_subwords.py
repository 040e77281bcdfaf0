"""Sub-words by sentencepiece: exact, deterministic, saved, and clear where they cannot be learnt."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqapps.data.tokenizers.subwords import Sentencepiece
from seqapps.errors import ComponentError, DataError

STEMS = ["house", "window", "garden", "letter", "Häus", "Fenst", "Gärt", "Brief", "房子", "窗户", "にわ", "てがみ"]
ENDINGS = ["", "s", "less", "er", "ern", "chen", "的", "は", "を"]
TEXTS = [f"the new {stem}{ending} and the old {stem} 。" for stem in STEMS for ending in ENDINGS]
MODELS = ["bpe", "unigram"]


def fitted(texts=TEXTS, **fields):
    tokenizer = Sentencepiece(**{"vocabulary_size": 62, **fields})
    tokenizer.fit(texts)
    return tokenizer


@pytest.fixture(scope="module", params=MODELS)
def tokenizer(request):
    return fitted(model=request.param)


@given(
    st.text(
        st.sampled_from("thenw  ouäH新房。ｅ\u0301\u3000\t\u2028") | st.characters(codec="utf8", exclude_characters="▁")
    )
)
def test_pieces_joined_are_the_very_text_but_for_its_ends(tokenizer, text):
    pieces = tokenizer.tokenize(text)
    assert tokenizer.detokenize(pieces) == text.strip()
    assert "" not in pieces


def test_frequent_pieces_are_longer_than_characters():
    pieces = fitted(model="bpe").tokenize("the new house 房子")
    assert pieces[:1] == ["▁the"]
    assert len(pieces) < len("the new house 房子")
    assert "".join(pieces) == "▁the▁new▁house▁房子"


def test_no_character_is_changed_unless_asked_for(tokenizer):
    text = "ｅ\u0301 Ａ  ﬁ…"
    assert tokenizer.detokenize(tokenizer.tokenize(text)) == text
    assert fitted(normalization="NFKC").detokenize(fitted(normalization="NFKC").tokenize(text)) == "é A  fi..."


@pytest.mark.parametrize("model", MODELS)
def test_equal_texts_give_an_equal_model(model):
    assert fitted(model=model).to_json() == fitted(model=model).to_json() != fitted(TEXTS[1:], model=model).to_json()


def test_what_was_learnt_is_saved_as_json_and_taken_up(tokenizer):
    again = Sentencepiece(vocabulary_size=62)
    again.load_json(json.loads(json.dumps(tokenizer.to_json())))
    for text in TEXTS[:4]:
        assert again.tokenize(text) == tokenizer.tokenize(text)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("size", [58, 62])
def test_there_are_as_many_different_pieces_as_asked_for_at_most(model, size):
    tokenizer = fitted(model=model, vocabulary_size=size)
    assert len({piece for text in TEXTS for piece in tokenizer.tokenize(text)}) <= size


def test_a_long_text_is_learnt_from_like_others():
    long = fitted(["abc " * 3000, *TEXTS])  # by default sentencepiece leaves out texts of more than 4192 bytes
    assert "▁abc" in long.tokenize("abc")


def test_rare_characters_are_left_out_of_the_pieces_if_told_to():
    """Characters that are no pieces come one run at a time, since they are one unknown."""
    texts = [*["abc"] * 500, "犬猫"]
    assert fitted(texts, vocabulary_size=7).tokenize("犬猫") == ["▁", "犬", "猫"]
    assert fitted(texts, vocabulary_size=7, character_coverage=0.99).tokenize("犬猫") == ["▁", "犬猫"]


@pytest.mark.parametrize("model", MODELS)
def test_more_pieces_than_the_texts_give_are_an_error_with_the_number(model):
    with pytest.raises(
        DataError, match=r"vocabulary_size is 90000, but the training texts give (\d+) pieces"
    ) as caught:
        fitted(model=model, vocabulary_size=90_000)
    most = int(str(caught.value).split("set it to ")[1].split()[0])
    assert len({p for text in TEXTS for p in fitted(model=model, vocabulary_size=most).tokenize(text)}) <= most


def test_fewer_pieces_than_characters_are_an_error_with_the_number():
    with pytest.raises(DataError, match=r"vocabulary_size is 10, but the characters .* alone are \d+; set it to more"):
        fitted(vocabulary_size=10)


def test_no_texts_are_an_error():
    with pytest.raises(DataError, match="cannot learn from the training texts"):
        fitted([])


def test_without_the_package_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(ComponentError, match=r"sentencepiece is not installed; pip install 'seqapps\[text\]'"):
        Sentencepiece()


def test_fields_out_of_range_are_faults():
    assert [f for f, _ in Sentencepiece.check_fields({"vocabulary_size": 1, "character_coverage": 0.5})] == [
        "vocabulary_size",
        "character_coverage",
    ]
