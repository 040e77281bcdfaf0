"""Which extensions stay in a beam where phrases are required: every number of met tokens keeps a share."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from seqapps.modules.search.phrases import Ahead

__all__ = ["Ranked", "ranked_by_bank"]


class Ranked(NamedTuple):
    """Extensions of a sentence's hypotheses, those that the beam wants most first, (B, n)."""

    log_prob: Tensor
    row: Tensor  # number of the parent among the sentence's k
    token: Tensor
    met: Tensor  # how many tokens of required phrases it has


def ranked_by_bank(candidates: Tensor, ahead: Ahead, eos: int) -> Ranked:
    """The 2 k extensions that are wanted most, at least k of which do not end: dynamic beam allocation (Post and Vilar
    2018, arXiv 1804.06609).

    Extensions with equally many met tokens are a bank. Of N + 1 banks, N the tokens of all phrases, each gets
    k / (N + 1) places, the upper ones get what remains; places that a bank does not fill go to the others, by
    log-probability. With more banks than places the best of the highest bank comes first, then the best of each.
    Extensions that end take no places. So the highest bank is never without, and as a phrase can always go on unless
    that is forbidden, a hypothesis with all of them is found.

    Deviation: all extensions compete, not only the best k of all, the best of each hypothesis and those that continue a
    phrase.

    Args:
        candidates: (B, k, V), log-probabilities of the hypotheses with each token added.
    """
    k = candidates.shape[1]
    found = _contestants(candidates, ahead)
    possible = found.log_prob > -math.inf
    banks = (ahead.total + 1)[:, None]
    share = torch.where(banks > k, 1, k // banks + (found.met >= banks - k % banks))
    better = _better_ones(found.met, possible & (found.token != eos), int(ahead.total.max()) + 1)
    highest = found.met == found.met.masked_fill(~possible, -1).amax(1, keepdim=True)
    level = better // share - (highest & (better == 0) & (banks > k)).long()
    level = level.masked_fill(~possible, found.met.shape[1] + 1)
    chosen = level.sort(dim=1, stable=True).indices[:, : 2 * k]
    return Ranked(*(x.gather(1, chosen) for x in found))


def _better_ones(bank: Tensor, counts: Tensor, banks: int) -> Tensor:
    """(B, M): how many of those before it that count are in the same bank."""
    members = (bank[..., None] == torch.arange(banks, device=bank.device)) & counts[..., None]
    return (members.cumsum(1) - members.long()).gather(-1, bank[..., None])[..., 0]


def _contestants(candidates: Tensor, ahead: Ahead) -> Ranked:
    """Of each hypothesis the extensions that can be among those wanted, best first: k + 1 by tokens that are in no
    phrase, or all, and each by a token of a phrase."""
    _, k, V = candidates.shape
    absent, columns = ahead.absent.expand(ahead.after.shape), ahead.columns
    own = candidates.gather(-1, columns).masked_fill(absent, -math.inf)
    taken = torch.zeros_like(own).masked_fill(~absent, -math.inf)
    best = candidates.scatter_add(-1, columns, taken).topk(min(k + 1, V), -1)
    log_prob = torch.cat((best.values, own), -1)
    token = torch.cat((best.indices, columns), -1)
    met = torch.cat((ahead.otherwise[..., None].expand(best.indices.shape), ahead.after), -1)
    row = torch.arange(k, device=token.device)[:, None].expand(token.shape)
    order = log_prob.flatten(1).sort(dim=-1, descending=True, stable=True).indices
    return Ranked(*(x.flatten(1).gather(1, order) for x in (log_prob, row, token, met)))
