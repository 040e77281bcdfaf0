"""Averages of the weights over the steps of training: what is evaluated and kept where a recipe asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["ExponentialAverage", "evaluation_weights", "to_be_averaged"]

_ETA = 9  # at step t the average reaches back over about t / (1 + _ETA) steps, until the decay is what limits it


class ExponentialAverage:
    """Moving average of weights: their noise from step to step cancels out.

    After step t the average w becomes (1 - a) w + a theta with a = max(1 - decay, (eta + 1) / (eta + t)), eta = 9. Up
    to step 10 / (1 - decay) - 9 that is the polynomial-decay averaging of Shamir and Zhang 2013 (arXiv 1212.1824),
    which reaches back over about the last tenth of the steps so far; from there on it is an exponential moving
    average, which reaches back over about the last 1 / (1 - decay) steps.

    Args:
        weights: that are averaged; they are read at each update and never changed.
        decay: in (0, 1); what is left, after a step, of what was in the average, at most.
    """

    def __init__(self, weights: Iterable[Tensor], decay: float):
        self.weights, self.decay = list(weights), decay
        self.averages = [one.detach().clone() for one in self.weights]

    def update(self, step: int) -> None:
        """Take in the weights after step number `step`, counted from 1."""
        share = max(1 - self.decay, (_ETA + 1) / (_ETA + step))
        with torch.no_grad():
            torch._foreach_lerp_(self.averages, self.weights, share)

    def tensors(self) -> dict[str, Tensor]:
        """What `load` puts back: number -> average."""
        return {str(number): average for number, average in enumerate(self.averages)}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `tensors` returned."""
        for number, average in enumerate(self.averages):
            average.copy_(tensors[str(number)])


def to_be_averaged(model: nn.Module) -> list[Tensor]:
    """Parameters that are not frozen, and the statistics of batch normalisation, which must fit them."""
    normalised = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._NormBase)]
    statistics = [buffer for one in normalised for buffer in one.buffers(recurse=False) if buffer.is_floating_point()]
    return [*(parameter for parameter in model.parameters() if parameter.requires_grad), *statistics]


@contextmanager
def evaluation_weights(optimizer: torch.optim.Optimizer, average: ExponentialAverage | None = None) -> Iterator[None]:
    """Within it the parameters hold the weights to be evaluated and kept: where they are averaged, their average.

    Args:
        optimizer: one that averages keeps the averages as "ax" in its state.
        average: that is kept beside the optimizer.
    """
    if average is not None:
        averaged = list(zip(average.weights, average.averages, strict=True))
    else:
        averaged = [
            (p, optimizer.state[p]["ax"])
            for group in optimizer.param_groups
            for p in group["params"]
            if "ax" in optimizer.state.get(p, {})
        ]
    current = [p.detach().clone() for p, _ in averaged]
    with torch.no_grad():
        for parameter, value in averaged:
            parameter.copy_(value)
    try:
        yield
    finally:
        with torch.no_grad():
            for (parameter, _), value in zip(averaged, current, strict=True):
                parameter.copy_(value)
