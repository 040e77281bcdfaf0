"""Typed text to tokens. Data that is already in tokens passes them by."""

from __future__ import annotations

import abc
import re

__all__ = ["Characters", "Tokenizer", "Whitespace", "Words"]


class Tokenizer(abc.ABC):
    """Turns a line of text into tokens."""

    @abc.abstractmethod
    def tokenize(self, text: str) -> list[str]:
        """The tokens of `text`, [] if there are none."""


class Whitespace(Tokenizer):
    """Tokens are what white space separates (any Unicode white space)."""

    def tokenize(self, text: str) -> list[str]:
        return text.split()


class Characters(Tokenizer):
    """Every character (Unicode code point) that is not white space is a token."""

    def tokenize(self, text: str) -> list[str]:
        return [character for character in text if not character.isspace()]


class Words(Tokenizer):
    """Words and, apart from them, punctuation: "It's fine!!" is It's, fine, !!.

    A word is a run of letters, digits and underscores, with apostrophes inside it and a # or @ before it (#topic,
    @user). Equal punctuation marks in a row are one token, every other character that is not white space is one of its
    own.
    """

    _TOKEN = re.compile(r"[#@]?\w+(?:['\u2019]\w+)*|(\S)\1*")

    def tokenize(self, text: str) -> list[str]:
        return [found.group() for found in self._TOKEN.finditer(text)]
