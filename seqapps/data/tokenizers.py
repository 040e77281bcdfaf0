"""Typed text to tokens. Data that is already in tokens passes them by."""

from __future__ import annotations

import abc

__all__ = ["Characters", "Tokenizer", "Whitespace"]


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
