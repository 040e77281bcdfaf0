"""Hand-made features of a text as what a model reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from torch import Tensor, nn

from seqapps.data.batch import Batch
from seqapps.data.requests import Request
from seqapps.recipe.dumping import dump_value
from seqapps.recipe.spec import Spec

__all__ = ["FeatureEmbedder"]


class FeatureEmbedder(nn.Module):
    """The numbers of feature sets as a sequence of one vector: x_1 = (numbers - mean) / deviation.

    Mean and deviation are those of the training split. No word is learnt, so what training has not seen counts as much
    as what it has: a word of a lexicon needs no training text with it.

        embedder: {type: features, sets: [{type: lexicon, path: words.tsv}, negation, length, punctuation]}
        encoder: {type: feedforward, hidden_sizes: [50]}

    Fields:
        sets: feature sets, in the order of their numbers.
        column: which column holds the tokens.
    """

    per_text = True  # one vector, however many tokens

    def __init__(self, sizes: Mapping[str, int], /, *, sets: list[Annotated[Spec, "features"]], column: str = "tokens"):
        super().__init__()
        self.key = f"{column} features"
        self.output_size = sizes[self.key]

    @classmethod
    def requests(cls, fields: Mapping[str, Any]) -> list[Request]:
        """The numbers."""
        column, sets = fields["column"], ", ".join(map(dump_value, fields["sets"]))
        return [Request(f"{column} features", column, "features", sets=sets)]

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """There is a set."""
        return [] if fields["sets"] else [("sets", "sets is empty, expected at least one feature set")]

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B, 1, output_size), laid out time first, and lengths (B,), all 1."""
        values, lengths, *_ = batch.fields[self.key]
        return values.transpose(0, 1).contiguous().transpose(0, 1), lengths
