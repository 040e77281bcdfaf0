"""What every contestant is given: sentences as numbers, which of them make up a batch, and the model's options."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch

__all__ = ["PAD", "POOL", "Contestant", "Corpus", "Done", "Options", "Pools"]

PAD = 0  # number of the padding symbol; 1 is the unknown word
POOL = 50  # batches whose sentences are sorted by length together

Weights = dict[str, torch.Tensor]  # named as in CommonPractice


@dataclass(frozen=True)
class Options:
    """Model and training; the same for every contestant. `sentences` is a batch's size."""

    embedding: int = 100
    hidden: int = 200
    layers: int = 2
    dropout: float = 0.33
    lr: float = 2e-3
    clip_norm: float = 5.0
    sentences: int = 32
    seed: int = 1


class Corpus(NamedTuple):
    """Sentence i is `words[offsets[i]:offsets[i + 1]]`, its labels are there too; words count from 2, labels from 0."""

    words: np.ndarray
    labels: np.ndarray
    offsets: np.ndarray
    num_words: int
    num_labels: int

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)


class Done(NamedTuple):
    """One optimizer step: real tokens seen, mean loss per token."""

    tokens: int
    loss: float


class Batches(Protocol):
    """Which sentences make up the batches of an epoch."""

    def epoch(self, number: int) -> list[np.ndarray]: ...


class Pools:
    """Batches of similar length: shuffled, cut into pools, each sorted by falling length and cut, shuffled again."""

    def __init__(self, lengths: np.ndarray, options: Options):
        self.lengths, self.options = lengths, options

    def epoch(self, number: int) -> list[np.ndarray]:
        """The batches of an epoch, each an array of sentence numbers, longest first."""
        size = self.options.sentences
        random = np.random.default_rng([self.options.seed, number])
        order = random.permutation(len(self.lengths))
        batches = []
        for start in range(0, len(order), size * POOL):
            pool = order[start : start + size * POOL]
            pool = pool[np.argsort(-self.lengths[pool], kind="stable")]
            batches += [pool[first : first + size] for first in range(0, len(pool), size)]
        return [batches[i] for i in random.permutation(len(batches))]


def endless(batches: Batches) -> Iterator[np.ndarray]:
    """Epoch after epoch."""
    for number in itertools.count():
        yield from batches.epoch(number)


class Contestant(Protocol):
    """One program that trains the model. `batches` may be replaced before the first step."""

    batches: Batches

    def steps(self) -> Generator[Done, None, None]:
        """Train on and on, yielding after every optimizer step."""
        ...

    def weights(self) -> Weights:
        """Its parameters themselves, not copies, by the names that torch.nn.LSTM gives them."""
        ...
