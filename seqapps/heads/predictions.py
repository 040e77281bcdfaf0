"""What a model says of one example, in the form that is handed to people and written to files."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = [
    "Alternative",
    "ClassifiedText",
    "LabelledTokens",
    "MultiLabelledText",
    "Prediction",
    "ScoredText",
    "WrittenText",
]


@dataclass(frozen=True)
class Prediction(abc.ABC):
    """An example and what was predicted for it.

    Attributes:
        tokens: what the model read.
        original: what its line or block held, for writing it back: text, a JSON object or the lines of CoNLL-U.
    """

    tokens: list[str]
    original: Any

    @abc.abstractmethod
    def line(self) -> str:
        """For text output: one line, without its end."""

    @abc.abstractmethod
    def fields(self) -> dict[str, Any]:
        """For JSON output: what is added to the object that was read."""


@dataclass(frozen=True)
class LabelledTokens(Prediction):
    """A label for each token, and the model's probability of that label; `column` is what the labels are called."""

    column: str
    labels: list[str]
    probabilities: list[float]

    def line(self) -> str:
        """`token/label token/label ...`"""
        return " ".join(f"{token}/{label}" for token, label in zip(self.tokens, self.labels, strict=True))

    def fields(self) -> dict[str, Any]:
        return {self.column: self.labels, "probabilities": [round(p, 4) for p in self.probabilities]}


@dataclass(frozen=True)
class ClassifiedText(Prediction):
    """The most probable label of a text, and the probability of every label; `column` is what the label is called."""

    column: str
    label: str
    probabilities: Mapping[str, float]

    @property
    def probability(self) -> float:
        """That of the label."""
        return self.probabilities[self.label]

    def line(self) -> str:
        """`text TAB label TAB probability`; a text may hold tabs, the last two fields are the label's."""
        text = self.original if isinstance(self.original, str) else " ".join(self.tokens)
        return f"{text}\t{self.label}\t{self.probability:.4f}"

    def fields(self) -> dict[str, Any]:
        probabilities = {label: round(p, 4) for label, p in self.probabilities.items()}
        return {self.column: self.label, "probabilities": probabilities}


@dataclass(frozen=True)
class MultiLabelledText(Prediction):
    """A text's labels, any number of them, and the probability of every label; `column` is what labels are called."""

    column: str
    labels: list[str]
    probabilities: Mapping[str, float]

    def line(self) -> str:
        """`text TAB label, label, ...`, nothing after the tab for a text without labels."""
        text = self.original if isinstance(self.original, str) else " ".join(self.tokens)
        return f"{text}\t{', '.join(self.labels)}"

    def fields(self) -> dict[str, Any]:
        probabilities = {label: round(p, 4) for label, p in self.probabilities.items()}
        return {self.column: self.labels, "probabilities": probabilities}


@dataclass(frozen=True)
class ScoredText(Prediction):
    """Natural log-probability of each token of a text and of its end mark, under a language model."""

    log_probs: list[float]

    @property
    def log_prob(self) -> float:
        """That of the whole text."""
        return math.fsum(self.log_probs)

    def line(self) -> str:
        """The log-probability of the text, end mark included."""
        return f"{self.log_prob:.6f}"

    def fields(self) -> dict[str, Any]:
        return {"log_prob": round(self.log_prob, 6), "log_probs": [round(value, 6) for value in self.log_probs]}


class Alternative(NamedTuple):
    """A further text that might have been written, its tokens, and the natural logarithm of its probability."""

    text: str
    tokens: list[str]
    log_prob: float


@dataclass(frozen=True)
class WrittenText(Prediction):
    """A text that was written for what was read; `column` is what it is called.

    Attributes:
        written: its tokens, without the end mark.
        log_prob: natural logarithm of its probability under the model.
        alternatives: the other texts that were asked for, the best first.
        attention: for each token written, and for the end mark if there is one row more, the weights over the tokens
            read; None if there are none.
        p_gen: of the step that wrote each of the same, how probable it was, before the token was chosen, that it would
            be generated and not taken from what was read; None unless there is a pointer.
    """

    column: str
    text: str
    written: list[str]
    log_prob: float
    alternatives: list[Alternative] = field(default_factory=list)
    attention: list[list[float]] | None = None
    p_gen: list[float] | None = None

    def line(self) -> str:
        """The text; line ends that it may hold become spaces."""
        return " ".join(self.text.splitlines())

    def fields(self) -> dict[str, Any]:
        """`column`, `<column>_tokens` and `log_prob`; `alternatives`, `attention` and `p_gen` where there are any."""
        found: dict[str, Any] = {
            self.column: self.text,
            f"{self.column}_tokens": self.written,
            "log_prob": round(self.log_prob, 4),
        }
        if self.alternatives:
            found["alternatives"] = [
                {self.column: text, f"{self.column}_tokens": tokens, "log_prob": round(log_prob, 4)}
                for text, tokens, log_prob in self.alternatives
            ]
        if self.attention is not None:
            found["attention"] = [[round(weight, 4) for weight in row] for row in self.attention]
        if self.p_gen is not None:
            found["p_gen"] = [round(share, 4) for share in self.p_gen]
        return found
