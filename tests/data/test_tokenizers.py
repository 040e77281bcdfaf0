"""Text to tokens, and back."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seqapps.data.tokenizers import Characters, Whitespace, Words

TEXT = st.text(st.sampled_from("ab1_ .,!'’\"()[]#@-„“。，「」狗\u3000\u00a0\té\u0301") | st.characters(codec="utf8"))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("It's fine!!", ["It's", "fine", "!!"]),
        ("it’s 3.5%, ok?!", ["it’s", "3", ".", "5", "%", ",", "ok", "?", "!"]),
        ("@user loves #NLP :-)))", ["@user", "loves", "#NLP", ":", "-", ")))"]),
        ("'quoted' rock 'n' roll's", ["'", "quoted", "'", "rock", "'", "n", "'", "roll's"]),
        ("Über naïve 北京。。", ["Über", "naïve", "北京", "。。"]),
        (" \t\n", []),
        ("# @ ##", ["#", "@", "##"]),
    ],
)
def test_words_keep_apostrophes_and_leave_punctuation(text, tokens):
    assert Words().tokenize(text) == tokens


@pytest.mark.parametrize(
    "text",
    [
        "It's fine, isn't it?!",
        'He said "no" (twice); then he left.',
        "Er sagt: „Schön!“ Ich nicht.",
        "“Yes”, she said… 5% of #topic, “no”!",
        '"a" b "c d"',
        "今天天气好，我们走。「你好！」",
        "¿Qué? «Nada» [1]",
    ],
)
def test_words_become_the_text_that_one_would_write(text):
    assert Words().detokenize(Words().tokenize(text)) == text


@given(TEXT)
@example('. . ( ( " " ) ) “ “ „ „ # a @ b 「 「')
@pytest.mark.parametrize("tokenizer", [Whitespace(), Characters(), Characters(spaces="keep"), Words()])
def test_a_text_made_of_tokens_has_the_same_tokens(tokenizer, text):
    tokens = tokenizer.tokenize(text)
    assert tokenizer.tokenize(tokenizer.detokenize(tokens)) == tokens
    assert "" not in tokens


@given(TEXT)
def test_characters_with_spaces_give_the_very_text_but_for_its_ends(text):
    tokenizer = Characters(spaces="keep")
    assert tokenizer.detokenize(tokenizer.tokenize(text)) == text.strip()


def test_characters_are_tokens_and_spaces_are_if_they_are_kept():
    assert Characters().tokenize(" a b\u3000犬 ") == ["a", "b", "犬"]
    assert Characters(spaces="keep").tokenize(" a b\u3000犬 ") == ["a", " ", "b", "\u3000", "犬"]


@pytest.mark.parametrize("make", [Whitespace, Characters, Words])
def test_normal_forms_are_taken_only_if_asked_for(make):
    text = "ｅ\u0301Ａ"  # a full-width e with a combining accent, a full-width A
    assert "".join(make().tokenize(text)) == text
    assert "".join(make(normalization="NFC").tokenize("e\u0301Ａ")) == "éＡ"
    assert "".join(make(normalization="NFKC").tokenize(text)) == "éA"


def test_words_may_leave_out_punctuation():
    words = Words(punctuation="drop")
    assert words.tokenize("A dog (it's #1) -- \u201cyes\u201d .") == ["A", "dog", "it's", "#1", "yes"]
    assert words.tokenize("...") == []
