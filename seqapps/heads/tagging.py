"""Many-to-many of equal length: a label for every token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqapps.data.batch import Batch
from seqapps.data.indexed import IndexedSplit
from seqapps.data.requests import Request
from seqapps.data.vocabulary import Vocabulary
from seqapps.errors import DataError
from seqapps.heads.head import Head, Loss
from seqapps.heads.predictions import LabelledTokens
from seqapps.modules.crf import LinearChainCRF
from seqapps.modules.encoded import Encoded
from seqapps.schemes import check

if TYPE_CHECKING:
    from seqapps.metrics.evaluation import Evaluation
    from seqapps.metrics.intervals import Bootstrap

__all__ = ["Tagged", "Tagging"]


class Tagged(NamedTuple):
    """A sentence's predicted labels and, for each, the model's probability of it.

    For a softmax that is its probability, for sigmoids that of this label alone, for a CRF the marginal given the
    sentence.
    """

    labels: list[str]
    probabilities: list[float]


class Tagging(Head):
    """Labels for all tokens of a sentence: part of speech, chunks, entities.

    An affine map of the encoder's output at t gives the scores of all labels at t. Then either
    - softmax: one distribution over labels per token, cross-entropy; or
    - sigmoid: one yes-or-no question per label (one against the rest), summed binary cross-entropy, the highest wins;
    or
    - crf: a linear-chain conditional random field over the sentence (Lafferty, McCallum and Pereira 2001; on a BiLSTM:
    Huang,
      Xu and Yu 2015). Its likelihood counts sentences, its accuracy tokens.

    If the training labels follow a tag scheme for spans (`seqapps.schemes`), the headline is span F1 as conlleval and
    seqeval decide it, and a CRF allows only transitions that the scheme allows. Otherwise it is accuracy.

    Fields:
        column: which column holds the labels.
        activation: softmax or sigmoid; with a CRF softmax.
        crf: score whole sentences.
        constraints: with a CRF, forbid what the tag scheme forbids.
        spans: auto = score spans if a tag scheme is recognised; no = score tokens only.
    """

    task = "tagging"
    formats = ("text", "jsonl", "conllu")
    empty_texts = "skipped"

    def __init__(
        self,
        encoder: nn.Module,
        vocabularies: Mapping[str, Vocabulary],
        /,
        *,
        column: str = "pos_tags",
        activation: Literal["softmax", "sigmoid"] = "softmax",
        crf: bool = False,
        constraints: bool = True,
        spans: Literal["auto", "no"] = "auto",
    ):
        super().__init__()
        vocabulary = vocabularies[column]
        self.column, self.labels, self.activation = column, vocabulary.symbols, activation
        self.spans = spans == "auto" and vocabulary.scheme is not None
        self.output = nn.Linear(encoder.output_size, len(vocabulary))  # type: ignore[arg-type]
        self.symbol_dimensions = {
            "output.weight": (column,),
            "output.bias": (column,),
            "crf.transitions": (column, column),
            "crf.start": (column,),
            "crf.end": (column,),
        }
        self.crf = LinearChainCRF(self.labels, scheme=vocabulary.scheme if constraints else None) if crf else None

    @classmethod
    def requests(cls, fields: Mapping[str, Any]) -> list[Request]:
        """The labels as numbers."""
        return [Request(fields["column"], fields["column"], "label")]

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """A CRF normalises over sentences, so sigmoids have no place in it."""
        if fields["crf"] and fields["activation"] == "sigmoid":
            return [("activation", "a CRF has one distribution per sentence; use 'softmax' or 'crf: false'")]
        return []

    def check_training(self, train: IndexedSplit) -> None:
        """With a constrained CRF every training sentence must follow the tag scheme: any other has probability 0."""
        scheme = self.crf.scheme if self.crf is not None else None
        if scheme is None:
            return
        for row in range(len(train)):
            violation = check(train.strings(self.column, row), scheme)
            if violation is not None:
                raise DataError(
                    f"split 'train', row {row + 1}, token {violation[0] + 1}: {violation[1]}; the labels follow scheme "
                    f"{scheme!r} otherwise: mend the data, or set model.head.constraints to false"
                )

    @property
    def headline(self) -> str:
        return "f1" if self.spans else "accuracy"

    @property
    def scores(self) -> tuple[str, ...]:
        tokens = ("accuracy", "accuracy_in_vocabulary", "accuracy_out_of_vocabulary", "accuracy_sentence", "macro_f1")
        return ("f1", "precision", "recall", *tokens) if self.spans else tokens

    def loss(self, encoded: Encoded, batch: Batch) -> Loss:
        gold = batch.fields[self.column].values
        if self.crf is not None:
            scores = self.output(encoded.outputs)
            nll = -self.crf.log_likelihood(scores, gold, encoded.lengths.on_device).sum()
            return Loss(nll, nll.detach(), len(batch), "sentence")
        scores, targets = self.output(_real(encoded.outputs, encoded)), _real(gold, encoded)
        nll = self._token_loss(scores, targets)
        return Loss(nll, nll.detach(), len(targets), "token")

    def _token_loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Summed over tokens: scores (N, labels), targets (N,)."""
        if self.activation == "sigmoid":
            one_hot = torch.zeros_like(scores).scatter_(1, targets[:, None], 1.0)
            return F.binary_cross_entropy_with_logits(scores, one_hot, reduction="sum")
        return F.cross_entropy(scores, targets, reduction="sum")

    def loss_at(self, encoded: Encoded, batch: Batch, positions: Tensor) -> Tensor:
        """The token's loss given its own scores, with a CRF too, as if it were a softmax.

        A CRF's transitions connect positions by themselves; its likelihood would show their reach, not the encoder's.
        Tokens whose label was never seen in training have no loss.
        """
        rows = torch.arange(len(batch), device=positions.device)
        scores = self.output(encoded.outputs[rows, positions])
        targets = batch.fields[self.column].values[rows, positions]
        known = targets >= 0
        return self._token_loss(scores[known], targets[known])

    def predict(self, encoded: Encoded, batch: Batch) -> list[Tagged]:
        lengths = encoded.lengths.values.tolist()
        if self.crf is not None:
            scores = self.output(encoded.outputs).float()
            best = self.crf.decode(scores, encoded.lengths.on_device)
            marginals = self.crf.marginals(scores, encoded.lengths.on_device)
            numbers = torch.tensor([label for labels in best for label in labels], device=scores.device)
            probabilities = _real(marginals, encoded).gather(1, numbers[:, None])[:, 0]
        else:
            scores = self.output(_real(encoded.outputs, encoded)).float()
            probabilities, numbers = (scores.sigmoid() if self.activation == "sigmoid" else scores.softmax(-1)).max(-1)
        labels = [self.labels[number] for number in numbers.tolist()]
        certain = probabilities.tolist()
        ends = torch.tensor(lengths).cumsum(0).tolist()
        return [Tagged(labels[end - n : end], certain[end - n : end]) for end, n in zip(ends, lengths, strict=True)]

    def answer(self, tokens: list[str], found: Tagged | None, original: Any) -> LabelledTokens:
        labels, probabilities = found or Tagged([], [])
        return LabelledTokens(tokens, original, self.column, labels, probabilities)

    def evaluate(self, split: IndexedSplit, predictions: Sequence[Tagged], bootstrap: Bootstrap | None) -> Evaluation:
        from seqapps.metrics.tagging import TaggedSentence, evaluate_tagging

        sentences = [
            TaggedSentence(split.strings(split.token_column, row), split.strings(self.column, row), prediction.labels)
            for row, prediction in enumerate(predictions)
        ]
        frequencies = split.resources.frequencies[split.token_column]
        return evaluate_tagging(sentences, frequencies=frequencies, bootstrap=bootstrap, spans=self.spans)

    def baselines(self, train: IndexedSplit, split: IndexedSplit) -> Iterator[tuple[str, list[Tagged]]]:
        from seqapps.baselines import TAGGING

        seen = [(train.strings(train.token_column, row), train.strings(self.column, row)) for row in range(len(train))]
        for name, baseline in TAGGING.items():
            fitted = baseline().fit(seen)
            yield (
                name,
                [Tagged(fitted.predict(split.strings(split.token_column, row)), []) for row in range(len(split))],
            )

    def record(self, split: IndexedSplit, row: int, prediction: Tagged) -> dict[str, Any]:
        return {
            "row": row,
            "tokens": split.strings(split.token_column, row),
            "gold": split.strings(self.column, row),
            "predicted": prediction.labels,
            "probabilities": [round(p, 4) for p in prediction.probabilities],
        }


def _real(x: Tensor, encoded: Encoded) -> Tensor:
    """x (B, T, ...) at the real positions only, sentence by sentence: (sum of lengths, ...)."""
    return x.transpose(0, 1).flatten(0, 1).index_select(0, encoded.lengths.real)
