"""What encoders without a recurrence have in common."""

from __future__ import annotations

import abc
from typing import Literal

import torch
from torch import Tensor, nn

from seqapps.cells import Lengths
from seqapps.cells.lengths import without_padding
from seqapps.errors import ShapeError
from seqapps.modules.encoded import Encoded, FinalStates

__all__ = ["Pooling", "StatelessEncoder", "pool"]

Pooling = Literal["mean", "max"]


class StatelessEncoder(nn.Module, abc.ABC):
    """An encoder that carries nothing from one batch to the next.

    Its final states are the empty tuple. Fed back as `state`, that means what it says: nothing is known of the batch
    before, so each sequence is read as if it began here, also where batches continue each other.
    """

    output_size: int  # F
    causal: bool  # does an output depend on no later position?

    @abc.abstractmethod
    def encode(self, x: Tensor, lengths: Lengths) -> tuple[Tensor, Tensor]:
        """Outputs (T, B, F), whatever they are on padding, and summary (B, F) of x (T, B, E), zero on padding."""

    def forward(
        self, x: Tensor, lengths: Tensor | Lengths, state: FinalStates | None = None, *, final: bool = True
    ) -> Encoded:
        """Encode x (B, T, E).

        Args:
            lengths: (B,) int64.
            state: None or (), which say the same.
            final: False if nobody reads the final states; `Encoded.final` is then None instead of ().

        Raises:
            ShapeError: `state` holds something, so it is another encoder's.
        """
        if state:
            raise ShapeError(
                f"{type(self).__name__}: got a state of {len(state)} layers, but carries none; pass None or ()"
            )
        x = x.transpose(0, 1)  # (T, B, E)
        lengths = Lengths.of(lengths, x.size(0), x.device)
        outputs, summary = self.encode(without_padding(x, lengths), lengths)
        outputs = without_padding(outputs, lengths)
        return Encoded(outputs.transpose(0, 1), summary, () if final else None, lengths)


def pool(x: Tensor, kept: Tensor, pooling: Pooling, *, running: bool = False) -> Tensor:
    """Mean or componentwise maximum over time of those vectors of x (T, B, F) that are kept; of none it is zero.

    Args:
        x: finite where it is not kept, too.
        kept: (T, B, 1) bool.
        running: pool at every t over 0 .. t only.

    Returns:
        (B, F), or (T, B, F) if running.
    """
    counts = kept.cumsum(0) if running else kept.sum(0)
    if pooling == "mean":
        x = x * kept
        return (x.cumsum(0) if running else x.sum(0)) / counts.clamp(min=1)
    x = x.masked_fill(~kept, -torch.inf)
    return (x.cummax(0).values if running else x.amax(0)).masked_fill(counts == 0, 0.0)
