"""Vectors that another network computed, as what a model reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from seqapps.data.batch import Batch, Field
from seqapps.data.requests import Request
from seqapps.modules.dropout import Dropout, check_probabilities

__all__ = ["RegionEmbedder", "VectorEmbedder"]


class RegionEmbedder(nn.Module):
    """A row's vectors v_1 .. v_R as a sequence: of the regions of an image, of the frames of a recording.

        x_r = dropout(W v_r + b),   or dropout(v_r) without `size`

    Fields:
        column: which column holds the vectors; a single vector is a sequence of one.
        size: features of x_r; none = those of the vectors, which are then taken as they are.
        dropout: probability of dropping a feature of x_r.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        /,
        *,
        column: str = "vector",
        size: int | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.column = column
        self.projection = nn.Identity() if size is None else nn.Linear(sizes[column], size)
        self.dropout = Dropout(dropout)
        self.output_size = size or sizes[column]

    @classmethod
    def requests(cls, fields: Mapping[str, Any]) -> list[Request]:
        """The vectors."""
        return [Request(fields["column"], fields["column"], "vector")]

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The size is at least 1, dropout is a probability."""
        size = fields["size"]
        faults = [("size", f"size is {size}, expected 1 or more, or null")] if size is not None and size < 1 else []
        return faults + check_probabilities(fields, "dropout")

    def sequences(self, field: Field) -> tuple[Tensor, Tensor]:
        """(T, B, D) and lengths (B,)."""
        return field.values.transpose(0, 1).contiguous(), field.lengths

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B, R, output_size), laid out time first, and lengths (B,)."""
        x, lengths = self.sequences(batch.fields[self.column])
        return self.dropout(self.projection(x)).transpose(0, 1), lengths


class VectorEmbedder(RegionEmbedder):
    """A row's vector v as a sequence of one: x_1 = dropout(W v + b), or dropout(v) without `size`.

    Where a row has several vectors, v is their mean.

    Fields:
        column: which column holds the vectors.
        size: features of x_1; none = those of the vectors, which are then taken as they are.
        dropout: probability of dropping a feature of x_1.
    """

    def sequences(self, field: Field) -> tuple[Tensor, Tensor]:
        counts = field.lengths.to(field.values.device)[:, None]
        return (field.values.sum(1) / counts)[None], torch.ones_like(field.lengths)
