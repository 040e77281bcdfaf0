"""Writing words of the source as they stand there: what is generated is mixed with what is pointed at."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqapps.modules.output import Mixed

__all__ = ["Pointer", "Pointing", "mixture", "target_parts"]


class Pointing(NamedTuple):
    """All that the distribution of a word follows from, for any number of words (...).

    Attributes:
        hidden: (..., F), what the output layer reads.
        gate: (...), p_gen before its sigmoid.
        scores: (..., S), what attention's weights are the softmax of; -inf on padding.
        source: (..., S) int64, the words of the source in numbers of `seqapps.data.pointers.Pointers`; 0 on padding.
    """

    hidden: Tensor
    gate: Tensor
    scores: Tensor
    source: Tensor


class Pointer(nn.Module):
    """p_gen, the probability that a word is generated (See, Liu and Manning 2017, arXiv 1704.04368, equation 8).

        p_gen = sigmoid(w_c c_t + w_h h_t + w_x x_t + b)

    c_t is the mean of what the encoder gave, h_t the decoder's state, x_t the word read, embedded. As with W_c of the
    decoder, w_c is multiplied with what is averaged, once for a sequence.
    """

    def __init__(self, source_size: int, state_size: int, embedding_size: int):
        super().__init__()
        self.averaged = nn.Linear(source_size, 1, bias=False)  # w_c
        self.state = nn.Linear(state_size, 1)  # w_h, b
        self.embedded = nn.Linear(embedding_size, 1, bias=False)  # w_x

    def forward(self, averaged: Tensor, hidden: Tensor, embedded: Tensor) -> Tensor:
        """p_gen before its sigmoid, (...), from w_c c_t (..., 1), h_t (..., H) and x_t (..., E)."""
        found = averaged + self.state(hidden) + self.embedded(embedded)
        return found[..., 0].to(torch.promote_types(found.dtype, torch.float32))


def mixture(log_probs: Tensor, found: Pointing, unknown: int) -> Tensor:
    """Equation 9, as logarithms (N, V + unknown): p(w) = p_gen P(w) + (1 - p_gen) sum over i with x_i = w of a_i.

    A word beyond V that a source does not have is impossible. Each row depends on its own source only.

    Args:
        log_probs: log P, (N, V).
        found: of N words; `hidden` is not looked at.
        unknown: how many numbers beyond V there are.
    """
    weights = found.scores.softmax(-1)
    generated = F.pad(F.logsigmoid(found.gate)[:, None] + log_probs, (0, unknown), value=-math.inf)
    pointed_at = torch.zeros_like(generated).scatter_add_(1, found.source, weights.to(generated.dtype))
    copied = F.logsigmoid(-found.gate)[:, None] + pointed_at.gather(1, found.source).log()
    both = torch.logaddexp(generated.gather(1, found.source), copied)
    return generated.scatter_(1, found.source, both)  # of equal words each place gets the same


def target_parts(found: Pointing, targets: Tensor, vocabulary_size: int, unk: int) -> tuple[Tensor, Mixed]:
    """For the loss of N words: their targets (N,) within the vocabulary, and what its softmax is mixed with.

    A target beyond the vocabulary is one that only pointing can write; it stands as `unk`, with no share.
    """
    known = targets < vocabulary_size
    log_weights = found.scores.log_softmax(-1)
    places = torch.where(found.source == targets[:, None], log_weights, -math.inf)
    other = F.logsigmoid(-found.gate) + places.logsumexp(-1)
    share = torch.where(known, F.logsigmoid(found.gate), -math.inf)
    return torch.where(known, targets, unk), Mixed(share, other)
