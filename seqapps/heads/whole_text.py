"""What heads that say something of a whole text have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from seqapps.data.requests import Request
from seqapps.data.vocabulary import Vocabulary
from seqapps.heads.head import Head, View
from seqapps.modules.encoded import Encoded
from seqapps.modules.feedforward import FeedforwardLayers, check_layers
from seqapps.modules.pooling import Pool, Pooling

__all__ = ["WholeTextHead"]


class WholeTextHead(Head):
    """A score for each label of a text: s = W_o u + b_o,  u = layers of relu(W v + b), if any,  v = pooled outputs.

    Args:
        vocabulary: of the labels in `column`.
    """

    level: ClassVar[Literal["class", "classes"]]

    def __init__(
        self,
        encoder: nn.Module,
        vocabulary: Vocabulary,
        column: str,
        pooling: Pooling,
        hidden_sizes: Sequence[int],
        dropout: float,
    ):
        super().__init__()
        self.column, self.labels = column, vocabulary.symbols
        self.pool = Pool(encoder.output_size, pooling)  # type: ignore[arg-type]
        self.hidden = FeedforwardLayers(encoder.output_size, hidden_sizes, "relu", dropout)  # type: ignore[arg-type]
        self.output = nn.Linear(self.hidden.output_size, len(vocabulary))
        self.symbol_dimensions = {"output.weight": (column,), "output.bias": (column,)}

    @classmethod
    def requests(cls, fields: Mapping[str, Any]) -> list[Request]:
        """The labels as numbers."""
        return [Request(fields["column"], fields["column"], cls.level, declared=tuple(fields["labels"]))]

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Sizes are at least 1, dropout is a probability, no label is declared twice."""
        faults, labels = check_layers(fields), fields["labels"]
        twice = next((label for number, label in enumerate(labels) if label in labels[:number]), None)
        if twice is not None:
            faults.append(("labels", f"label {twice!r} is declared twice; remove one of them"))
        return faults

    def differs(self, other: Head) -> str | None:
        assert isinstance(other, WholeTextHead)
        if set(other.labels) == set(self.labels):
            return None
        odd = sorted(set(other.labels) ^ set(self.labels))
        return f"labels differ, {len(self.labels)} and {len(other.labels)} (here: {odd[0]!r})"

    def mean(self, views: Sequence[View], probabilities: Callable[[Tensor], Tensor]) -> Tensor:
        """(B, K) float: the mean of what several models' logits say, in the order of this one's labels."""
        found = []
        for head, encoded, _ in views:
            order = [head.labels.index(label) for label in self.labels]
            found.append(probabilities(head.logits(encoded).float())[:, order])
        return torch.stack(found).mean(0)

    def logits(self, encoded: Encoded) -> Tensor:
        """(B, K): a score of each label."""
        return self.output(self.hidden(self.pool(encoded)))
