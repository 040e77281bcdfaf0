"""Which tokens may come next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seqapps.errors import UseError
from seqapps.modules.search.phrases import Ahead, Phrases

__all__ = ["FREE", "Demands", "Rules", "constrained", "prefix_table"]

FREE = -1  # in a table of prefixes: any token may stand here


class Rules(NamedTuple):
    """What holds for every sentence of a search; `banned` are token sequences that may not occur."""

    eos: int
    min_length: int = 0
    no_repeat: int | None = None
    banned: tuple[tuple[int, ...], ...] = ()


class Demands(NamedTuple):
    """What holds for single sentences: how they begin, what may not occur, what must."""

    prefix: Tensor  # (B, P)
    excluded: Phrases
    required: Phrases


def prefix_table(prefixes: Sequence[Sequence[int]] | None, first: Tensor, eos: int, limits: Sequence[int]) -> Tensor:
    """The tokens that sentences must begin with, (B, longest) int64, FREE behind each.

    Raises:
        UseError: not one prefix a sentence, an end mark inside, or a prefix that reaches its sentence's limit.
    """
    prefixes = [()] * len(first) if prefixes is None else prefixes
    if len(prefixes) != len(first):
        raise UseError(f"search: {len(prefixes)} prefixes for {len(first)} sentences; give one each, () for none")
    for i, prefix in enumerate(prefixes):
        if eos in prefix:
            raise UseError(f"search: prefix {i} contains the end mark {eos}; leave it out")
        if len(prefix) >= limits[i]:
            raise UseError(f"search: prefix {i} has {len(prefix)} tokens, expected fewer than max_length {limits[i]}")
    longest = max(map(len, prefixes), default=0)
    rows = [[*prefix, *[FREE] * (longest - len(prefix))] for prefix in prefixes]
    return torch.tensor(rows, dtype=torch.int64, device=first.device).reshape(len(rows), longest)


def constrained(
    log_probs: Tensor, history: Tensor, demands: Demands, rules: Rules, ahead: Ahead | None = None
) -> Tensor:
    """The log-probabilities with -inf for tokens that may not come next; those that may keep theirs.

    Inside its prefix a sentence must take the next token of it, whatever the other rules say; n-grams of the prefix
    count as having occurred. A token that brings required phrases on may complete an n-gram again.

    Args:
        log_probs: (B, k, V), of the tokens or of the hypotheses with them; overwritten. history: (B, k, t), the tokens
            so far. ahead: where phrases are required.
    """
    t, prefix = history.shape[-1], demands.prefix
    allowed = log_probs
    if t < prefix.shape[1] or ahead is not None:
        allowed = log_probs.clone()  # what the rules forbid may have to come back
    if rules.no_repeat is not None and t >= rules.no_repeat:
        _ban_repeats(allowed, history, rules.no_repeat)
        if ahead is not None:
            allowed = ahead.readmit(allowed, log_probs)
    if t + 1 < rules.min_length:
        allowed[..., rules.eos] = -math.inf
    if ahead is not None:
        allowed[..., rules.eos] = allowed[..., rules.eos].masked_fill(~ahead.complete, -math.inf)
    for sequence in rules.banned:
        *before, last = sequence
        if t >= len(before):
            recent = history[..., t - len(before) :]
            begun = (recent == torch.tensor(before, dtype=torch.int64, device=recent.device)).all(-1)
            allowed[..., last] = allowed[..., last].masked_fill(begun, -math.inf)
    if demands.excluded.tokens.shape[1]:
        _ban_phrases(allowed, history, demands.excluded)
    if t < prefix.shape[1]:
        forced = prefix[:, None, t, None]
        other = torch.arange(log_probs.shape[-1], device=forced.device) != forced
        allowed = torch.where(forced == FREE, allowed, log_probs.masked_fill(other, -math.inf))
    return allowed


def _ban_repeats(log_probs: Tensor, history: Tensor, n: int) -> None:
    """Set -inf, in place, on each token that would complete an n-gram of the history again."""
    grams = history.unfold(-1, n, 1)  # (B, k, t-n+1, n)
    recent = history[..., history.shape[-1] - (n - 1) :]
    again = (grams[..., :-1] == recent[..., None, :]).all(-1)
    _forbid(log_probs, grams[..., -1], again)


def _ban_phrases(log_probs: Tensor, history: Tensor, phrases: Phrases) -> None:
    """Set -inf, in place, on each token that would complete a phrase."""
    before = (phrases.sizes - 1).clamp_min(0)[..., None]  # (B, C, 1)
    begun = phrases.begun(history)
    nearly = begun.gather(-1, before[:, None].expand(*begun.shape[:3], 1))[..., 0] & (phrases.sizes > 0)[:, None]
    last = phrases.tokens.gather(-1, before)[..., 0].clamp_min(0)
    _forbid(log_probs, last[:, None].expand(nearly.shape), nearly)


def _forbid(log_probs: Tensor, tokens: Tensor, forbidden: Tensor) -> None:
    """Set -inf, in place, on those of `tokens` (B, k, n) that are forbidden."""
    penalty = torch.zeros_like(forbidden, dtype=log_probs.dtype).masked_fill(forbidden, -math.inf)
    log_probs.scatter_add_(-1, tokens, penalty)
