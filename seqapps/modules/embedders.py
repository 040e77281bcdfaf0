"""Tokens to vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqapps.data.batch import Batch
from seqapps.data.requests import Request
from seqapps.data.vocabulary import UNK, Vocabulary
from seqapps.errors import ComponentError
from seqapps.modules.dropout import check_probabilities, word_dropout
from seqapps.recipe.spec import Spec

if TYPE_CHECKING:
    from seqapps.data.vectors import Vectors

__all__ = ["ConcatenatedEmbedder", "NgramEmbedder", "TokenEmbedder"]


class TokenEmbedder(nn.Module):
    """A vector for each token: its row of a table, beside what its characters say if `characters` is set.

    Rows start uniform in ±sqrt(3 / size), so that each component has variance 1 / size; the row of `<pad>` is zero.
    Rows of words found in `vectors` start as there.

    Fields:
        size: features of a row.
        column: which column holds the tokens.
        lowercase: look words up in lower case (characters still see the case).
        min_frequency, max_size: rarer words, and words beyond the most frequent `max_size`, share the row of `<unk>`.
        word_dropout: alpha; in training a token is looked up as `<unk>` with probability alpha / (alpha + its
            frequency) (Kiperwasser and Goldberg 2016; they use 0.25).
        row_dropout: probability of dropping a word's row, for all its places in a batch; the other rows are scaled by
            1 / (1 - row_dropout) (Gal and Ghahramani 2016, section 4.2).
        vectors: file of pretrained vectors of this size: fastText or GloVe text, or word2vec binary, plain, .gz or .xz.
        vectors_words: training = only words of the training split have rows; all = every word of the file has one.
        characters: an embedder of the tokens' characters.
    """

    def __init__(
        self,
        vocabularies: Mapping[str, Vocabulary],
        /,
        *,
        size: int = 100,
        column: str = "tokens",
        lowercase: bool = False,
        min_frequency: int = 1,
        max_size: int | None = None,
        word_dropout: float = 0.0,
        row_dropout: float = 0.0,
        vectors: str | None = None,
        vectors_words: Literal["training", "all"] = "training",
        characters: Annotated[Spec, "embedders"] | None = None,
    ):
        super().__init__()
        self.vocabulary = vocabulary = vocabularies[column]
        self.column, self.word_dropout, self.row_dropout = column, word_dropout, row_dropout
        self.unk = vocabulary[UNK]
        self.table = nn.Embedding(len(vocabulary), size, padding_idx=0)
        self.symbol_dimensions = {"table.weight": (column,)}
        bound = (3 / size) ** 0.5
        nn.init.uniform_(self.table.weight, -bound, bound)
        with torch.no_grad():
            self.table.weight[0] = 0
        self.frequencies: Tensor
        self.register_buffer("frequencies", torch.tensor(vocabulary.counts, dtype=torch.float32), persistent=False)
        self.characters = characters.build(vocabularies=vocabularies) if characters else None
        self.output_size = size + (self.characters.output_size if self.characters else 0)

    @classmethod
    def requests(cls, fields: Mapping[str, Any]) -> list[Request]:
        """The tokens as numbers. (The character embedder asks for itself.)"""
        wanted = ("lowercase", "min_frequency", "max_size", "vectors", "vectors_words")
        return [Request(fields["column"], fields["column"], "token", **{name: fields[name] for name in wanted})]

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Sizes and frequencies are at least 1; words of a file need the file."""
        faults = [
            (name, f"{name} is {fields[name]}, expected 1 or more")
            for name in ("size", "min_frequency", "max_size")
            if fields[name] is not None and fields[name] < 1
        ]
        if fields["word_dropout"] < 0:
            faults.append(("word_dropout", f"word_dropout is {fields['word_dropout']}, expected 0 or more"))
        faults += check_probabilities(fields, "row_dropout")
        if fields["vectors_words"] == "all" and fields["vectors"] is None:
            faults.append(("vectors_words", "'all' needs a file in 'vectors'"))
        return faults

    def load_vectors(self, vocabulary: Vocabulary, vectors: Vectors) -> int:
        """Set the rows of words that `vectors` holds; returns how many."""
        with torch.no_grad():
            numbers = torch.from_numpy(vocabulary.numbers(vectors.words))
            self.table.weight[numbers] = torch.from_numpy(vectors.rows).to(self.table.weight.dtype)
        return len(numbers)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B, T, output_size), laid out time first, and lengths (B,)."""
        field = batch.fields[self.column]
        numbers = field.values.t()  # (T, B): what comes next runs along time
        if self.training and self.word_dropout:
            numbers = word_dropout(numbers, self.frequencies, self.word_dropout, self.unk)
        x = self.table(numbers.contiguous())
        if self.training and self.row_dropout:
            x = x * F.dropout(x.new_ones(len(self.table.weight), 1), self.row_dropout)[numbers]
        if self.characters is not None:
            spelled, _ = self.characters(batch)
            x = torch.cat([x, spelled.transpose(0, 1)], -1)
        return x.transpose(0, 1), field.lengths


class NgramEmbedder(TokenEmbedder):
    """A vector for each token and the tokens before it: a row of a table of n-grams.

    Of texts read by character, pairs say much of what words would, and nobody has to find the words (Pei, Ge and Chang
    2014, for segmenting Chinese). Beside the tokens' own vectors:

        embedder:
          type: concatenated
          parts:
            - {type: tokens, size: 64}
            - {type: ngrams, order: 2, size: 64, min_frequency: 2}

    An n-gram ends at its position, so a model that reads from left to right never sees ahead; before the first token
    stands `<bos>`.

    Fields:
        order: tokens of an n-gram.
        size: features of a row.
        column: which column holds the tokens.
        lowercase: look n-grams up in lower case.
        min_frequency, max_size: rarer n-grams, and those beyond the most frequent `max_size`, share the row of `<unk>`.
        word_dropout: alpha; in training an n-gram is looked up as `<unk>` with probability alpha / (alpha + its
            frequency).
        row_dropout: probability of dropping an n-gram's row, for all its places in a batch.
    """

    def __init__(
        self,
        vocabularies: Mapping[str, Vocabulary],
        /,
        *,
        order: int = 2,
        size: int = 100,
        column: str = "tokens",
        lowercase: bool = False,
        min_frequency: int = 2,
        max_size: int | None = None,
        word_dropout: float = 0.0,
        row_dropout: float = 0.0,
    ):
        super().__init__(
            vocabularies,
            size=size,
            column=_ngram_key(column, order),
            lowercase=lowercase,
            min_frequency=min_frequency,
            max_size=max_size,
            word_dropout=word_dropout,
            row_dropout=row_dropout,
        )

    @classmethod
    def requests(cls, fields: Mapping[str, Any]) -> list[Request]:
        """The n-grams as numbers."""
        wanted = {name: fields[name] for name in ("order", "lowercase", "min_frequency", "max_size")}
        return [Request(_ngram_key(fields["column"], fields["order"]), fields["column"], "token", **wanted)]

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """An n-gram has two tokens or more; otherwise as of tokens."""
        faults = super().check_fields({**fields, "vectors": None, "vectors_words": "training"})
        if fields["order"] < 2:
            faults.append(("order", f"order is {fields['order']}, expected 2 or more; of single tokens use 'tokens'"))
        return faults


def _ngram_key(column: str, order: int) -> str:
    return f"{column}.{order}-grams"


class ConcatenatedEmbedder(nn.Module):
    """Several embedders of the same positions side by side: words, their tags, their characters.

        embedder:
          type: concatenated
          parts:
            - {type: tokens, size: 100}
            - {type: tokens, column: pos_tags, size: 20}

    The first part's column is what is labelled; a model with further input columns needs them when it predicts, too. A
    part that gives one vector a text (`features`) stands beside each of its tokens.

    Fields:
        parts: the embedders, in the order of their features.
    """

    def __init__(
        self,
        vocabularies: Mapping[str, Vocabulary],
        sizes: Mapping[str, int],
        /,
        *,
        parts: list[Annotated[Spec, "embedders"]],
    ):
        super().__init__()
        self.parts = nn.ModuleList(part.build(vocabularies=vocabularies, sizes=sizes) for part in parts)
        self.per_text = [getattr(part, "per_text", False) for part in self.parts]  # one vector, however many tokens?
        self.output_size = sum(part.output_size for part in self.parts)  # type: ignore[misc]

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """There is something to concatenate."""
        return [] if fields["parts"] else [("parts", "parts is empty, expected at least one embedder")]

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B, T, output_size), laid out time first, and lengths (B,)."""
        embedded = [part(batch) for part in self.parts]
        of_tokens = [pair for pair, whole in zip(embedded, self.per_text, strict=True) if not whole]
        longest, lengths = (of_tokens or embedded)[0]
        beside = [
            vectors.expand(-1, longest.size(1), -1) if whole else vectors
            for (vectors, _), whole in zip(embedded, self.per_text, strict=True)
        ]
        return torch.cat([vectors.transpose(0, 1) for vectors in beside], -1).transpose(0, 1), lengths


def shared_table(embedder: nn.Module, vocabulary: Vocabulary, size: int) -> nn.Embedding:
    """The table in an embedder whose rows, of `size` features, stand for the symbols of a vocabulary.

    Raises ComponentError if there is none.
    """
    for module in embedder.modules():
        if isinstance(module, TokenEmbedder) and module.vocabulary.symbols == vocabulary.symbols:
            if module.table.embedding_dim == size:
                return module.table
            raise ComponentError(
                f"shared_embedding: the embedder's rows have {module.table.embedding_dim} features, and embedding_size"
                f" is {size}; make them equal"
            )
    raise ComponentError(
        "shared_embedding: the embedder has no table of the vocabulary that is written; use embedder 'tokens', and"
        " 'shared_vocabulary: true' in the head"
    )
