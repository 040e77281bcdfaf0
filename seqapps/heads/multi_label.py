"""Many-to-one with several answers: any number of labels for a whole text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqapps.data.batch import Batch
from seqapps.data.indexed import IndexedSplit
from seqapps.data.vocabulary import Vocabulary
from seqapps.errors import DataError
from seqapps.heads.head import Loss, View
from seqapps.heads.predictions import MultiLabelledText
from seqapps.heads.whole_text import WholeTextHead
from seqapps.modules.encoded import Encoded
from seqapps.modules.pooling import Pooling

if TYPE_CHECKING:
    from seqapps.metrics.evaluation import Evaluation
    from seqapps.metrics.intervals import Bootstrap

__all__ = ["Labelled", "MultiLabel"]


class Labelled(NamedTuple):
    """A text's labels, and the probability of every label, both in the order of the model's labels."""

    labels: list[str]
    probabilities: list[float]


class MultiLabel(WholeTextHead):
    """Any number of labels for a text, none included: topics, emotions, genres.

        v = pooling of the encoder's outputs,   u = layers of relu(W v + b), if any,   p_k = σ(w_k u + b_k)

    Label k is predicted where p_k >= `threshold`, whatever the others are. Training minimises the binary cross-entropy
    -Σ_k (y_k log p_k + (1 - y_k) log(1 - p_k)), summed over labels and over the texts of a batch, which is also the
    negative log-likelihood that is reported. The baselines predict by the same threshold.

    Fields:
        column: which column holds the labels, a list of them a text; one that is listed twice counts once.
        labels: all labels that there are, in the order in which they are listed; any other one in the data is then an
            error. [] = those of the training split, and a further one in another split counts as an error of the model.
        threshold: the probability from which on a label is predicted, 0 < threshold < 1.
        pooling: how outputs become one vector: last, mean, max or attention, see `seqapps.modules.pooling`.
        hidden_sizes: features of the layers before the output, the first first; [] = none.
        dropout: probability of dropping what enters every layer, the output layer included.
    """

    task = "multi_label"
    level = "classes"

    def __init__(
        self,
        encoder: nn.Module,
        vocabularies: Mapping[str, Vocabulary],
        /,
        *,
        column: str = "labels",
        labels: list[str] = [],  # noqa: B006
        threshold: float = 0.5,
        pooling: Pooling = "last",
        hidden_sizes: list[int] = [],  # noqa: B006
        dropout: float = 0.0,
    ):
        super().__init__(encoder, vocabularies[column], column, pooling, hidden_sizes, dropout)
        self.threshold = threshold

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Sizes are at least 1, dropout is a probability, the threshold lies between 0 and 1."""
        faults, threshold = super().check_fields(fields), fields["threshold"]
        if not 0.0 < threshold < 1.0:
            faults.append(("threshold", f"threshold is {threshold}, expected between 0 and 1"))
        return faults

    def check_training(self, train: IndexedSplit) -> None:
        """There is a label to learn."""
        if not train.numbers(self.column).lengths.any():
            raise DataError(f"split 'train': no text has a label in column {self.column!r}; is it the right column?")

    @property
    def headline(self) -> str:
        return "micro_f1"

    @property
    def scores(self) -> tuple[str, ...]:
        return ("micro_f1", "macro_f1", "subset_accuracy")

    def _targets(self, batch: Batch) -> Tensor:
        """(B, K): 1 for the labels that a text has, among those that training knows."""
        numbers, lengths, *_ = batch.fields[self.column]
        K = len(self.labels)
        real = torch.arange(numbers.size(1), device=numbers.device) < lengths.to(numbers.device)[:, None]
        numbers = torch.where(real & (numbers >= 0), numbers, K)
        return torch.zeros(len(batch), K + 1, device=numbers.device).scatter_(1, numbers, 1.0)[:, :K]

    def loss(self, encoded: Encoded, batch: Batch) -> Loss:
        logits = self.logits(encoded).float()
        total = F.binary_cross_entropy_with_logits(logits, self._targets(batch), reduction="sum")
        return Loss(total, total.detach(), len(batch), "sentence")

    def predict(self, encoded: Encoded, batch: Batch) -> list[Labelled]:
        return [self._labelled(row) for row in self.logits(encoded).float().sigmoid().tolist()]

    def predict_together(self, views: Sequence[View]) -> list[Labelled]:
        return [self._labelled(row) for row in self.mean(views, torch.sigmoid).tolist()]

    def _labelled(self, probabilities: list[float]) -> Labelled:
        pairs = zip(self.labels, probabilities, strict=True)
        return Labelled([label for label, p in pairs if p >= self.threshold], probabilities)

    def answer(self, tokens: list[str], found: Labelled | None, original: Any) -> MultiLabelledText:
        assert found is not None, "texts without tokens are refused"
        by_label = dict(zip(self.labels, found.probabilities, strict=True))
        return MultiLabelledText(tokens, original, self.column, found.labels, by_label)

    def evaluate(self, split: IndexedSplit, predictions: Sequence[Labelled], bootstrap: Bootstrap | None) -> Evaluation:
        from seqapps.metrics.multi_label import LabelledExample, evaluate_multi_label

        examples = [
            LabelledExample(len(split.strings(split.token_column, row)), self._gold(split, row), prediction.labels)
            for row, prediction in enumerate(predictions)
        ]
        return evaluate_multi_label(examples, self.labels, bootstrap=bootstrap)

    def baselines(self, train: IndexedSplit, split: IndexedSplit) -> Iterator[tuple[str, list[Labelled]]]:
        from seqapps.baselines import MULTI_LABEL

        texts = [train.strings(train.token_column, row) for row in range(len(train))]
        gold = [self._gold(train, row) for row in range(len(train))]
        others = [split.strings(split.token_column, row) for row in range(len(split))]
        for name, baseline in MULTI_LABEL.items():
            probabilities = baseline(self.labels).fit(texts, gold).predict(others)
            yield name, [self._labelled(row) for row in probabilities.tolist()]

    def record(self, split: IndexedSplit, row: int, prediction: Labelled) -> dict[str, Any]:
        pairs = zip(self.labels, prediction.probabilities, strict=True)
        return {
            "row": row,
            "tokens": split.strings(split.token_column, row),
            "gold": self._gold(split, row),
            "predicted": prediction.labels,
            "probabilities": {label: round(p, 4) for label, p in pairs},
        }

    def _gold(self, split: IndexedSplit, row: int) -> list[str]:
        return list(dict.fromkeys(split.strings(self.column, row)))
