"""The encoder of long texts: tokens to pieces, pieces to a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from seqapps.cells import Lengths
from seqapps.modules.pooling import Pool, Pooling
from seqapps.modules.stateless import StatelessEncoder
from seqapps.recipe.spec import Spec

__all__ = ["HierarchicalEncoder"]


class HierarchicalEncoder(StatelessEncoder):
    """A text as a sequence of sentences, each a sequence of tokens (hierarchical attention network; Yang et al. 2016,
    "Hierarchical attention networks for document classification", equations 1 to 11).

        h_st = word_encoder(x_s1 .. x_sn)_t      u_s = pooling_t(h_st)      in sentence s alone
        h_s  = sentence_encoder(u_1 .. u_S)_s    v   = pooling_s(h_s)

    The paper has a bidirectional GRU of 50 features at both levels, and attention. A recurrent layer then remembers
    over `sentence_length` tokens and over the sentences of a text, instead of over all of its tokens; the sentences of
    a text are read side by side.

    Deviation: a "sentence" is a piece of `sentence_length` tokens, the last one of what is left, wherever the text has
    its full stops. An encoder sees vectors and lengths, and no punctuation; pieces exist in every language, of texts
    without punctuation, too, and no sentence is longer than what the others are padded to. What a boundary cuts apart
    meets again in the sentence encoder.

    The summary is v, each sentence counted once: `pooling: last` of a classifier is the paper's model. The output at a
    token is h_s of its sentence; a head that pools outputs itself (mean, attention) counts a sentence once for each of
    its tokens, and the weights of the upper attention are then not trained.

    Fields:
        word_encoder: the encoder of each sentence.
        sentence_encoder: the encoder of the sentences' vectors.
        sentence_length: tokens of a sentence, 2 or more.
        pooling: attention, mean, max or last, at both levels; see `seqapps.modules.pooling`.
    """

    causal = False  # every token of a sentence has a part in its vector

    def __init__(
        self,
        input_size: int,
        /,
        *,
        word_encoder: Annotated[Spec, "encoders"],
        sentence_encoder: Annotated[Spec, "encoders"],
        sentence_length: int = 25,
        pooling: Pooling = "attention",
    ):
        super().__init__()
        self.sentence_length = sentence_length
        self.word_encoder = word_encoder.build(input_size=input_size)
        self.word_pool = Pool(self.word_encoder.output_size, pooling)
        self.sentence_encoder = sentence_encoder.build(input_size=self.word_encoder.output_size)
        self.output_size = self.sentence_encoder.output_size
        self.sentence_pool = Pool(self.output_size, pooling)

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """A sentence of one token has nothing to pool."""
        length = fields["sentence_length"]
        return [] if length > 1 else [("sentence_length", f"sentence_length is {length}, expected 2 or more")]

    def encode(self, x: Tensor, lengths: Lengths) -> tuple[Tensor, Tensor]:
        T, B, _ = x.shape
        L = self.sentence_length
        S = -(-T // L)
        starts = L * torch.arange(S)
        tokens = (lengths.values[:, None] - starts).clamp(0, L).flatten()  # (B S,) of each sentence
        there = torch.nonzero(tokens)[:, 0]  # sentences of longer texts are none of shorter ones
        kept = there.to(x.device)
        x = F.pad(x, (0, 0, 0, 0, 0, S * L - T)).view(S, L, B, -1).permute(2, 0, 1, 3).flatten(0, 1)  # (B S, L, E)
        words = self.word_encoder(x[kept, : int(tokens.max())], tokens[there], final=False)
        vectors = self.word_pool(words)
        vectors = vectors.new_zeros(B * S, vectors.size(1)).index_copy(0, kept, vectors).view(B, S, -1)
        sentences = self.sentence_encoder(vectors, -(-lengths.values // L), final=False)
        outputs = sentences.outputs.repeat_interleave(L, 1)[:, :T]
        return outputs.transpose(0, 1), self.sentence_pool(sentences)
