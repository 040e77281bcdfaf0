"""Feedforward layers, and the encoder that sees one token at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqapps.cells import Lengths
from seqapps.modules.dropout import Dropout, check_probabilities
from seqapps.modules.stateless import StatelessEncoder, pool

__all__ = ["NONLINEARITIES", "FeedforwardEncoder", "FeedforwardLayers", "Nonlinearity", "check_layers"]

Nonlinearity = Literal["relu", "tanh", "gelu", "sigmoid"]
NONLINEARITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "sigmoid": torch.sigmoid,
}


class FeedforwardLayers(nn.Module):
    """h_l = g(W_l h_(l-1) + b_l) for l = 1 .. L, with h_0 = x; the result is h_L, and x itself if L = 0.

    `dropout` acts on what enters every layer and on what leaves the last. `sizes` are those of h_1 .. h_L.
    """

    def __init__(self, input_size: int, sizes: Sequence[int], nonlinearity: Nonlinearity, dropout: float):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(before, size) for before, size in zip([input_size, *sizes], sizes, strict=False)
        )
        self.nonlinearity = NONLINEARITIES[nonlinearity]
        self.dropout = Dropout(dropout)
        self.output_size = sizes[-1] if sizes else input_size

    def forward(self, x: Tensor) -> Tensor:
        """x (..., input_size) -> (..., output_size)."""
        for layer in self.layers:
            x = self.nonlinearity(layer(self.dropout(x)))
        return self.dropout(x)


def check_layers(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Faults of the fields `hidden_sizes` and `dropout`."""
    sizes = fields["hidden_sizes"]
    faults = (
        [("hidden_sizes", f"hidden_sizes are {sizes}, expected each 1 or more")] if min(sizes, default=1) < 1 else []
    )
    return faults + check_probabilities(fields, "dropout")


class FeedforwardEncoder(StatelessEncoder):
    """Hidden layers on each token alone (a multilayer perceptron; Rumelhart, Hinton and Williams 1986).

    h_l,t = g(W_l h_(l-1),t + b_l), with h_0,t = x_t; output t is that of the last layer. No position sees another, so
    the difference to any other encoder is what context is worth.

    The summary is the mean of the outputs over a sequence's tokens.

    Fields:
        hidden_sizes: features of each layer, the first first; [] = the input itself.
        nonlinearity: g, one of relu, tanh, gelu, sigmoid.
        dropout: probability of dropping what enters every layer and what leaves the last.
    """

    causal = True

    def __init__(
        self,
        input_size: int,
        /,
        *,
        hidden_sizes: list[int] = [200],  # noqa: B006
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.0,
    ):
        super().__init__()
        self.hidden = FeedforwardLayers(input_size, hidden_sizes, nonlinearity, dropout)
        self.output_size = self.hidden.output_size

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Sizes are at least 1, dropout is a probability."""
        return check_layers(fields)

    def encode(self, x: Tensor, lengths: Lengths) -> tuple[Tensor, Tensor]:
        outputs = self.hidden(x)
        return outputs, pool(outputs, ~lengths.padding, "mean")
