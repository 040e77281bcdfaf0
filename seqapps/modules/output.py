"""The output layer and its cross-entropy in one, for large vocabularies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from seqapps.errors import ComponentError, ShapeError

__all__ = ["CrossEntropy", "Mixed", "linear_cross_entropy"]

_ELEMENTS = 4_000_000  # logits that exist at once; fewer rows make slower products
_IN_CACHE = 250_000  # logits that a CPU turns into their gradient at a time: they stay in its cache from pass to pass


class CrossEntropy(NamedTuple):
    """Sums over all rows.

    Attributes:
        total: the objective, with label smoothing; what is differentiated.
        nll: negative log-likelihood of the targets in nats; has no gradient.
    """

    total: Tensor
    nll: Tensor


class Mixed(NamedTuple):
    """What a softmax is mixed with: p_n(targets_n) = exp(share_n) softmax(...)_n(targets_n) + exp(other_n).

    Attributes:
        share: (N,) logarithm of the softmax's weight.
        other: (N,) logarithm of what the target has from elsewhere; -inf = nothing, in one of the two.
    """

    share: Tensor
    other: Tensor


def linear_cross_entropy(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    label_smoothing: float = 0.0,
    mixed: Mixed | None = None,
) -> CrossEntropy:
    """Cross-entropy of softmax(x W^T + b) with the targets, summed.

        total = sum_n (1 - s) nll_n + s / V sum_v -log p_n(v),   nll_n = -log p_n(targets_n)

    Equal to `F.cross_entropy(F.linear(x, weight, bias), targets, label_smoothing=s, reduction="sum")`, gradients
    included. The logits exist for a chunk of rows at a time and turn into their own gradient at once, in place, so that
    memory does not grow with the number of rows, and a pass over them is saved. Under autocast products are of its
    type, and all else is fp32. There are no second derivatives.

    Args:
        x: (N, F). weight: (V, F). bias: (V,) or None.
        targets: (N,) int64, 0 <= targets[n] < V. Rows of padding must be left out.
        label_smoothing: s, 0 <= s < 1 (Szegedy et al. 2016, section 7).
        mixed: nll_n is then that of a mixture, whose parts get their gradients, too; smoothing acts on the softmax.

    Raises:
        ShapeError: the shapes do not fit each other.
        ComponentError: in the backward pass, if its result is to be differentiated again.
    """
    if x.dim() != 2 or x.size(1) != weight.size(1) or targets.shape != x.shape[:1]:
        shapes = f"x {tuple(x.shape)}, weight {tuple(weight.shape)}, targets {tuple(targets.shape)}"
        raise ShapeError(f"linear_cross_entropy: {shapes}; expected (N, F), (V, F), (N,)")
    device = x.device.type
    product = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    with torch.autocast(device, enabled=False):
        exact = torch.promote_types(product, torch.float32)
        share, other = (None, None) if mixed is None else (mixed.share.to(exact), mixed.other.to(exact))
        arguments = (x, weight, bias, share, other, targets, label_smoothing, product, torch.is_grad_enabled())
        return CrossEntropy(*_LinearCrossEntropy.apply(*arguments))


class _LinearCrossEntropy(torch.autograd.Function):
    """The gradients are computed in the forward pass, and scaled in the backward pass."""

    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        share: Tensor | None,
        other: Tensor | None,
        targets: Tensor,
        smoothing: float,
        product: torch.dtype,
        differentiated: bool,
    ) -> tuple[Tensor, Tensor]:
        exact = torch.promote_types(product, torch.float32)
        inputs = (x, weight, bias, share, other)
        wanted = [
            wish and differentiated and tensor is not None
            for tensor, wish in zip(inputs, ctx.needs_input_grad, strict=False)
        ]
        of_x, of_bias, of_share, of_other = (
            torch.zeros_like(tensor, dtype=exact) if wanted[i] and tensor is not None else None
            for i, tensor in ((0, x), (2, bias), (3, share), (4, other))
        )
        of_weight = None  # until the first chunk's product
        total, nll = x.new_zeros((), dtype=exact), x.new_zeros((), dtype=exact)
        factor = weight.to(product)
        for chunk in _pieces(0, len(x), len(weight), _ELEMENTS):
            read = x[chunk].to(product)
            logits = F.linear(read, factor)
            for part in _pieces(chunk.start, chunk.stop, len(weight), _IN_CACHE if x.is_cpu else _ELEMENTS):
                own_part = logits[part.start - chunk.start : part.stop - chunk.start]
                rows = own_part.to(exact)
                if bias is not None:
                    rows += bias
                beside = None if share is None or other is None else Mixed(share[part, None], other[part, None])
                found = _cross_entropy(rows, targets[part, None], smoothing, beside, differentiated=any(wanted))
                total += found.total
                nll += found.nll
                if of_bias is not None:
                    of_bias += rows.sum(0)
                if of_share is not None:
                    of_share[part] = (smoothing - 1) * found.own[:, 0]
                if of_other is not None:
                    of_other[part] = (smoothing - 1) * (1 - found.own[:, 0])
                if product != exact and any(wanted):
                    own_part.copy_(rows)
            if of_x is not None:
                of_x[chunk] = logits @ factor
            if wanted[1]:
                of_weight = _plus_product(of_weight, logits.t(), read, exact)
        gradients = [of_x, of_weight, of_bias, of_share, of_other]
        ctx.gradients = gradients  # not saved tensors: those would be copied where they become the parameters' own
        ctx.mark_non_differentiable(nll)
        ctx.types = [x.dtype if tensor is None else tensor.dtype for tensor in inputs]
        return total, nll

    @staticmethod
    def backward(ctx, total: Tensor, _: Any) -> tuple[Tensor | None, ...]:  # type: ignore[no-untyped-def]
        if torch.is_grad_enabled():
            raise ComponentError("linear_cross_entropy has no second derivative; use F.cross_entropy and F.linear")
        if ctx.gradients is None:
            raise ComponentError("linear_cross_entropy: a second backward pass; call it again, or F.cross_entropy")
        gradients, ctx.gradients = ctx.gradients, None
        unscaled = total.device.type == "cpu" and total.item() == 1  # a pass saved; elsewhere, asking would wait
        found = [
            None if gradient is None else (gradient if unscaled else gradient.mul_(total)).to(dtype)
            for gradient, dtype in zip(gradients, ctx.types, strict=True)
        ]
        return (*found, None, None, None, None)


class _Sums(NamedTuple):
    """Objective and negative log-likelihood of some rows, summed; `own` (n, 1), the softmax's part in the mixture."""

    total: Tensor
    nll: Tensor
    own: Tensor


def _cross_entropy(
    logits: Tensor, targets: Tensor, smoothing: float, mixed: Mixed | None, *, differentiated: bool
) -> _Sums:
    """What rows come to; the logits (n, V) turn into the gradient of the objective."""
    highest = logits.amax(-1, keepdim=True)
    gold = logits.gather(1, targets)
    mean = logits.mean(-1, keepdim=True) if smoothing else gold
    sums = logits.sub_(highest).exp_().sum(-1, keepdim=True)
    normalizer = sums.log() + highest
    nll, own = normalizer - gold, torch.ones_like(gold)
    if mixed is not None:
        log_own = mixed.share - nll
        nll = -torch.logaddexp(log_own, mixed.other)
        own = (log_own + nll).exp()
    total = (1 - smoothing) * nll + smoothing * (normalizer - mean)
    if differentiated:
        if mixed is None:
            logits.div_(sums)
        else:
            logits.mul_(((1 - smoothing) * own + smoothing) / sums)
        if smoothing:
            logits -= smoothing / logits.size(1)
        logits.scatter_add_(1, targets, (smoothing - 1) * own)
    return _Sums(total.sum(), nll.sum(), own)


def _pieces(start: int, stop: int, width: int, elements: int) -> Iterator[slice]:
    """Rows start to stop of a matrix of this width, in pieces of some `elements` that are of about the same size."""
    rows = stop - start
    size = max(1, -(-rows // max(1, round(rows * width / elements))))
    return (slice(first, min(first + size, stop)) for first in range(start, max(start + 1, stop), size))


def _plus_product(sum_: Tensor | None, a: Tensor, b: Tensor, dtype: torch.dtype) -> Tensor:
    """sum_ + a b, in place if there is a sum already."""
    if sum_ is None:
        return (a @ b).to(dtype)
    return sum_.addmm_(a, b) if a.dtype == dtype else sum_.add_(a @ b)
