"""Text to tokens."""

import pytest

from seqapps.data.tokenizers import Words


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
