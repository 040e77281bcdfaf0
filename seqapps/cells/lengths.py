"""The lengths of a batch of sequences, and the masks and indices that follow from them."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from seqapps.errors import ShapeError

__all__ = ["Lengths", "Segment", "last_repeated", "reversed_sequences", "without_padding"]


class Segment(NamedTuple):
    """Steps from `start` to before `stop`, in which the `rows` longest sequences have not ended."""

    start: int
    stop: int
    rows: int


class Lengths:
    """How long each sequence of a padded batch is; the only source of masks.

    What follows from the lengths is computed once, on demand, on the device of the data.

    Args:
        values: (B,) int64, 1 <= values[b] <= steps.
        steps: T, the padded length.
        device: of the data.

    Raises:
        ShapeError: a length is 0 or exceeds T; the message names the sequence.
    """

    def __init__(self, values: Tensor, steps: int, device: torch.device | str = "cpu"):
        values = torch.as_tensor(values)
        if values.dim() != 1 or values.is_floating_point() or values.dtype == torch.bool:
            raise ShapeError(f"lengths are {values.dtype} {tuple(values.shape)}, expected integers (B,)")
        self.values = values.to("cpu", torch.int64).contiguous()
        self.steps, self.device = steps, torch.device(device)
        wrong = torch.nonzero((self.values < 1) | (self.values > steps))
        if len(wrong):
            b = int(wrong[0])
            raise ShapeError(
                f"sequence {b} has length {int(self.values[b])}, expected 1 to {steps}; drop empty sequences"
            )
        self.equal = bool((self.values == steps).all())  # nothing is padded

    @classmethod
    def of(cls, lengths: Tensor | Lengths, steps: int, device: torch.device | str) -> Lengths:
        """`lengths` itself if it is one already. Raises ShapeError if it was made for another number of steps."""
        if not isinstance(lengths, Lengths):
            return cls(lengths, steps, device)
        if lengths.steps != steps:
            raise ShapeError(f"lengths were made for {lengths.steps} steps, x has {steps}; make them from (B,) numbers")
        return lengths

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def on_device(self) -> Tensor:
        """(B,) int64 on the device."""
        return self.values.to(self.device)

    @cached_property
    def mask(self) -> Tensor:
        """(T, B) bool: is the position real?"""
        return torch.arange(self.steps, device=self.device)[:, None] < self.on_device

    @cached_property
    def padding(self) -> Tensor:
        """(T, B, 1) bool: is the position padding?"""
        return ~self.mask[..., None]

    @cached_property
    def padding_rows(self) -> Tensor:
        """(number of padded positions,) row numbers of the padding in a (T x B, ...) matrix."""
        return torch.nonzero(~self.mask.flatten())[:, 0]

    @cached_property
    def last(self) -> Tensor:
        """(B,) row numbers of every sequence's last position in a (T x B, ...) matrix."""
        return (self.on_device - 1) * len(self) + torch.arange(len(self), device=self.device)

    @cached_property
    def repeated(self) -> Tensor:
        """(T x B,) row numbers of every position in a (T x B, ...) matrix, on padding that of the last real one."""
        positions = torch.arange(self.steps * len(self), device=self.device).view(self.steps, len(self))
        return torch.where(self.mask, positions, self.last).flatten()

    @cached_property
    def real(self) -> Tensor:
        """(sum of lengths,) row numbers of the real positions in a (T x B, ...) matrix, sequence by sequence."""
        positions = torch.nonzero(self.mask.t())
        return positions[:, 1] * len(self) + positions[:, 0]

    @cached_property
    def order(self) -> Tensor:
        """(B,) numbers of the sequences, longest first."""
        return self.values.argsort(descending=True, stable=True).to(self.device)

    @cached_property
    def segments(self) -> list[Segment]:
        """Time cut where many sequences end, so that little is computed on padding; one piece if that gains little."""
        whole = [Segment(0, self.steps, len(self))]
        number = min(8, self.steps // 16)  # each costs a start: shorter ones gain nothing
        if self.equal or number < 2:
            return whole
        lengths = self.values.sort().values
        cuts = {int(lengths[len(self) * k // number - 1]) for k in range(1, number)} | {self.steps}
        segments, start = [], 0
        for stop in sorted(cuts):
            segments.append(Segment(start, stop, int((lengths > start).sum())))
            start = stop
        positions = sum((stop - start) * rows for start, stop, rows in segments)
        return segments if positions < 0.85 * self.steps * len(self) else whole

    @cached_property
    def reversal(self) -> Tensor:
        """(T x B,) row numbers that turn each sequence round and leave its padding where it is; its own inverse."""
        t = torch.arange(self.steps, device=self.device)[:, None]
        source = torch.where(self.mask, self.on_device - 1 - t, t)
        return (source * len(self) + torch.arange(len(self), device=self.device)).flatten()


class _Permute(torch.autograd.Function):
    """Rows in the order of an involution: the gradient is permuted the same way, cheaper than a scatter-add."""

    @staticmethod
    def forward(ctx, x: Tensor, order: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.order = order
        return x.flatten(0, 1).index_select(0, order).view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        return _Permute.apply(gradient, ctx.order), None


def reversed_sequences(x: Tensor, lengths: Lengths) -> Tensor:
    """Each sequence of x (T, B, ...) read from its last token to its first; padding stays at the end."""
    return x.flip(0) if lengths.equal else _Permute.apply(x, lengths.reversal)


def without_padding(x: Tensor, lengths: Lengths) -> Tensor:
    """x (T, B, ...) with zeros on padding, whatever stood there; its gradient there is zero too."""
    return x if lengths.equal else x.flatten(0, 1).index_fill(0, lengths.padding_rows, 0.0).view_as(x)


def last_repeated(x: Tensor, lengths: Lengths) -> Tensor:
    """x (T, B, ...) with each sequence's last vector on its padding.

    What a rule is run on there: unlike zeros, a point of the data, where the rule has derivatives if it has any.
    """
    return x if lengths.equal else x.flatten(0, 1).index_select(0, lengths.repeated).view_as(x)
