"""Feature sets that count tokens by rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from seqapps.data.features.feature_set import FeatureSet

__all__ = ["Capitals", "Digits", "Length", "Negation", "Punctuation"]

# Language -> words that negate, in lower case. English words in n't are known by their end.
_NEGATIONS = {
    "de": "nicht kein keine keinen keinem keiner keines nie niemals niemand nichts nirgends weder ohne nein",
    "en": "not no never none nobody nothing nowhere neither nor cannot without nope",
    "es": "no nunca jamás nadie nada ninguno ninguna ningún tampoco ni sin",
    "fr": "ne n' pas jamais rien aucun aucune personne nul nulle ni sans non guère",
    "it": "non no mai nessuno nessuna nessun niente nulla né senza neanche nemmeno neppure",
    "ja": "ない なかっ なかった ません ず ぬ なし 無い 非 不 未",
    "nl": "niet geen nooit niemand niets nergens noch zonder nee",
    "zh": "不 没 沒 没有 沒有 不是 不会 不能 无 無 非 未 别 別 勿 莫 否 从不 毫无 并非",
}


class Length(FeatureSet):
    """How many tokens a text has, and how many characters in them."""

    names = ("tokens", "characters")

    def values(self, tokens: Sequence[str]) -> Sequence[float]:
        return [len(tokens), sum(map(len, tokens))]


class Negation(FeatureSet):
    """How many tokens negate, whatever their case.

    Fields:
        language: whose list of words it is: de, en, es, fr, it, ja, nl or zh; in English words that end in n't, too.
        words: further words.
    """

    names = ("negations",)

    def __init__(
        self,
        *,
        language: Literal["de", "en", "es", "fr", "it", "ja", "nl", "zh"] = "en",
        words: list[str] = [],  # noqa: B006
    ):
        self.words = frozenset([*_NEGATIONS[language].split(), *(word.lower() for word in words)])
        self.endings = ("n't", "n\u2019t") if language == "en" else ()

    def values(self, tokens: Sequence[str]) -> Sequence[float]:
        lowered = [token.lower() for token in tokens]
        return [sum(token in self.words or token.endswith(self.endings) for token in lowered)]


class Punctuation(FeatureSet):
    """How many exclamation marks and question marks a text has, narrow or wide; in `!!` there are two."""

    names = ("exclamation_marks", "question_marks")

    def values(self, tokens: Sequence[str]) -> Sequence[float]:
        text = "".join(tokens)
        return [text.count("!") + text.count("\uff01"), text.count("?") + text.count("\uff1f")]


class Capitals(FeatureSet):
    """How many tokens begin with a capital letter, and how many of two letters or more are capitals throughout."""

    names = ("capitalised", "all_capitals")

    def values(self, tokens: Sequence[str]) -> Sequence[float]:
        shouted = [sum(map(str.isalpha, token)) > 1 and token.isupper() for token in tokens]
        return [sum(token[:1].isupper() for token in tokens), sum(shouted)]


class Digits(FeatureSet):
    """How many tokens hold a digit."""

    names = ("with_digits",)

    def values(self, tokens: Sequence[str]) -> Sequence[float]:
        return [sum(any(map(str.isdigit, token)) for token in tokens)]
