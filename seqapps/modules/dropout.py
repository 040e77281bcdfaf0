"""Dropout. `p` is always the probability of dropping; what stays is scaled by 1 / (1 - p), so expectations are kept."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Dropout", "check_probabilities", "drop", "word_dropout"]


def drop(x: Tensor, p: float, *, locked: bool, training: bool) -> Tensor:
    """Inverted dropout on x (T, B, F).

    Args:
        locked: one mask (1, B, F) per sequence, the same at every step (Gal and Ghahramani 2016), instead of a fresh one.
    """
    if p == 0.0 or not training:
        return x
    if not locked:
        return F.dropout(x, p)
    return x * F.dropout(x.new_ones(1, *x.shape[1:]), p)


class Dropout(nn.Module):
    """`drop` as a module."""

    def __init__(self, p: float, *, locked: bool = False):
        super().__init__()
        self.p, self.locked = p, locked

    def forward(self, x: Tensor) -> Tensor:
        """x (T, B, F)."""
        return drop(x, self.p, locked=self.locked, training=self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}, locked={self.locked}"


def word_dropout(numbers: Tensor, frequencies: Tensor, alpha: float, unk: int) -> Tensor:
    """Each token becomes `<unk>` with probability alpha / (alpha + its training frequency).

    Kiperwasser and Goldberg 2016, section 4: rare words teach the model what an unknown word is like.
    """
    probability = alpha / (alpha + frequencies[numbers])
    return torch.where(torch.rand_like(probability) < probability, unk, numbers)


def check_probabilities(fields: dict[str, float], *names: str) -> list[tuple[str, str]]:
    """Faults of fields that must be probabilities of dropping, 0 <= p < 1."""
    return [
        (name, f"{name} is {fields[name]}, expected 0 <= {name} < 1") for name in names if not 0.0 <= fields[name] < 1.0
    ]
