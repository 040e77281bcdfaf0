"""Images, as what a model reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from seqapps.data.batch import Batch
from seqapps.data.requests import Request
from seqapps.modules.dropout import Dropout, check_probabilities

__all__ = ["ConvolutionalImageEmbedder"]


class ConvolutionalImageEmbedder(nn.Module):
    """A small convolutional network, trained with the rest of the model; the cells of its last grid are a sequence.

        pixels       (3, S, S), 0 .. 255 as -1 .. 1
        stage i      `blocks` times: convolution of 3 x 3 with zeros around, channels[i] filters, no bias;
                     batch normalisation; relu. Then the maximum of every 2 x 2.
        outputs      the grid of the last stage, (C, S', S') with C = channels[-1], S' = S / 2^stages rounded down,
                     row by row from the top left: S' S' vectors of C features; dropout

    It is a VGG network (Simonyan and Zisserman 2015, arXiv 1409.1556) with batch normalisation, small enough to learn
    from thousands of images on a CPU, and without its dense layers: their place is taken by a decoder that attends over
    the cells of the grid, as in Xu et al. 2015 (arXiv 1502.03044), or by the mean of the cells, which is the summary of
    `encoder: {type: feedforward, hidden_sizes: []}`.

    Fields:
        column: which column holds the images.
        size: S, pixels of the side to which images are brought, as squares.
        channels: filters of each stage, the first first; there are as many stages.
        blocks: convolutions of each stage.
        dropout: probability of dropping a feature of an output.
        shift: in training, an image is moved by up to so many pixels in either direction, drawn anew each time; its
            edge is repeated where nothing is left.
        flip: in training, every second image is mirrored, left to right. Captions that say left and right, and
            images of letters, are then wrong.
    """

    def __init__(
        self,
        *,
        column: str = "image",
        size: int = 64,
        channels: list[int] = [32, 64, 128, 256],  # noqa: B006
        blocks: int = 1,
        dropout: float = 0.0,
        shift: int = 0,
        flip: bool = False,
    ):
        super().__init__()
        self.column, self.shift, self.flip = column, shift, flip
        layers: list[nn.Module] = []
        for before, filters in zip([3, *channels], channels, strict=False):
            for number in range(blocks):
                convolution = nn.Conv2d(filters if number else before, filters, 3, padding=1, bias=False)
                nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
                layers += [convolution, nn.BatchNorm2d(filters), nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
        self.layers = nn.Sequential(*layers)
        self.dropout = Dropout(dropout)
        self.output_size = channels[-1]

    @classmethod
    def requests(cls, fields: Mapping[str, Any]) -> list[Request]:
        """The images, at their size."""
        return [Request(fields["column"], fields["column"], "image", size=fields["size"])]

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Sizes are at least 1, the last grid has a cell, dropout is a probability."""
        channels = fields["channels"]
        faults = [
            (name, f"{name} is {fields[name]}, expected {least} or more")
            for name, least in (("size", 1), ("blocks", 1), ("shift", 0))
            if fields[name] < least
        ]
        if not channels or min(channels) < 1:
            faults.append(("channels", f"channels are {channels}, expected at least one stage, each 1 or more"))
        elif fields["size"] < 2 ** len(channels):
            least = 2 ** len(channels)
            faults.append(("size", f"size is {fields['size']}, halved {len(channels)} times; expected {least} or more"))
        return faults + check_probabilities(fields, "dropout")

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B, S' S', C), laid out time first, and lengths (B,)."""
        pixels = batch.fields[self.column].values
        x = self._moved(pixels) if self.training and (self.shift or self.flip) else pixels
        x = (x.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)  # twice as fast on a CPU
        grid = self.layers(x).flatten(2).permute(2, 0, 1)  # (S' S', B, C)
        lengths = torch.full((len(x),), len(grid), dtype=torch.int64)
        return self.dropout(grid.contiguous()).transpose(0, 1), lengths

    def _moved(self, pixels: Tensor) -> Tensor:
        """Each image shifted and mirrored as drawn for it."""
        images, _, size, _ = pixels.shape
        device, across = pixels.device, torch.arange(size, device=pixels.device)
        down, right = torch.randint(-self.shift, self.shift + 1, (2, images, 1), device=device)
        rows, columns = (across + down).clamp(0, size - 1), (across + right).clamp(0, size - 1)
        if self.flip:
            columns = torch.where(torch.rand(images, 1, device=device) < 0.5, columns.flip(1), columns)
        number = torch.arange(images, device=device)[:, None, None]
        return pixels[number, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
