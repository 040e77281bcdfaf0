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


class _Standardized(nn.Module):
    """z = (v - m) / s, each number by itself; m and s are mean and deviation of all vectors that training has read.

    The vectors of the batch at hand count already. After the first epoch m and s are those of the training split, each
    vector as often as it is read, and stay so. A number that has been the same in all of them is shifted, not scaled.
    Before training z = v.
    """

    mean: Tensor
    variance: Tensor
    read: Tensor

    def __init__(self, size: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("variance", torch.ones(size))
        self.register_buffer("read", torch.zeros((), dtype=torch.int64))  # vectors, until now

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """x (T, B, D) -> (T, B, D), whatever it is on padding; lengths (B,)."""
        if self.training:
            real = torch.arange(len(x), device=x.device)[:, None] < lengths.to(x.device)
            self._count(x[real])
        return (x - self.mean) * torch.where(self.variance > 0, self.variance, 1.0).rsqrt()

    @torch.no_grad()
    def _count(self, vectors: Tensor) -> None:
        """Take these (N, D) into mean and variance (Chan, Golub and LeVeque 1983)."""
        self.read += len(vectors)
        share = len(vectors) / self.read
        variance, mean = torch.var_mean(vectors, 0, correction=0)
        apart = mean - self.mean
        self.variance += share * (variance - self.variance) + share * (1 - share) * apart.square()
        self.mean += share * apart


class RegionEmbedder(nn.Module):
    """A row's vectors v_1 .. v_R as a sequence: of the regions of an image, of the frames of a recording.

        z_r = (v_r - m) / s         number by number, or v_r itself without `standardize`
        x_r = dropout(W z_r + b),   or dropout(z_r) without `size`

    m and s are mean and deviation over the vectors of the training split, gathered while training reads them. What
    comes out of another network has any scale and a mean far from zero, and hides from a model for epochs.

    Fields:
        column: which column holds the vectors; a single vector is a sequence of one.
        standardize: whether vectors are shifted and scaled so; false where their lengths or signs mean something.
        size: features of x_r; none = those of the vectors.
        dropout: probability of dropping a feature of x_r.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        /,
        *,
        column: str = "vector",
        standardize: bool = True,
        size: int | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.column = column
        self.standardized = _Standardized(sizes[column]) if standardize else None
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
        if self.standardized is not None:
            x = self.standardized(x, lengths)
        return self.dropout(self.projection(x)).transpose(0, 1), lengths


class VectorEmbedder(RegionEmbedder):
    """A row's vector v as a sequence of one: x_1 = dropout(W z + b), or dropout(z) without `size`.

    z = (v - m) / s, or v itself without `standardize`, is as for `regions`. Where a row has several vectors, v is their
    mean.

    Fields:
        column: which column holds the vectors.
        standardize: whether vectors are shifted by their mean m in training and divided by their deviation s there.
        size: features of x_1; none = those of the vectors.
        dropout: probability of dropping a feature of x_1.
    """

    def sequences(self, field: Field) -> tuple[Tensor, Tensor]:
        counts = field.lengths.to(field.values.device)[:, None]
        return (field.values.sum(1) / counts)[None], torch.ones_like(field.lengths)
