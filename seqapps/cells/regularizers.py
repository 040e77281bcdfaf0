"""What keeps a recurrent layer from overfitting, for any cell.

A layer sets `cell.regularizers`; `cell.begin` calls `drawn`, which makes for one batch of sequences a shallow copy of
the cell that shares all parameters. Dropped weights and masks replace the linear modules that multiply the old state,
so the class of the cell, its rule, and the kernels that run it stay what they are.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqapps.errors import ComponentError

if TYPE_CHECKING:
    from seqapps.cells.cell import Cell, State

__all__ = ["NO_REGULARIZERS", "DrawnLinear", "Regularizers", "check_regularizers", "drawn", "is_plain_linear"]


class Regularizers(NamedTuple):
    """Probabilities, all 0 for none.

    Attributes:
        recurrent_dropout: of dropping a unit of the old state from the recurrent products, one mask for a whole
            sequence ("variational"; Gal and Ghahramani 2016, arXiv 1512.05287). What the rule itself carries over, a
            GRU's z * h, is not masked.
        weight_drop: of dropping an element of the recurrent matrices, one draw for a whole batch (DropConnect on the
            hidden-to-hidden matrices; Merity, Keskar and Socher 2017, arXiv 1708.02182).
        zoneout: of a unit of the first state keeping its old value at a step; in evaluation it takes the expected value
            (Krueger et al. 2016, arXiv 1606.01305). Outputs follow where they are a state (h of an LSTM or GRU), or are
            read from one by a LinearCell; an output that a step computes besides is that of the unmixed states.
        zoneout_cell: the same for further states, an LSTM's c.
    """

    recurrent_dropout: float = 0.0
    weight_drop: float = 0.0
    zoneout: float = 0.0
    zoneout_cell: float = 0.0


NO_REGULARIZERS = Regularizers()


class DrawnLinear(nn.Module):
    """A linear module for one batch of sequences.

    Attributes:
        weight: (out, in), with dropped elements.
        bias: (out,) or None.
        mask: (B, in), what the input is multiplied with, or None.
    """

    weight: Tensor
    bias: Tensor | None
    mask: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None, mask: Tensor | None):
        super().__init__()
        # Kept out of the parameters: they belong to the module that this one was drawn from.
        self.__dict__.update(weight=weight, bias=bias, mask=mask)

    def forward(self, h: Tensor) -> Tensor:
        """(B, in) -> (B, out)."""
        return F.linear(h if self.mask is None else h * self.mask, self.weight, self.bias)


def is_plain_linear(module: nn.Module) -> bool:
    """Is its product weight, bias and mask alone? Adapters and hooks (pruning) compute something else."""
    hooks = module._forward_hooks or module._forward_pre_hooks
    return not hooks and type(module).forward in (nn.Linear.forward, DrawnLinear.forward)


def check_regularizers(cell: Cell) -> None:
    """ComponentError where a regulariser would have nothing to act on."""
    for field in ("recurrent_dropout", "weight_drop"):
        if getattr(cell.regularizers, field) and not cell.recurrent_names():
            raise ComponentError(
                f"{field}: {type(cell).__name__} has no linear module that multiplies its old state; remove {field},"
                " or use zoneout"
            )
    if cell.regularizers.zoneout_cell and cell.states < 2:
        raise ComponentError(
            f"zoneout_cell: {type(cell).__name__} has one state only; remove zoneout_cell, or use zoneout"
        )


AnyCell = TypeVar("AnyCell", bound="Cell")


def drawn(cell: AnyCell, batch_size: int) -> AnyCell:
    """`cell` for one batch of sequences; see the head of this module."""
    wanted = cell.regularizers
    masks = cell.training and (wanted.recurrent_dropout or wanted.weight_drop)
    zones = wanted.zoneout or wanted.zoneout_cell
    if not masks and not zones:
        return cell
    new = _shallow(cell)
    if masks:
        for name in cell.recurrent_names():
            new._modules[name] = _drawn_linear(getattr(cell, name), wanted, batch_size)
    if zones:
        new.__class__ = _zoned_out(type(cell))
        new.__dict__["zones"] = [
            Zone(state[0].numel(), wanted.zoneout_cell if number else wanted.zoneout)
            for number, state in enumerate(cell.initial_state(1))
        ]
    new.regularizers = NO_REGULARIZERS  # to begin it once more draws nothing more
    return new


def _shallow(cell: AnyCell) -> AnyCell:
    """A copy whose table of children is its own, and all else shared."""
    new = copy.copy(cell)
    new._modules = dict(cell._modules)
    return new


def _drawn_linear(linear: nn.Linear, wanted: Regularizers, batch_size: int) -> DrawnLinear:
    weight = F.dropout(linear.weight, wanted.weight_drop) if wanted.weight_drop else linear.weight
    mask = None
    if wanted.recurrent_dropout:
        mask = F.dropout(weight.new_ones(batch_size, linear.in_features), wanted.recurrent_dropout)
    return DrawnLinear(weight, linear.bias, mask)


# Zoneout mixes every new state with the old one: s = k * s_old + (1 - k) * s_new. In training k is 1 with the given
# probability and 0 otherwise, drawn for all steps at once and handed along as further channels of the projected input;
# in evaluation it is the probability itself.


class Zone(NamedTuple):
    """Zoneout of one state tensor.

    Attributes:
        width: numbers that one sequence has there.
        probability: of keeping the old value.
    """

    width: int
    probability: float


class _ZonedOut:
    """Mixed into a class that writes `step`."""

    def project(self: Any, x: Tensor) -> Tensor:
        projected = super().project(x)  # type: ignore[misc]
        if not self.training:
            return projected
        keeps = [projected.new_empty(*x.shape[:-1], width).bernoulli_(p) for width, p in self.zones]
        return torch.cat([projected, *keeps], -1)

    def step(self: Any, projected: Tensor, state: State) -> tuple[Tensor, State]:
        projected, keeps = _split(self, projected)
        output, new = super().step(projected, state)  # type: ignore[misc]
        return _mixed(output, new, state, keeps)


class _ZonedOutPointwise(_ZonedOut):
    """Mixed into a class that writes `pointwise`."""

    def step(self: Any, projected: Tensor, state: State) -> tuple[Tensor, State]:
        recurrent = self.recurrent(state[0]) if self.has_recurrent else None
        return self.pointwise(projected, recurrent, state)

    def pointwise(self: Any, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        projected, keeps = _split(self, projected)
        output, new = super().pointwise(projected, recurrent, state)  # type: ignore[misc]
        return _mixed(output, new, state, keeps)


class _ZonedOutLinear(_ZonedOutPointwise):
    """Mixed into a class that writes `coefficients`: k h + (1 - k)(a h + b) is linear again."""

    def coefficients(self: Any, projected: Tensor) -> tuple[Tensor, Tensor]:
        projected, (keep,) = _split(self, projected)
        a, b = super().coefficients(projected)  # type: ignore[misc]
        return keep + (1 - keep) * a, (1 - keep) * b

    def readout(self: Any, projected: Tensor, state: Tensor) -> Tensor:
        return super().readout(_split(self, projected)[0], state)  # type: ignore[misc]

    def pointwise(self: Any, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        a, b = self.coefficients(projected)
        h = a * state[0] + b
        return self.readout(projected, h), (h,)


@cache
def _zoned_out(kind: type[AnyCell]) -> type[AnyCell]:
    """The class of a zoned-out cell: another rule, so another class, which no kernel takes for the plain one.

    Where `kind` itself writes more than it need, the new class writes it too: kernels see that it is not the usual.
    """
    from seqapps.cells.cell import LinearCell, PointwiseCell

    mixin, own = _ZonedOut, ["step"]
    if issubclass(kind, PointwiseCell) and kind.step is PointwiseCell.step:
        mixin, own = _ZonedOutPointwise, []
        if issubclass(kind, LinearCell):
            mixin, own = (_ZonedOutLinear, []) if kind.pointwise is LinearCell.pointwise else (mixin, ["pointwise"])
    methods = {name: getattr(mixin, name) for name in own}
    return type(f"ZonedOut{kind.__name__}", (mixin, kind), {"__module__": kind.__module__, **methods})


def _split(cell: Any, projected: Tensor) -> tuple[Tensor, list[Any]]:
    """The projected input proper, and what to keep of each state."""
    if not cell.training:
        return projected, [zone.probability for zone in cell.zones]
    widths = [zone.width for zone in cell.zones]
    proper, *keeps = projected.split([projected.size(-1) - sum(widths), *widths], -1)
    return proper, keeps


def _mixed(output: Tensor, new: State, old: State, keeps: list[Any]) -> tuple[Tensor, State]:
    mixed = []
    for after, before, keep in zip(new, old, keeps, strict=True):
        k = keep.view_as(after) if isinstance(keep, Tensor) else keep
        mixed.append(k * before + (1 - k) * after)
    shown = next((m for m, after in zip(mixed, new, strict=True) if after is output), output)
    return shown, tuple(mixed)
