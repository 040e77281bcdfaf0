"""Sentences made up at random, so that the benchmark runs where no corpus is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

__all__ = ["write_sentences"]

WORDS, LABELS = 20000, 17


def write_sentences(path: Path, number: int, seed: int) -> None:
    """A file of two columns, word and label.

    Words follow Zipf's law, lengths are log-normal with a median of 13 tokens and at most 100, and nine in ten tokens
    have the label that belongs to their word.
    """
    random = np.random.default_rng(seed)
    lengths = np.clip(np.rint(random.lognormal(np.log(13), 0.7, number)), 1, 100).astype(int)
    share = 1 / np.arange(1, WORDS + 1)
    words = random.choice(WORDS, lengths.sum(), p=share / share.sum())
    noise = random.integers(LABELS, size=len(words)) * (random.random(len(words)) < 0.1)
    labels = (words + noise) % LABELS
    lines = [f"w{word}\tL{label}\n" for word, label in zip(words, labels, strict=True)]
    with path.open("w", encoding="utf8") as file:
        for end, length in zip(np.cumsum(lengths), lengths, strict=True):
            file.writelines([*lines[end - length : end], "\n"])
