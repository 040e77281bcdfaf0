"""The training loop: a generator that yields after every optimizer step; the rest is its caller's business."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from seqapps.data.batch import Batch
from seqapps.data.streams import Batches, Sampler
from seqapps.engine.model import Model
from seqapps.engine.schedules import Moment, Schedule
from seqapps.errors import TrainingError
from seqapps.modules.encoded import FinalStates

if TYPE_CHECKING:
    from seqapps.engine.averaging import ExponentialAverage

__all__ = ["Clipping", "Loop", "Position", "Step", "train"]


@dataclass
class Position:
    """Where a run stands: `batches` of epoch number `epoch` and `step` optimizer steps are done."""

    epoch: int = 0
    batches: int = 0
    step: int = 0


class Step(NamedTuple):
    """What one optimizer step did.

    Attributes:
        number: steps done, this one included.
        epoch: passes over the data done, a fraction.
        loss: objective per unit, mean over the step's batches.
        nll: negative log-likelihood per unit.
        gradient_norm: 2-norm of the gradient of the mean loss before clipping.
        learning_rate: that was used.
        tokens: real tokens seen.
        seconds: that the step took.
        ends_epoch: was it the last of an epoch?
    """

    number: int
    epoch: float
    loss: float
    nll: float
    gradient_norm: float
    learning_rate: float
    tokens: int
    seconds: float
    ends_epoch: bool


class Clipping(NamedTuple):
    """Limits of a gradient: of its 2-norm over all parameters, and of each component. None = no limit."""

    norm: float | None = None
    value: float | None = None

    def apply(self, parameters: Sequence[nn.Parameter], count: int = 1) -> float:
        """Turn gradients of a sum over `count` units into those of the mean and clip them, in place.

        Returns the norm of the mean's gradient g before clipping: g becomes (norm / |g|) g where |g| > norm, and is
        unchanged below.
        """
        gradients = [p.grad for p in parameters if p.grad is not None]
        norm = float(nn.utils.get_total_norm(gradients)) / count
        scale = self.norm / norm if self.norm is not None and norm > self.norm else 1.0
        if scale / count != 1.0:
            torch._foreach_mul_(gradients, scale / count)
        if self.value is not None:
            torch._foreach_clamp_min_(gradients, -self.value)
            torch._foreach_clamp_max_(gradients, self.value)
        return norm


@dataclass
class Loop:
    """What `train` works with.

    `carried` is the state that the next batch goes on from, where batches continue each other.

    Args:
        batches: of the training split; the sampler says which make up an epoch.
        total_steps: planned for the whole run; schedules divide by it.
        autocast: makes the context of a forward pass.
        scaler: of the loss, for fp16.
        average: of the weights, if that is what is evaluated.
    """

    model: Model
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    batches: Batches
    sampler: Sampler
    position: Position
    total_steps: int
    epochs: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    accumulate: int = 1
    clipping: Clipping = field(default_factory=lambda: Clipping())
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    scaler: torch.amp.GradScaler | None = None
    average: ExponentialAverage | None = None
    base_rates: list[float] = field(default_factory=list)
    carried: FinalStates | None = None

    def __post_init__(self) -> None:
        self.base_rates = self.base_rates or [group["lr"] for group in self.optimizer.param_groups]


def train(loop: Loop) -> Iterator[Step]:
    """Run from `loop.position` on, yielding after every optimizer step; ends after `loop.epochs` epochs.

    The gradient of a step is that of the sum of its batches' losses divided by the sum of their counts, so that
    accumulated batches give what one large batch would.

    Raises:
        TrainingError: a loss or a gradient is not finite; the parameters are then those after the step before.
    """
    position = loop.position
    while position.epoch < loop.epochs:
        batches = loop.sampler.epoch(position.epoch)
        while position.batches < len(batches):
            chosen = batches[position.batches : position.batches + loop.accumulate]
            started = time.perf_counter()
            before = Moment(
                position.step,
                position.epoch + position.batches / len(batches),
                position.step / max(1, loop.total_steps),
            )
            loss, nll, norm, rate, tokens = _step(loop, chosen, before)
            position.batches += len(chosen)
            position.step += 1
            ends = position.batches >= len(batches)
            epoch = position.epoch + position.batches / len(batches)
            if ends:
                position.epoch, position.batches = position.epoch + 1, 0
            yield Step(position.step, epoch, loss, nll, norm, rate, tokens, time.perf_counter() - started, ends)
            if ends:
                break


def _step(loop: Loop, chosen: Sequence[Any], moment: Moment) -> tuple[float, float, float, float, int]:
    factor = loop.schedule.factor(moment)
    for group, rate in zip(loop.optimizer.param_groups, loop.base_rates, strict=True):
        group["lr"] = rate * factor
    parameters = [p for group in loop.optimizer.param_groups for p in group["params"]]
    total, nll, count, tokens = 0.0, 0.0, 0, 0
    for one in chosen:
        batch = loop.batches.batch(one).to(loop.device)
        with loop.autocast():
            loss, state = loop.model.loss(batch, loop.carried)
        loop.carried = _detached(state)
        value = loss.total.item()
        if not np.isfinite(value):
            raise _not_finite("loss", value, moment, batch)
        scaled = loss.total if loop.scaler is None else loop.scaler.scale(loss.total)
        scaled.backward()
        total, nll, count = total + value, nll + loss.nll.item(), count + loss.count
        tokens += batch.tokens
    if loop.scaler is not None:
        loop.scaler.unscale_(loop.optimizer)
    norm = loop.clipping.apply(parameters, count)
    for group in loop.optimizer.param_groups:
        group["lr"] *= batch.lr_scale
    if loop.scaler is not None:
        loop.scaler.step(loop.optimizer)  # skips the step by itself where fp16 overflowed
        loop.scaler.update()
        if not np.isfinite(norm) and loop.scaler.get_scale() < 1.0:  # a smaller scale would not help
            raise _not_finite("gradient norm", norm, moment, batch)
    else:
        if not np.isfinite(norm):
            raise _not_finite("gradient norm", norm, moment, batch)
        loop.optimizer.step()
    if loop.average is not None:
        loop.average.update(moment.step + 1)
    loop.optimizer.zero_grad(set_to_none=True)
    return total / count, nll / count, norm, loop.optimizer.param_groups[0]["lr"], tokens


def _detached(state: FinalStates | None) -> FinalStates | None:
    """The same numbers, from which no gradient flows back into the batch before."""
    if state is None:
        return None
    return tuple(tuple(tuple(s.detach() for s in direction) for direction in layer) for layer in state)


def _not_finite(what: str, value: float, moment: Moment, batch: Batch) -> TrainingError:
    rows = ", ".join(str(row + 1) for row in batch.examples[:5]) + (", ..." if len(batch) > 5 else "")
    return TrainingError(
        f"step {moment.step + 1}: the {what} is {value} in the batch of training rows {rows}; "
        "likely causes: a learning rate that is too high (try training.optimizer.lr a tenth), no training.clip_norm, "
        "precision fp16, or pretrained vectors that are not finite; what was saved before is kept"
    )
