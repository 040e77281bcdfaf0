"""Output layer and cross-entropy in one: the buffer of the scores turns into their gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["linear_cross_entropy"]

ROWS = 400  # whose scores exist at once


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        total = 0.0
        of_x, of_weight, of_bias = torch.empty_like(x), torch.zeros_like(weight), torch.zeros_like(bias)
        for start in range(0, len(x), ROWS):
            part = slice(start, start + ROWS)
            read, gold = x[part], targets[part, None]
            scores = torch.addmm(bias, read, weight.t())
            highest = scores.amax(1, keepdim=True)
            at_gold = scores.gather(1, gold)
            sums = scores.sub_(highest).exp_().sum(1, keepdim=True)
            total += float((sums.log() + highest - at_gold).sum())
            scores.div_(sums * len(x))
            scores.scatter_add_(1, gold, torch.full_like(at_gold, -1 / len(x)))
            torch.mm(scores, weight, out=of_x[part])
            of_weight.addmm_(scores.t(), read)
            of_bias += scores.sum(0)
        ctx.gradients = of_x, of_weight, of_bias  # handed over, so that nothing is copied
        return x.new_tensor(total / len(x))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        gradients, ctx.gradients = ctx.gradients, None
        return (*gradients, None)  # those of the mean, which is where the backward pass begins


def linear_cross_entropy(x: Tensor, output: nn.Linear, targets: Tensor) -> Tensor:
    """Mean cross-entropy of `output(x)`; may only be what `backward()` is called on."""
    loss: Tensor = _Mean.apply(x, output.weight, output.bias, targets)
    return loss
