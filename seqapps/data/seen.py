"""Which texts a model was trained on, without keeping them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

__all__ = ["SeenTexts"]

_BYTES = 8  # of a digest: among a million texts one in 20 trillion others is taken for one of them


class SeenTexts:
    """Texts in tokens that can be recognised, but not read: what the share of novel texts goes by.

    >>> SeenTexts.of([["a", "dog"]]).holds(["a", "dog"])
    True
    """

    def __init__(self, digests: Iterable[str]):
        self.digests = frozenset(digests)

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]]) -> SeenTexts:
        """Those of these texts."""
        return cls(_digest(tokens) for tokens in texts)

    def holds(self, tokens: Sequence[str]) -> bool:
        """Was a text with exactly these tokens among them?"""
        return _digest(tokens) in self.digests

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SeenTexts) and self.digests == other.digests

    def __hash__(self) -> int:
        return hash(self.digests)

    def to_json(self) -> list[str]:
        """What the constructor reads."""
        return sorted(self.digests)


def _digest(tokens: Sequence[str]) -> str:
    return hashlib.blake2b("\0".join(tokens).encode("utf8", "surrogatepass"), digest_size=_BYTES).hexdigest()
