"""Dropout. `p` is always the probability of dropping; what stays is scaled by 1 / (1 - p), so expectations are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Dropout", "check_probabilities", "drop", "word_dropout"]


def drop(x: Tensor, p: float, *, locked: bool, training: bool) -> Tensor:
    """Inverted dropout on x (T, B, F).

    Args:
        locked: one mask (1, B, F) per sequence, the same at every step (Gal and Ghahramani 2016), instead of a fresh
            one.
    """
    if p == 0.0 or not training:
        return x
    return x * _scaled_mask(x[:1] if locked else x, p)


def _scaled_mask(like: Tensor, p: float) -> Tensor:
    """0 with probability p, else 1 / (1 - p), shaped and typed as `like`.

    On a CPU each element takes 16 random bits, so p is rounded to the next 1/65536, and the scale goes by the rounded
    one. Drawing them is a tenth of the work of torch's Bernoulli numbers there.
    """
    if like.device.type != "cpu":
        return F.dropout(torch.ones_like(like), p)
    words = torch.empty((like.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    bits = words.view(torch.int16)[: like.numel()].view(like.shape)  # -32768 .. 32767
    dropped = min(round(p * 65536), 65535)
    mask = torch.empty(like.shape, dtype=like.dtype)
    torch.ge(bits, dropped - 32768, out=mask)
    return mask.mul_(65536 / (65536 - dropped))


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


def check_probabilities(fields: Mapping[str, Any], *names: str) -> list[tuple[str, str]]:
    """Faults of fields that must be probabilities of dropping, 0 <= p < 1."""
    return [
        (name, f"{name} is {fields[name]}, expected 0 <= {name} < 1") for name in names if not 0.0 <= fields[name] < 1.0
    ]
