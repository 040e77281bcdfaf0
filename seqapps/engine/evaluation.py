"""Predictions for whole splits, and what they are worth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from seqapps.data.batch import Batch
from seqapps.data.batching import sorted_batches
from seqapps.data.indexed import IndexedSplit
from seqapps.data.streams import Stream, StreamSampler
from seqapps.engine.model import Model
from seqapps.heads.head import View
from seqapps.recipe import recipe as sections

if TYPE_CHECKING:
    from seqapps.metrics.intervals import Bootstrap

__all__ = ["bootstrap_of", "compare_baselines", "evaluating", "predict_batches", "predict_split", "predict_splits"]

_WINDOW = 256  # tokens of a stream that are read at a time; changes nothing but memory


@contextmanager
def evaluating(model: Model) -> Iterator[None]:
    """No gradients, no dropout; afterwards the model is in the mode that it was in."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)


def predict_split(
    model: Model,
    split: IndexedSplit,
    batching: sections.Batching,
    device: torch.device,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> list[Any]:
    """One prediction per example of a split, in its order; see `predict_splits`."""
    return predict_splits([model], [split], batching, device, autocast)


def predict_splits(
    models: Sequence[Model],
    splits: Sequence[IndexedSplit],
    batching: sections.Batching,
    device: torch.device,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> list[Any]:
    """One prediction of all models together per example of a split, which each has in its own numbers, in its order.

    Batches are by length, so that little is padded. A model that carries its state, which is then the only one, reads
    the split as one stream from beginning to end.
    """
    if models[0].head.carries:
        return _predict_stream(models[0], splits[0], device, autocast)
    predictions: list[Any] = [None] * len(splits[0])
    with ExitStack() as stack:
        for model in models:
            stack.enter_context(evaluating(model))
        for examples in sorted_batches(splits[0].lengths, batching):
            with autocast():
                found = predict_batches(models, [split.batch(examples).to(device) for split in splits])
            for example, prediction in zip(examples.tolist(), found, strict=True):
                predictions[example] = prediction
    return predictions


def predict_batches(models: Sequence[Model], batches: Sequence[Batch]) -> list[Any]:
    """One prediction per example, of which each model has a batch in its own numbers."""
    if len(models) == 1:
        return models[0].predict(batches[0])
    views = [
        View(model.head, model.encode(batch, final=model.head.reads_final), batch)
        for model, batch in zip(models, batches, strict=True)
    ]
    return models[0].head.predict_together(views)


def _predict_stream(
    model: Model, split: IndexedSplit, device: torch.device, autocast: Callable[[], AbstractContextManager[Any]]
) -> list[Any]:
    stream = Stream(split, rows=1)
    found, state = [], None
    with evaluating(model):
        for window in StreamSampler(stream.columns, _WINDOW).epoch(0):
            with autocast():
                (one,), state = model.predict_on(stream.batch(window).to(device), state)
            found.append(one)
    return np.split(np.concatenate(found), stream.ends[:-1])


def bootstrap_of(section: sections.Evaluation) -> Bootstrap | None:
    """The recipe's intervals."""
    from seqapps.metrics.intervals import Bootstrap

    if section.intervals == "none":
        return None
    return Bootstrap(samples=section.samples, confidence=section.confidence)


def compare_baselines(
    model: Model, train: IndexedSplit, split: IndexedSplit, evaluation: Any, bootstrap: Bootstrap | None
) -> dict[str, dict[str, Any]]:
    """For each trivial baseline of the task its scores, and the model's headline minus its own, if it has one."""
    compared: dict[str, dict[str, Any]] = {"baselines": {}, "differences": {}}
    for name, predictions in model.head.baselines(train, split):
        found = model.head.evaluate(split, predictions, bootstrap)
        compared["baselines"][name] = {"metrics": found.metrics()}
        if evaluation.headline in found.scores:  # no baseline that writes texts has a perplexity
            compared["differences"][name] = evaluation.difference(found, bootstrap).to_json()
    return compared
