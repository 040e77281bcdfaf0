"""Tokens to vectors by their characters.

Both embedders here compute each distinct token of a batch once and then copy it to where it occurs. `size` is always
what a token's vector has; `character_size` what a character's has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from seqapps.data.batch import Batch
from seqapps.data.requests import Request
from seqapps.data.vocabulary import Vocabulary
from seqapps.modules.recurrent import RecurrentEncoder
from seqapps.recipe.spec import Spec

__all__ = ["CharacterEmbedder", "ConvolutionalCharacterEmbedder", "RecurrentCharacterEmbedder"]


class CharacterEmbedder(nn.Module):
    """What both have in common: the table of characters, and the way from distinct tokens to positions."""

    def __init__(self, vocabularies: Mapping[str, Vocabulary], column: str, character_size: int, output_size: int):
        super().__init__()
        self.key = character_key(column)
        self.output_size = output_size
        self.table = nn.Embedding(len(vocabularies[self.key]), character_size, padding_idx=0)
        self.symbol_dimensions = {"table.weight": (self.key,)}
        bound = (3 / character_size) ** 0.5
        nn.init.uniform_(self.table.weight, -bound, bound)
        with torch.no_grad():
            self.table.weight[0] = 0

    @classmethod
    def requests(cls, fields: Mapping[str, Any]) -> list[Request]:
        """The tokens' characters as numbers."""
        key = character_key(fields["column"])
        return [Request(key, fields["column"], "character", max_length=fields["max_length"])]

    def spell(self, characters: Tensor, lengths: Tensor) -> Tensor:
        """(U, C) character numbers and their lengths (U,) -> (U, output_size)."""
        raise NotImplementedError

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B, T, output_size), laid out time first, and lengths (B,). Padding holds the vector of some token."""
        field = batch.fields[self.key]
        assert field.forms is not None
        spelled = self.spell(*field.forms[:2])  # (U, output_size)
        index = field.values.t()  # (T, B)
        x = spelled.index_select(0, index.flatten()).view(*index.shape, -1)
        return x.transpose(0, 1), field.lengths


def character_key(column: str) -> str:
    """Under which key a column's characters are filed."""
    return f"{column}.characters"


def _at_least_one(fields: Mapping[str, Any], *names: str) -> list[tuple[str, str]]:
    return [(n, f"{n} is {fields[n]}, expected 1 or more") for n in names if fields[n] is not None and fields[n] < 1]


class RecurrentCharacterEmbedder(CharacterEmbedder):
    """A bidirectional recurrent layer over a token's characters; its two final outputs are the token's vector.

    Ling et al. 2015, "Finding function in form"; Lample et al. 2016.

    Fields:
        size: features of the result, half from each direction; even.
        cell: any cell.
        character_size: features of a character.
        max_length: of a longer token the first and last halves of so many characters are read; none = all.
        column: which column holds the tokens.
    """

    def __init__(
        self,
        vocabularies: Mapping[str, Vocabulary],
        /,
        *,
        size: int = 50,
        cell: Annotated[Spec, "cells"] = Spec("cells", "lstm"),  # noqa: B008
        character_size: int = 30,
        max_length: int | None = 30,
        column: str = "tokens",
    ):
        super().__init__(vocabularies, column, character_size, size)
        self.encoder = RecurrentEncoder(character_size, cell=cell, hidden_size=size // 2, bidirectional=True)

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Sizes are at least 1, `size` is even."""
        faults = _at_least_one(fields, "character_size", "max_length")
        if fields["size"] < 2 or fields["size"] % 2:
            faults.append(("size", f"size is {fields['size']}, expected an even number: half for each direction"))
        return faults

    def spell(self, characters: Tensor, lengths: Tensor) -> Tensor:
        return self.encoder(self.table(characters.t().contiguous()).transpose(0, 1), lengths, final=False).summary


class ConvolutionalCharacterEmbedder(CharacterEmbedder):
    """Convolutions over a token's characters, each filter's maximum (Santos and Zadrozny 2014; Ma and Hovy 2016).

    A token is padded with width - 1 zeros on either side, so every filter sees its ends.

    Fields:
        size: filters in all, shared out among the widths.
        widths: characters that a filter covers.
        character_size: features of a character.
        max_length: of a longer token the first and last halves of so many characters are read; none = all.
        column: which column holds the tokens.
    """

    def __init__(
        self,
        vocabularies: Mapping[str, Vocabulary],
        /,
        *,
        size: int = 50,
        widths: list[int] = [3],  # noqa: B006
        character_size: int = 30,
        max_length: int | None = 30,
        column: str = "tokens",
    ):
        super().__init__(vocabularies, column, character_size, size)
        filters = [size // len(widths) + (i < size % len(widths)) for i in range(len(widths))]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(character_size, n, width, padding=width - 1) for n, width in zip(filters, widths, strict=True)
        )

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Sizes are at least 1, there is a width, and a filter for each."""
        faults = _at_least_one(fields, "character_size", "max_length", "size")
        if not fields["widths"] or min(fields["widths"]) < 1:
            faults.append(("widths", f"widths are {fields['widths']}, expected at least one, each 1 or more"))
        elif fields["size"] < len(fields["widths"]):
            faults.append(
                (
                    "size",
                    f"size is {fields['size']}, expected a filter for each of {len(fields['widths'])} widths",
                )
            )
        return faults

    def spell(self, characters: Tensor, lengths: Tensor) -> Tensor:
        x = self.table(characters).transpose(1, 2)  # (U, character_size, C); zero on padding
        lengths = lengths.to(x.device)
        pooled = []
        for convolution in self.convolutions:
            y = convolution(x)  # (U, filters, C + width - 1)
            beyond = torch.arange(y.size(2), device=x.device) >= (lengths + y.size(2) - x.size(2))[:, None]
            pooled.append(y.masked_fill(beyond[:, None], -torch.inf).amax(2))
        return torch.cat(pooled, 1).relu()
