"""What is measured: a task, the sizes of its model and data, and who takes part."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

__all__ = ["BF16", "COMMON", "SEQAPPS", "SHAPES", "TIGHT", "Shape"]

COMMON, TIGHT, SEQAPPS, BF16 = "common_practice", "tight_loop", "seqapps", "seqapps_bf16"
Task = Literal["language_model", "classification", "translation", "search"]


@dataclasses.dataclass(frozen=True)
class Shape:
    """One measurement.

    Attributes:
        unit: what a speed counts.
        sizes: of model and data, as the recipe and the plain programs read them.
        contestants: name -> module below benchmarks.speed, and class. All but those of `peers` are the same model.
        peers: name -> module and class of suites that have an environment of their own.
        tolerance: how far the check of a contestant may be from that of the tight loop.
    """

    task: Task
    about: str
    unit: str
    sizes: Mapping[str, int]
    contestants: Mapping[str, tuple[str, str]]
    peers: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    tolerance: float = 1e-4

    def with_sizes(self, changes: Mapping[str, int]) -> Shape:
        """The same with other sizes."""
        return dataclasses.replace(self, sizes={**self.sizes, **changes})


def _training(module: str) -> dict[str, tuple[str, str]]:
    return {
        COMMON: (module, "CommonPractice"),
        TIGHT: (module, "TightLoop"),
        SEQAPPS: ("suite", "Training"),
        BF16: ("suite", "TrainingInBf16"),
    }


_SEARCH = {
    COMMON: ("plain.search", "CommonPractice"),
    TIGHT: ("plain.search", "TightLoop"),
    SEQAPPS: ("suite", "Search"),
}
_TRANSLATION = {"hidden": 256, "vocabulary": 8000, "sentences": 64, "texts": 6400, "steps": 0}

SHAPES: dict[str, Shape] = {
    "language_model_200": Shape(
        "language_model",
        "language model, LSTM 2 x 200, 10,000 words, 20 streams, windows of 20",
        "tokens",
        {"hidden": 200, "layers": 2, "streams": 20, "window": 20, "vocabulary": 10_000, "tokens": 300_000},
        _training("plain.language_model"),
    ),
    "language_model_650": Shape(
        "language_model",
        "language model, LSTM 2 x 650, 10,000 words, 20 streams, windows of 35",
        "tokens",
        {"hidden": 650, "layers": 2, "streams": 20, "window": 35, "vocabulary": 10_000, "tokens": 300_000},
        _training("plain.language_model"),
    ),
    "long_texts": Shape(
        "classification",
        "sentiment of texts of up to 400 words, LSTM 128, batches of 32",
        "tokens",
        {"embedding": 100, "hidden": 128, "vocabulary": 20_000, "sentences": 32, "texts": 3200, "longest": 400},
        _training("plain.classification"),
    ),
    "translation": Shape(
        "translation",
        "translation, biGRU 256, attention GRU 256, some 8,000 words on either side, batches of 64",
        "tokens",
        _TRANSLATION,
        _training("plain.translation"),
        {"joeynmt": ("peers.joeynmt", "Training")},
    ),
    "translation_greedy": Shape(
        "search",
        "the same model, greedy search",
        "sentences",
        {**_TRANSLATION, "steps": 150, "beam": 1},
        _SEARCH,
        {"joeynmt": ("peers.joeynmt", "Search")},
        tolerance=1e-3,
    ),
    "translation_beam": Shape(
        "search",
        "the same model, beam of 5",
        "sentences",
        {**_TRANSLATION, "steps": 150, "beam": 5},
        _SEARCH,
        {"joeynmt": ("peers.joeynmt", "Search")},
        tolerance=1e-3,
    ),
}
