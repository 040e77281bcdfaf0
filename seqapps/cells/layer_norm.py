"""Layer normalisation inside a cell."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqapps.cells.cell import Cell

__all__ = ["BlockNorm", "normalized_projection", "start_norms"]


class BlockNorm(nn.Module):
    """Layer normalisation (Ba, Kiros and Hinton 2016, arXiv 1607.06450) of each block of a vector.

        LN(a) = gain * (a - mean(a)) / sqrt(var(a) + 1e-5) + offset

    Mean and variance (divided by the number of components) are those of one block of one position; gains start as 1,
    offsets as 0. The paper has no 1e-5; it is torch's, and leaves LN(0) = offset.

    Args:
        sizes: of the blocks, in their order.
        bias: whether there are offsets.
    """

    def __init__(self, *sizes: int, bias: bool):
        super().__init__()
        self.sizes = list(sizes)
        self.blocks = nn.ModuleList(nn.LayerNorm(size, bias=bias) for size in sizes)

    def forward(self, a: Tensor) -> Tensor:
        """(..., sum of sizes) -> the same shape."""
        parts = [norm(part) for norm, part in zip(self.blocks, a.split(self.sizes, -1), strict=True)]
        return torch.cat(parts, -1)


def normalized_projection(cell: Cell, norm: BlockNorm, x: Tensor) -> Tensor:
    """LN(W x) + b: the bias stays outside, so that a forget bias stays what it is."""
    product = norm(F.linear(x, cell.input_projection.weight))
    return product if cell.input_projection.bias is None else product + cell.input_projection.bias


def start_norms(cell: Cell) -> None:
    """Gains 1, offsets 0, after all parameters were drawn."""
    for module in cell.modules():
        if isinstance(module, nn.LayerNorm):
            module.reset_parameters()
