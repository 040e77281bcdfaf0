"""The encoder that knows which words there are and not where: a bag of words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from seqapps.cells import Lengths
from seqapps.modules.dropout import check_probabilities
from seqapps.modules.feedforward import FeedforwardLayers, Nonlinearity, check_layers
from seqapps.modules.stateless import Pooling, StatelessEncoder, pool

__all__ = ["PooledEncoder"]


class PooledEncoder(StatelessEncoder):
    """Hidden layers on the mean of a sequence's vectors (deep averaging network; Iyyer et al. 2015), or on the maximum.

        h_0 = 1/n sum_t x_t, or the maximum of each component,    h_l = g(W_l h_(l-1) + b_l),    l = 1 .. L

    The order of the tokens is lost, so the difference to any other encoder is what order is worth. With
    `hidden_sizes: []` it is the plain average.

    The summary is h_L, what the paper classifies by. One vector stands for the whole sequence, so every output is that
    same vector: a head that labels tokens gives all tokens of a sentence the same scores. With `causal` output t is h_L
    of the tokens up to and with t instead, which suits language models; the output at the last token, which has
    seen all, is the summary either way.

    Fields:
        pooling: mean or max.
        causal: pool at every position over what came up to it only.
        hidden_sizes: features of each layer, the first first; [] = none.
        nonlinearity: g, one of relu, tanh, gelu, sigmoid.
        dropout: probability of dropping what enters every layer and what leaves the last.
        word_dropout: in training, probability that a token is left out of the pool, and of n, altogether (0.3 in the
            paper). If none is left the pool is zero.
    """

    def __init__(
        self,
        input_size: int,
        /,
        *,
        pooling: Pooling = "mean",
        causal: bool = False,
        hidden_sizes: list[int] = [200],  # noqa: B006
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.0,
        word_dropout: float = 0.0,
    ):
        super().__init__()
        self.pooling, self.causal, self.word_dropout = pooling, causal, word_dropout
        self.hidden = FeedforwardLayers(input_size, hidden_sizes, nonlinearity, dropout)
        self.output_size = self.hidden.output_size

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Sizes are at least 1, both dropouts are probabilities."""
        return check_layers(fields) + check_probabilities(fields, "word_dropout")

    def encode(self, x: Tensor, lengths: Lengths) -> tuple[Tensor, Tensor]:
        kept = ~lengths.padding  # (T, B, 1)
        if self.training and self.word_dropout:
            kept = kept & (torch.rand(kept.shape, device=x.device) >= self.word_dropout)
        h = self.hidden(pool(x, kept, self.pooling, running=self.causal))
        if self.causal:
            return h, h.flatten(0, 1).index_select(0, lengths.last)
        return h.expand(x.size(0), -1, -1), h
