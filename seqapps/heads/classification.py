"""Many-to-one: a label for a whole text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqapps.data.batch import Batch
from seqapps.data.indexed import IndexedSplit
from seqapps.data.vocabulary import Vocabulary
from seqapps.errors import DataError
from seqapps.heads.head import Loss, View
from seqapps.heads.predictions import ClassifiedText
from seqapps.heads.whole_text import WholeTextHead
from seqapps.modules.encoded import Encoded
from seqapps.modules.pooling import Pooling

if TYPE_CHECKING:
    from seqapps.metrics.evaluation import Evaluation
    from seqapps.metrics.intervals import Bootstrap

__all__ = ["Classification", "Classified"]


class Classified(NamedTuple):
    """A text's most probable label, and the probability of every label in the order of the model's labels."""

    label: str
    probabilities: list[float]


class Classification(WholeTextHead):
    """One label for a text: sentiment, topic, language.

        v = pooling of the encoder's outputs,   u = layers of relu(W v + b), if any,   p = softmax(W_o u + b_o)

    Training minimises, summed over the texts of a batch, w_y times the cross-entropy of p with the target, which gives
    the gold label y the share 1 - s + s/K and each of the other K - 1 labels s/K. The negative log-likelihood that is
    reported is that of y, without s and w.

    Fields:
        column: which column holds the labels, one a text; whole numbers are labels too.
        labels: all labels that there are, in the order in which they are listed; any other one in the data is then an
            error. [] = those of the training split, and a further one in another split counts as an error of the model.
        pooling: how outputs become one vector. last = the encoder's summary, for a recurrent encoder its final outputs
            in both directions; mean, max, attention = over the outputs of all tokens, see `seqapps.modules.pooling`.
        hidden_sizes: features of the layers before the output, the first first; [] = none.
        dropout: probability of dropping what enters every layer, the output layer included.
        label_smoothing: s, 0 <= s < 1 (Szegedy et al. 2016, section 7).
        class_weights: w. none = 1 for all; balanced = N / (K N_y), for N training texts of which N_y have label y, so
            that all labels weigh the same in training.
    """

    task = "classification"
    level = "class"
    weights: Tensor | None

    def __init__(
        self,
        encoder: nn.Module,
        vocabularies: Mapping[str, Vocabulary],
        /,
        *,
        column: str = "label",
        labels: list[str] = [],  # noqa: B006
        pooling: Pooling = "last",
        hidden_sizes: list[int] = [],  # noqa: B006
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        class_weights: Literal["none", "balanced"] = "none",
    ):
        super().__init__(encoder, vocabularies[column], column, pooling, hidden_sizes, dropout)
        self.label_smoothing, vocabulary = label_smoothing, vocabularies[column]
        weights = _balanced(vocabulary.counts) if class_weights == "balanced" else None
        self.register_buffer("weights", weights, persistent=False)  # follows from the vocabulary

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Sizes are at least 1, dropout and label_smoothing lie in [0, 1), there are two labels if any is declared."""
        faults, smoothing = super().check_fields(fields), fields["label_smoothing"]
        if len(fields["labels"]) == 1:
            faults.append(("labels", "one label is declared, a classifier needs two; list all, or none"))
        if not 0.0 <= smoothing < 1.0:
            faults.append(("label_smoothing", f"label_smoothing is {smoothing}, expected 0 <= label_smoothing < 1"))
        return faults

    def check_training(self, train: IndexedSplit) -> None:
        """There are two classes to tell apart."""
        if len(self.labels) < 2:
            raise DataError(
                f"split 'train': column {self.column!r} holds one label only, {self.labels[0]!r}; a classifier needs "
                "two; is it the right column, and does data.limit leave the others in?"
            )

    @property
    def headline(self) -> str:
        return "accuracy"

    @property
    def scores(self) -> tuple[str, ...]:
        names = ("accuracy", "macro_f1", "weighted_f1", "calibration_error")
        return (*names, "roc_auc") if len(self.labels) == 2 else names

    def loss(self, encoded: Encoded, batch: Batch) -> Loss:
        logits, gold = self.logits(encoded).float(), batch.fields[self.column].values[:, 0]
        total = self._objective(logits, gold)
        nll = F.cross_entropy(logits.detach(), gold, reduction="sum")
        return Loss(total, nll, len(batch), "sentence")

    def _objective(self, logits: Tensor, gold: Tensor) -> Tensor:
        losses = F.cross_entropy(logits, gold, reduction="none", label_smoothing=self.label_smoothing)
        return (losses if self.weights is None else losses * self.weights[gold]).sum()

    def loss_at(self, encoded: Encoded, batch: Batch, positions: Tensor) -> Tensor:
        """The whole loss, whatever the positions; texts whose label was never seen in training have none."""
        gold = batch.fields[self.column].values[:, 0]
        known = gold >= 0
        return self._objective(self.logits(encoded)[known].float(), gold[known])

    def predict(self, encoded: Encoded, batch: Batch) -> list[Classified]:
        return self._classified(self.logits(encoded).float().softmax(-1))

    def predict_together(self, views: Sequence[View]) -> list[Classified]:
        return self._classified(self.mean(views, lambda logits: logits.softmax(-1)))

    def _classified(self, probabilities: Tensor) -> list[Classified]:
        best = probabilities.argmax(-1).tolist()
        return [Classified(self.labels[b], row) for b, row in zip(best, probabilities.tolist(), strict=True)]

    def answer(self, tokens: list[str], found: Classified | None, original: Any) -> ClassifiedText:
        assert found is not None, "texts without tokens are refused"
        by_label = dict(zip(self.labels, found.probabilities, strict=True))
        return ClassifiedText(tokens, original, self.column, found.label, by_label)

    def evaluate(
        self, split: IndexedSplit, predictions: Sequence[Classified], bootstrap: Bootstrap | None
    ) -> Evaluation:
        from seqapps.metrics.classification import ClassifiedExample, evaluate_classification

        examples = [
            ClassifiedExample(split.strings(split.token_column, row), self._gold(split, row), *prediction)
            for row, prediction in enumerate(predictions)
        ]
        return evaluate_classification(examples, self.labels, bootstrap=bootstrap)

    def baselines(self, train: IndexedSplit, split: IndexedSplit) -> Iterator[tuple[str, list[Classified]]]:
        from seqapps.baselines import CLASSIFICATION

        texts = [train.strings(train.token_column, row) for row in range(len(train))]
        gold = [self._gold(train, row) for row in range(len(train))]
        others = [split.strings(split.token_column, row) for row in range(len(split))]
        for name, baseline in CLASSIFICATION.items():
            probabilities = baseline(self.labels).fit(texts, gold).predict(others)
            best = probabilities.argmax(axis=1).tolist()
            rows = zip(best, probabilities.tolist(), strict=True)
            yield name, [Classified(self.labels[b], row) for b, row in rows]

    def record(self, split: IndexedSplit, row: int, prediction: Classified) -> dict[str, Any]:
        return {
            "row": row,
            "tokens": split.strings(split.token_column, row),
            "gold": self._gold(split, row),
            "predicted": prediction.label,
            "probabilities": {
                label: round(p, 4) for label, p in zip(self.labels, prediction.probabilities, strict=True)
            },
        }

    def _gold(self, split: IndexedSplit, row: int) -> str:
        return split.strings(self.column, row)[0]


def _balanced(counts: Sequence[int]) -> Tensor:
    """N / (K N_y) for each label y."""
    total = sum(counts)
    return torch.tensor([total / (len(counts) * n) if n else 0.0 for n in counts])
