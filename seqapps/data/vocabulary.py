"""Symbols and their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["BOS", "EOS", "PAD", "UNK", "Vocabulary"]

PAD, UNK = "<pad>", "<unk>"
BOS, EOS = "<bos>", "<eos>"  # before and after a text that a model writes


class Vocabulary:
    """A list of symbols, their numbers and how often each was seen in training.

    Specials come first: `<pad>` is 0 and `<unk>` is 1 where there are any; `<bos>` and `<eos>` follow where texts are
    written. A label vocabulary has none, its numbers start with its first label. A special's spelling in the data
    ("<unk>" in PTB) is the special.

    Args:
        symbols: specials first, then the symbols in order.
        counts: training frequency of each symbol, 0 for specials.
        specials: how many of `symbols` are specials.
        scheme: for labels that mark spans, their tag scheme (`seqapps.schemes`), else None.
    """

    def __init__(self, symbols: Sequence[str], counts: Sequence[int], *, specials: int = 0, scheme: str | None = None):
        if len(symbols) != len(counts):
            raise ValueError(f"{len(symbols)} symbols, {len(counts)} counts")
        self.symbols, self.counts, self.specials, self.scheme = list(symbols), list(counts), specials, scheme
        self._numbers = {symbol: number for number, symbol in enumerate(self.symbols)}
        if len(self._numbers) != len(self.symbols):
            raise ValueError("a symbol is listed twice")

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[str, int],
        *,
        specials: Iterable[str] = (PAD, UNK),
        min_frequency: int = 1,
        max_size: int | None = None,
        scheme: str | None = None,
    ) -> Vocabulary:
        """Symbols by falling frequency, equal ones by spelling, so that the order depends on nothing but the counts.

        Args:
            min_frequency: rarer symbols are left out.
            max_size: at most so many symbols, specials not counted.
        """
        specials = list(specials)
        kept = [(symbol, n) for symbol, n in counts.items() if n >= min_frequency and symbol not in specials]
        kept.sort(key=lambda pair: (-pair[1], pair[0]))
        kept = kept[:max_size]
        return cls(
            specials + [symbol for symbol, _ in kept],
            [0] * len(specials) + [n for _, n in kept],
            specials=len(specials),
            scheme=scheme,
        )

    def extended(self, symbols: Iterable[str]) -> Vocabulary:
        """With the symbols that it lacks added at the end, count 0."""
        new = [symbol for symbol in dict.fromkeys(symbols) if symbol not in self]
        if not new:
            return self
        counts = self.counts + [0] * len(new)
        return Vocabulary(self.symbols + new, counts, specials=self.specials, scheme=self.scheme)

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._numbers

    def __getitem__(self, symbol: str) -> int:
        """The number of a symbol; that of `<unk>` for an unknown one. KeyError where there is no `<unk>`."""
        number = self._numbers.get(symbol, self._numbers.get(UNK))
        if number is None:
            raise KeyError(symbol)
        return number

    def numbers(self, symbols: Sequence[str], *, missing: int | None = None) -> np.ndarray:
        """(len(symbols),) int64; an unknown symbol gets `missing`, or the number of `<unk>` if that is None."""
        if missing is None:
            missing = self._numbers[UNK]
        get = self._numbers.get
        return np.fromiter((get(symbol, missing) for symbol in symbols), np.int64, len(symbols))

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {"symbols": self.symbols, "counts": self.counts, "specials": self.specials, "scheme": self.scheme}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Vocabulary:
        """The vocabulary that `to_json` described."""
        return cls(saved["symbols"], saved["counts"], specials=saved["specials"], scheme=saved["scheme"])
