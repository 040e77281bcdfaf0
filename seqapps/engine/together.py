"""Several models as one: what each makes of the same examples, put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import torch

from seqapps.data.batch import Batch
from seqapps.data.batching import sorted_batches
from seqapps.data.indexed import IndexedSplit
from seqapps.engine.evaluation import evaluating
from seqapps.engine.model import Model
from seqapps.heads.head import View
from seqapps.recipe import recipe as sections

__all__ = ["predict_batches", "predict_splits"]


def predict_batches(models: Sequence[Model], batches: Sequence[Batch]) -> list[Any]:
    """One prediction per example, of which each model has a batch in its own numbers."""
    if len(models) == 1:
        return models[0].predict(batches[0])
    views = [
        View(model.head, model.encode(batch, final=model.head.reads_final), batch)
        for model, batch in zip(models, batches, strict=True)
    ]
    return models[0].head.predict_together(views)


def predict_splits(
    models: Sequence[Model],
    splits: Sequence[IndexedSplit],
    batching: sections.Batching,
    device: torch.device,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> list[Any]:
    """One prediction per example of a split, which each model has in its own numbers."""
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
