"""Recurrent encoders: any cell, deep, in one or two directions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn

from seqapps.cells import Lengths, State, unroll
from seqapps.modules.dropout import Dropout, check_probabilities
from seqapps.recipe.spec import Spec

__all__ = ["Encoded", "FinalStates", "RecurrentEncoder"]

FinalStates = tuple[tuple[State, ...], ...]  # [layer][direction]


class Encoded(NamedTuple):
    """What an encoder returns.

    Attributes:
        outputs: (B, T, F), zero on padding.
        summary: (B, F), one vector for the whole sequence; every encoder has it.
        final: [layer][direction] -> state after a sequence's last token, or None if it was not asked for; can be fed
            back
            as `state`.
        lengths: of the sequences.
    """

    outputs: Tensor
    summary: Tensor
    final: FinalStates | None
    lengths: Lengths


class RecurrentEncoder(nn.Module):
    """A stack of recurrent layers.

    With `bidirectional` each layer reads its input from both ends, and the layer above reads both directions' outputs
    side by side (Graves and Schmidhuber 2005; deep: Graves, Mohamed and Hinton 2013). `dropout` acts on non-recurrent
    connections only: on what enters every layer and on what leaves the last (Zaremba, Sutskever and Vinyals 2014,
    figure 2).

    The summary is the last layer's output after the last token, forward, beside that of the backward direction after
    the first token.

    Fields:
        cell: any cell.
        hidden_size: H, features of a state, per direction.
        num_layers: depth.
        bidirectional: read both ways.
        dropout: probability of dropping.
        locked_dropout: one dropout mask per sequence instead of a fresh one every step (Gal and Ghahramani 2016).
    """

    def __init__(
        self,
        input_size: int,
        /,
        *,
        cell: Annotated[Spec, "cells"],
        hidden_size: int = 200,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        locked_dropout: bool = False,
    ):
        super().__init__()
        self.causal = not bidirectional  # does an output depend on earlier positions only?
        self.kernels = "auto"
        self.layers = nn.ModuleList()
        size = input_size
        for _ in range(num_layers):
            directions = [cell.build(input_size=size, hidden_size=hidden_size) for _ in range(1 + bidirectional)]
            self.layers.append(nn.ModuleList(directions))
            size = sum(direction.output_size for direction in directions)
        self.dropout = Dropout(dropout, locked=locked_dropout)
        self.output_size = size

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Sizes are at least 1, dropout is a probability."""
        faults = [
            (n, f"{n} is {fields[n]}, expected 1 or more") for n in ("hidden_size", "num_layers") if fields[n] < 1
        ]
        return faults + check_probabilities(fields, "dropout")

    def forward(
        self, x: Tensor, lengths: Tensor | Lengths, state: FinalStates | None = None, *, final: bool = True
    ) -> Encoded:
        """Encode x (B, T, E).

        Args:
            lengths: (B,) int64.
            state: final states of a batch that this one continues; None = the cells' initial states.
            final: False if nobody reads the final states; `Encoded.final` is then None.
        """
        x = x.transpose(0, 1)  # (T, B, E)
        lengths = Lengths.of(lengths, x.size(0), x.device)
        states = []
        for number, layer in enumerate(self.layers):
            x = self.dropout(x)
            runs = [  # type: ignore[var-annotated]
                unroll(
                    cell,
                    x,
                    None if state is None else state[number][direction],
                    lengths,
                    reverse=direction == 1,
                    kernels=self.kernels,
                    final=final,
                )
                for direction, cell in enumerate(layer)  # type: ignore[arg-type]
            ]
            x = torch.cat([outputs for outputs, _ in runs], -1) if len(runs) > 1 else runs[0][0]
            states.append(tuple(last for _, last in runs))
        x = self.dropout(x)
        return Encoded(x.transpose(0, 1), self._summary(x, lengths), tuple(states) if final else None, lengths)  # type: ignore[arg-type]

    def _summary(self, x: Tensor, lengths: Lengths) -> Tensor:
        """(B, F) from the last layer's outputs (T, B, F): forward at the last token, backward at the first."""
        last = x[-1] if lengths.equal else x.flatten(0, 1).index_select(0, lengths.last)
        if self.causal:
            return last
        forward = self.layers[-1][0].output_size  # type: ignore[index]
        return torch.cat([last[:, :forward], x[0, :, forward:]], -1)
