"""What a task head is."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from torch import Tensor, nn

from seqapps.data.batch import Batch
from seqapps.data.indexed import IndexedSplit
from seqapps.data.requests import Frame, Request
from seqapps.errors import ComponentError
from seqapps.heads.predictions import Prediction
from seqapps.modules.encoded import Encoded

if TYPE_CHECKING:
    from seqapps.metrics.evaluation import Evaluation
    from seqapps.metrics.intervals import Bootstrap

__all__ = ["Head", "Loss", "View"]


class Loss(NamedTuple):
    """A batch's loss as sums, so that batches can be added up before anything is divided.

    Attributes:
        total: the objective, summed; what is differentiated.
        nll: negative log-likelihood of the targets in nats, summed; equals `total` unless something was added to it.
        count: how many `unit`s were summed over; the gradient is divided by it.
        unit: what is counted.
    """

    total: Tensor
    nll: Tensor
    count: int  # type: ignore[assignment]  # the field's word; hides tuple.count
    unit: Literal["token", "sentence"]


class View(NamedTuple):
    """What one of several models makes of a batch: its head, what its encoder says, and the batch in its numbers."""

    head: Any
    encoded: Encoded
    batch: Batch


class Head(nn.Module, abc.ABC):
    """A task on an encoder's outputs: what is learnt, what is predicted, how it is measured.

    Predictions are plain Python values, one per example; `Evaluation` is what a report is made of.
    """

    task: ClassVar[str]
    reads_final: ClassVar[bool] = False  # does it read `Encoded.final`?
    formats: ClassVar[tuple[str, ...]] = ("text", "jsonl")  # in which predictions can be written
    empty_texts: ClassVar[Literal["refused", "skipped", "read"]] = "refused"  # skipped: answered with None found
    carries: bool = False  # does a batch go on from the final states of the one before (stream language models)?

    @classmethod
    def requests(cls, fields: Mapping[str, Any]) -> list[Request]:
        """What it needs of the data."""
        return []

    @classmethod
    def frame(cls, fields: Mapping[str, Any]) -> Frame:
        """The marks around a text that the model reads and writes at once; see `Request`."""
        return "none"

    def quickly(self) -> AbstractContextManager[Any]:
        """Within it `predict` may be less thorough, for the many evaluations during training."""
        return nullcontext()

    @abc.abstractmethod
    def loss(self, encoded: Encoded, batch: Batch) -> Loss:
        """Training loss of a batch."""

    def loss_at(self, encoded: Encoded, batch: Batch, positions: Tensor) -> Tensor:
        """The loss at one position of each sequence, summed over the batch: what diagnostics differentiate.

        Unless a head says otherwise, the whole loss, which is right where a sequence has one target; the positions then
        do not matter. A head that sums over tokens writes its own.

        Args:
            positions: (B,) int64, 0 <= positions[b] < length of sequence b; positions of what the encoder read.

        Raises:
            ComponentError: the head sums over tokens and does not tell them apart.
        """
        loss = self.loss(encoded, batch)
        if loss.unit == "token":
            raise ComponentError(
                f"{type(self).__name__}: its loss is a sum over tokens, and the loss at one of them cannot be told; "
                "write `loss_at`"
            )
        return loss.total

    @abc.abstractmethod
    def predict(self, encoded: Encoded, batch: Batch) -> list[Any]:
        """One prediction per example, in the order of the batch."""

    def differs(self, other: Head) -> str | None:
        """Why predictions of this and another trained head of the task cannot be averaged; None if they can be."""
        return f"models of task {self.task!r} are not averaged"

    def predict_together(self, views: Sequence[View]) -> list[Any]:
        """One prediction per example by the mean of several models' probabilities, as `predict` gives them.

        Args:
            views: one for each model, this one's first; `differs` has nothing against any.
        """
        raise ComponentError(f"{type(self).__name__}: predictions of several models cannot be averaged")

    @abc.abstractmethod
    def answer(self, tokens: list[str], found: Any, original: Any) -> Prediction:
        """What `predict` found for an example, ready to be handed over; None if it was skipped (`empty_texts`)."""

    def check_training(self, train: IndexedSplit) -> None:
        """DataError naming row and position where the training split has targets that the head cannot learn."""

    @property
    @abc.abstractmethod
    def headline(self) -> str:
        """The score by which models of this task are compared."""

    @property
    @abc.abstractmethod
    def scores(self) -> tuple[str, ...]:
        """Names of all scores that `evaluate` gives."""

    @abc.abstractmethod
    def evaluate(self, split: IndexedSplit, predictions: Sequence[Any], bootstrap: Bootstrap | None) -> Evaluation:
        """Scores and tables of predictions for every example of a split, in order."""

    @abc.abstractmethod
    def baselines(self, train: IndexedSplit, split: IndexedSplit) -> Iterator[tuple[str, list[Any]]]:
        """Name and predictions for `split` of each trivial baseline, fitted on `train`."""

    @abc.abstractmethod
    def record(self, split: IndexedSplit, row: int, prediction: Any) -> dict[str, Any]:
        """One line of `predictions.jsonl`."""
