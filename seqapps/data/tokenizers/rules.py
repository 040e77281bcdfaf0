"""Tokenizers that follow rules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from seqapps.data.tokenizers.tokenizer import Normalization, Tokenizer

__all__ = ["Characters", "Whitespace", "Words"]

_WIDE = frozenset("。，、；：！？「」『』（）《》〈〉【】・")  # marks that bring their own space
_CLOSING = frozenset(".,;:!?%)]}…”»") | _WIDE
_OPENING = frozenset("([{¿¡„«")


class Whitespace(Tokenizer):
    """Tokens are what white space separates (any Unicode white space); a blank between them makes a text again.

    Fields:
        normalization: Unicode normal form that texts are brought to first; none = every character stays as it is.
    """

    def __init__(self, *, normalization: Normalization = "none"):
        super().__init__(normalization=normalization)

    def split(self, text: str) -> list[str]:
        return text.split()

    def detokenize(self, tokens: Iterable[str]) -> str:
        return " ".join(tokens)


class Characters(Tokenizer):
    """Every character (Unicode code point) is a token; joined they make a text again.

    Fields:
        spaces: white space inside a text; drop = it is no token, keep = it is one, as character language models have
            it. At the ends of a text it never is.
        normalization: Unicode normal form that texts are brought to first; none = every character stays as it is.
    """

    def __init__(self, *, spaces: Literal["drop", "keep"] = "drop", normalization: Normalization = "none"):
        super().__init__(normalization=normalization)
        self.spaces = spaces

    def split(self, text: str) -> list[str]:
        return list(text.strip() if self.spaces == "keep" else "".join(text.split()))

    def detokenize(self, tokens: Iterable[str]) -> str:
        return "".join(tokens)


class Words(Tokenizer):
    """Words and, apart from them, punctuation: "It's fine!!" is It's, fine, !!.

    A word is a run of letters, digits and underscores, with apostrophes inside it and a # or @ before it (#topic,
    @user). Equal punctuation marks in a row are one token, every other character that is not white space is one of its
    own.

    A text is made again with blanks between tokens, but none before marks that close, after brackets that open, after
    the full stops and commas of Chinese and Japanese, and inside double quotes. The words are the same again, the text
    need not be: "well-known" becomes "well - known".

    Fields:
        punctuation: keep, or drop, as image captions are compared without it.
        normalization: Unicode normal form that texts are brought to first; none = every character stays as it is.
    """

    _TOKEN = re.compile(r"[#@]?\w+(?:['\u2019]\w+)*|(\S)\1*")

    def __init__(self, *, punctuation: Literal["keep", "drop"] = "keep", normalization: Normalization = "none"):
        super().__init__(normalization=normalization)
        self.punctuation = punctuation

    def split(self, text: str) -> list[str]:
        found = self._TOKEN.finditer(text)
        return [one.group() for one in found if self.punctuation == "keep" or not one.group(1)]

    def detokenize(self, tokens: Iterable[str]) -> str:
        text, opened = "", False
        quotes: set[str] = set()  # those that are open
        for token in tokens:
            closes, opens = _sides(token, quotes)
            apart = text[-1:] == token[:1]  # equal marks in a row would be one token
            text += token if not text or ((closes or opened) and not apart) else " " + token
            opened = opens
        return text


def _sides(token: str, quotes: set[str]) -> tuple[bool, bool]:
    """Whether there is no blank before a token, and none after it. Keeps `quotes` up to date."""
    if token in ('"', "“"):
        partner = '"' if token == '"' else "„"
        closes = partner in quotes
        quotes.discard(partner)
        if token == '"' and not closes:
            quotes.add(token)
        return closes, not closes
    if token == "„":
        quotes.add(token)
    return token[:1] in _CLOSING, token[:1] in _OPENING or token[:1] in _WIDE
