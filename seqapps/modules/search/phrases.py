"""Phrases that must, or may not, occur in what is written: how far each hypothesis is with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seqapps.errors import UseError

__all__ = ["NONE", "Ahead", "Phrases", "phrase_table"]

NONE = -1  # in a table of phrases: no token


class Phrases(NamedTuple):
    """C phrases for each of B sentences, (B, C, L) int64, NONE behind each; those that a sentence lacks are empty."""

    tokens: Tensor
    sizes: Tensor  # (B, C), 0 for an empty one

    def begun(self, history: Tensor) -> Tensor:
        """(B, k, C, L + 1) bool: [..., q] says whether the last q tokens of `history` (B, k, t) begin a phrase."""
        (B, k, t), (_, C, L) = history.shape, self.tokens.shape
        found = torch.zeros(B, k, C, L + 1, dtype=torch.bool, device=history.device)
        found[..., 0] = True
        for q in range(1, min(L, t) + 1):
            found[..., q] = (history[:, :, None, t - q :] == self.tokens[:, None, :, :q]).all(-1)
        return found

    def whole(self, begun: Tensor) -> Tensor:
        """(B, k, C) bool: which phrases a history ends with, by what `begun` says of it."""
        return begun.gather(-1, self.sizes[:, None, :, None].expand(*begun.shape[:3], 1))[..., 0]

    def distinct(self) -> Tensor:
        """(B, U): the tokens of each sentence's phrases, each once, NONE behind them."""
        rows = [sorted(set(row) - {NONE}) for row in self.tokens.flatten(1).tolist()]
        longest = max(map(len, rows), default=0)
        padded = [[*row, *[NONE] * (longest - len(row))] for row in rows]
        return torch.tensor(padded, dtype=torch.int64, device=self.tokens.device).view(len(rows), longest)


def phrase_table(
    phrases: Sequence[Sequence[Sequence[int]]] | None, first: Tensor, name: str, eos: int | None = None
) -> Phrases:
    """The phrases of each sentence.

    Raises:
        UseError: not one list a sentence, an empty phrase, or one with `eos` inside.
    """
    phrases = [()] * len(first) if phrases is None else phrases
    if len(phrases) != len(first):
        raise UseError(f"search: {name}: {len(phrases)} lists for {len(first)} sentences; give one each, () for none")
    for i, own in enumerate(phrases):
        if not all(own):
            raise UseError(f"search: {name}: sentence {i} has an empty phrase; leave it out")
        if any(eos in phrase for phrase in own):
            raise UseError(f"search: {name}: a phrase of sentence {i} contains the end mark {eos}; leave it out")
    C = max(map(len, phrases), default=0)
    L = max((len(phrase) for own in phrases for phrase in own), default=0)
    rows = [[[*phrase, *[NONE] * (L - len(phrase))] for phrase in (*own, *[()] * (C - len(own)))] for own in phrases]
    tokens = torch.tensor(rows, dtype=torch.int64, device=first.device).view(len(phrases), C, L)
    return Phrases(tokens, (tokens != NONE).sum(-1))


class Ahead(NamedTuple):
    """How many tokens of its required phrases each of B x k hypotheses has, and will have after each next token.

    A hypothesis has all tokens of the phrases that occur in it, and those of another one that it ends with, of that
    which is furthest. So the others can be written one after the other, without a word between.
    """

    tokens: Tensor  # (B, U) those that phrases are made of, NONE behind them
    met: Tensor  # (B, k, C) which phrases occur already
    now: Tensor  # (B, k)
    after: Tensor  # (B, k, U) after each of `tokens`
    otherwise: Tensor  # (B, k) after any other token
    total: Tensor  # (B,) all there are

    @classmethod
    def of(cls, phrases: Phrases, tokens: Tensor, met: Tensor, history: Tensor) -> Ahead:
        """Given `tokens`, the phrases' `distinct`, and `met`, which occurred before the last token."""
        begun = phrases.begun(history)
        met = met | phrases.whole(begun)
        sizes, place = phrases.sizes[:, None], torch.arange(begun.shape[-1], device=begun.device)
        otherwise = (sizes * met).sum(-1)
        now = otherwise + (begun * place).amax(-1).masked_fill(met, 0).amax(-1)
        follows = phrases.tokens[:, None] == tokens[:, :, None, None]  # (B, U, C, L)
        reached = ((begun[:, :, None, :, :-1] & follows[:, None]) * place[1:]).amax(-1)  # (B, k, U, C)
        then = met[:, :, None] | (reached == sizes[:, :, None])
        after = (sizes[:, :, None] * then).sum(-1) + reached.masked_fill(then, 0).amax(-1)
        return cls(tokens, met, now, after, otherwise, phrases.sizes.sum(-1))

    @property
    def complete(self) -> Tensor:
        """(B, k) bool: do all phrases occur?"""
        return self.met.all(-1)

    @property
    def columns(self) -> Tensor:
        """(B, k, U): `tokens` for every hypothesis, 0 where there is none."""
        return self.tokens.clamp_min(0)[:, None].expand(self.after.shape)

    @property
    def absent(self) -> Tensor:
        """(B, 1, U) bool: where `tokens` has none."""
        return (self.tokens == NONE)[:, None]

    def readmit(self, allowed: Tensor, log_probs: Tensor) -> Tensor:
        """`allowed` (B, k, V), with those tokens as in `log_probs` that bring the phrases on."""
        brings = (self.after > self.now[..., None]) & ~self.absent
        gain = torch.where(brings, log_probs.gather(-1, self.columns), -torch.inf)
        return allowed.scatter_reduce(-1, self.columns, gain, "amax")
