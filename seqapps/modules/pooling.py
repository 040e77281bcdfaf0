"""One vector for a sequence, from the vectors of its positions."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from seqapps.cells.lengths import without_padding
from seqapps.modules.encoded import Encoded
from seqapps.modules.stateless import pool

__all__ = ["Pool", "Pooling"]

Pooling = Literal["last", "mean", "max", "attention"]


class Pool(nn.Module):
    """Encoder outputs h_1 .. h_n of a sequence as one vector; what stands on padding does not matter, NaN included.

        last        Encoded.summary: of a recurrent encoder its state after the last token, in both directions
        mean        1/n sum_t h_t
        max         the maximum of each component
        attention   sum_t a_t h_t,  a = softmax_t(w . tanh(W h_t + b)),  with W square
                    (Yang et al. 2016, "Hierarchical attention networks", equations 5 to 7)

    Args:
        size: F, of h_t.
    """

    def __init__(self, size: int, kind: Pooling):
        super().__init__()
        self.kind = kind
        if kind == "attention":
            self.hidden = nn.Linear(size, size)
            self.context = nn.Parameter(torch.empty(size))
            nn.init.uniform_(self.context, -1 / math.sqrt(size), 1 / math.sqrt(size))

    def forward(self, encoded: Encoded) -> Tensor:
        """(B, F)."""
        if self.kind == "last":
            return encoded.summary
        x = without_padding(encoded.outputs.transpose(0, 1), encoded.lengths)  # (T, B, F)
        real = ~encoded.lengths.padding  # (T, B, 1)
        if self.kind != "attention":
            return pool(x, real, self.kind)
        scores = (torch.tanh(self.hidden(x)) @ self.context).masked_fill(~real[..., 0], -math.inf)  # (T, B)
        return torch.einsum("tb,tbf->bf", scores.softmax(0), x)
