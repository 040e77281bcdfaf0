"""Texts made up at random: the benchmarks need no corpus, and the work does not depend on what the words are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

__all__ = ["WRITERS"]


def _words(random: np.random.Generator, vocabulary: int, count: int) -> np.ndarray:
    """Words w0, w1, ...: each at least once if there is room, the others by Zipf's law."""
    share = 1 / np.arange(1, vocabulary + 1)
    drawn = random.choice(vocabulary, count, p=share / share.sum())
    drawn[random.permutation(count)[:vocabulary]] = np.arange(min(vocabulary, count))
    return drawn


def _lines(path: Path, rows: Iterable[str]) -> None:
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf8")


def _cut(words: Iterable[str], lengths: np.ndarray) -> list[str]:
    flat = list(words)
    return [" ".join(flat[end - length : end]) for end, length in zip(np.cumsum(lengths), lengths, strict=True)]


def stream(folder: Path, sizes: Mapping[str, int]) -> None:
    """train.txt: sentences of 5 to 35 words."""
    random = np.random.default_rng(1)
    lengths = random.integers(5, 36, sizes["tokens"] // 20)
    _lines(folder / "train.txt", _cut((f"w{w}" for w in _words(random, sizes["vocabulary"], lengths.sum())), lengths))


def long_texts(folder: Path, sizes: Mapping[str, int]) -> None:
    """train.tsv: texts with one of two labels; half of them longer than 170 words before they are cut."""
    random = np.random.default_rng(1)
    lengths = np.clip(np.rint(random.lognormal(np.log(170), 0.7, sizes["texts"])), 10, sizes["longest"]).astype(int)
    texts = _cut((f"w{w}" for w in _words(random, sizes["vocabulary"], lengths.sum())), lengths)
    labels = random.choice(["negative", "positive"], sizes["texts"])
    _lines(folder / "train.tsv", ["label\ttext", *(f"{a}\t{b}" for a, b in zip(labels, texts, strict=True))])


def parallel(folder: Path, sizes: Mapping[str, int]) -> None:
    """train.source and train.target: as many words on either side, 13 in the middle and at most 40.

    A target counts down to its end, each number in its usual spelling or, one time in five, in one of many others, so
    that where it ends is soon learned.
    """
    random = np.random.default_rng(1)
    lengths = np.clip(np.rint(random.lognormal(np.log(13), 0.4, sizes["texts"])), 3, 40).astype(int)
    _lines(
        folder / "train.source", _cut((f"w{w}" for w in _words(random, sizes["vocabulary"], lengths.sum())), lengths)
    )
    left = np.concatenate([np.arange(length, 0, -1) for length in lengths])
    spelled = random.integers(1, sizes["vocabulary"] // 16, len(left)) * (random.random(len(left)) < 0.2)
    _lines(folder / "train.target", _cut((f"{n}.{s}" for n, s in zip(left, spelled, strict=True)), lengths))


WRITERS = {"language_model": stream, "classification": long_texts, "translation": parallel, "search": parallel}
