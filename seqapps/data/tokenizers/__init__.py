"""Typed text to tokens, and back. Data that is already in tokens passes them by."""

from seqapps.data.tokenizers.rules import Characters, Whitespace, Words
from seqapps.data.tokenizers.tokenizer import Tokenizer

__all__ = ["Characters", "Tokenizer", "Whitespace", "Words"]
