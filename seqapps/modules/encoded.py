"""What encoders return."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from seqapps.cells import Lengths, State

__all__ = ["Encoded", "FinalStates"]

FinalStates = tuple[tuple[State, ...], ...]  # [layer][direction]


class Encoded(NamedTuple):
    """What an encoder returns.

    Attributes:
        outputs: (B, T, F), zero on padding.
        summary: (B, F), one vector for the whole sequence; every encoder has it.
        final: [layer][direction] -> state after a sequence's last token, or None if it was not asked for; can be fed
            back as `state`.
        lengths: of the sequences.
        undropped: (B, T, F), `outputs` before dropout, if the encoder drops any; what TAR is computed from.
    """

    outputs: Tensor
    summary: Tensor
    final: FinalStates | None
    lengths: Lengths
    undropped: Tensor | None = None
