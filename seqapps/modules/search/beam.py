"""Beam search: plain, diverse, and with phrases that must occur."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from seqapps.errors import ShapeError, UseError
from seqapps.modules.search.banks import ranked_by_bank
from seqapps.modules.search.constraints import Demands, Rules, constrained
from seqapps.modules.search.generator import Generator, Hypothesis
from seqapps.modules.search.options import SearchOptions
from seqapps.modules.search.phrases import Ahead
from seqapps.modules.search.seen import Seen
from seqapps.modules.search.trees import Tree, check_rows, select

__all__ = ["beam_search"]


class _Pool(NamedTuple):
    """The best p finished hypotheses of each of G groups, best first; score -inf where there are fewer."""

    score: Tensor  # (B, G, p)
    log_prob: Tensor  # (B, G, p)
    length: Tensor  # (B, G, p)
    ended: Tensor  # (B, G, p) bool
    trace: Tensor  # (B, G, p, t, 2), as of a beam; the end mark is among the tokens


class _Beam(NamedTuple):
    """B sentences with k = G x (k / G) open hypotheses each; log_prob -inf where there are fewer."""

    sentence: Tensor  # (B,) which one it is in the batch as given
    trace: Tensor  # (B, k, t, 2): the tokens, and which row of its step each of them was chosen in
    log_prob: Tensor  # (B, k)
    covered: Tensor  # (B, k, S) attention summed over steps; S = 0 without coverage penalty
    source_mask: Tensor  # (B, S)
    demands: Demands
    symbols: Tensor  # (B, U) what required phrases are made of; U = 0 where nothing is required
    met: Tensor  # (B, k, C) which required phrases occurred before the last token
    limit: Tensor  # (B,) steps after which it is cut
    last_divisor: Tensor  # (B,) what a log-probability is divided by then
    finished: Tensor  # (B, G) how many hypotheses have been, those that no pool kept among them
    pool: _Pool

    @property
    def tokens(self) -> Tensor:
        """(B, k, t)"""
        return self.trace[..., 0]


class _Chosen(NamedTuple):
    """Extensions of open hypotheses, best first, (B, G, n)."""

    log_prob: Tensor
    row: Tensor  # number of the parent among the sentence's k
    token: Tensor
    complete: Tensor  # bool: do all required phrases occur?


def beam_search(
    generator: Generator,
    state: Tree,
    memory: Tree,
    first: Tensor,
    options: SearchOptions,
    *,
    rules: Rules,
    demands: Demands,
    limit: Tensor,
    source_mask: Tensor | None,
    seen: Seen,
) -> list[list[Hypothesis]]:
    """The n best of each sentence, as the beam finds them.

    At each step all extensions of a group's open hypotheses are ranked by log-probability (less the diversity term).
    Those among the best k / G that end are finished; the best k / G that do not end stay open. At a sentence's limit
    the best k / G are finished, ended or not. Penalties act on finished hypotheses only. Where phrases are required,
    hypotheses are ranked by `ranked_by_bank`, and finished only with all phrases.

    Deviations: the coverage of a source position is taken as at least 1.2e-38, so that no score is minus infinity; the
    diversity term (Hamming, between this step's tokens) ranks and is not accumulated, and the end mark is free of it.
    """
    B, k = len(first), options.beam
    beam = _started(first, options, demands, limit, _coverage_mask(source_mask, first, options))
    state = select(state, beam.sentence.repeat_interleave(k))
    last = first.repeat_interleave(k)
    found: list[list[Hypothesis]] = [[] for _ in range(B)]
    for t in range(1, int(limit.max()) + 1):
        step = generator.step(last, state, memory)
        log_probs, state = step.log_probs, step.state
        check_rows((log_probs, state), len(last), "a step's result")
        if log_probs.shape[-1] < 2:
            raise ShapeError(f"search: {log_probs.shape[-1]} tokens to choose from, expected 2 or more")
        seen.add(step)
        log_probs = log_probs.view(len(beam.sentence), k, -1)  # single precision at least from the sum below on
        if beam.covered.shape[-1]:
            beam = beam._replace(covered=beam.covered + _fitting(step.attention, beam.covered))
        ahead = None
        if beam.symbols.shape[-1]:
            ahead = Ahead.of(beam.demands.required, beam.symbols, beam.met, beam.tokens)
            beam = beam._replace(met=ahead.met)
        candidates = constrained(beam.log_prob[..., None] + log_probs, beam.tokens, beam.demands, rules, ahead)
        if ahead is None:
            chosen = _chosen(candidates, options, rules.eos)
        else:
            chosen = _chosen_with_phrases(candidates, ahead, rules.eos)
        beam, parents = _advanced(beam, chosen, options, rules.eos, t)
        done = _done(beam, options, t)
        keep = torch.arange(len(done), device=done.device)
        if done.any():
            _collect(select(beam, done.nonzero()[:, 0]), found, options.n_best, seen)
            keep = (~done).nonzero()[:, 0]
            if not len(keep):
                break
            beam, memory = select(beam, keep), select(memory, keep)
        state = select(state, (keep[:, None] * k + parents[keep]).flatten())
        last = beam.tokens[..., -1].flatten()
    return found


def _coverage_mask(source_mask: Tensor | None, first: Tensor, options: SearchOptions) -> Tensor:
    """(B, S), with S = 0 where coverage is not asked for."""
    if not options.coverage_penalty:
        return torch.zeros(len(first), 0, dtype=torch.bool, device=first.device)
    if source_mask is None:
        raise UseError("search: coverage_penalty needs source_mask, (B, S), True on real source positions; give it")
    check_rows(source_mask, len(first), "source_mask")
    return source_mask


def _fitting(attention: Tensor | None, covered: Tensor) -> Tensor:
    """A step's attention (B x k, S) as (B, k, S)."""
    if attention is None:
        raise UseError("search: coverage_penalty needs attention, and this generator's steps give none; set it to 0")
    if attention.numel() != covered.numel():
        raise ShapeError(f"search: attention {tuple(attention.shape)} does not fit source_mask's {covered.shape[-1]}")
    return attention.view(covered.shape)


def _started(first: Tensor, options: SearchOptions, demands: Demands, limit: Tensor, source_mask: Tensor) -> _Beam:
    """One empty hypothesis in each group."""
    B, k, G = len(first), options.beam, options.groups
    device = first.device
    log_prob = torch.full((B, G, k // G), -math.inf, device=device)
    log_prob[..., 0] = 0
    shape = (B, G, math.ceil(options.n_best / G))
    pool = _Pool(
        score=torch.full(shape, -math.inf, device=device),
        log_prob=torch.full(shape, -math.inf, device=device),
        length=first.new_zeros(shape),
        ended=torch.zeros(shape, dtype=torch.bool, device=device),
        trace=first.new_zeros(*shape, 0, 2),
    )
    return _Beam(
        sentence=torch.arange(B, device=device),
        trace=first.new_zeros(B, k, 0, 2),
        log_prob=log_prob.view(B, k),
        covered=torch.zeros(B, k, source_mask.shape[-1], device=device),
        source_mask=source_mask,
        demands=demands,
        symbols=demands.required.distinct(),
        met=(demands.required.sizes == 0)[:, None].expand(-1, k, -1),
        limit=limit,
        last_divisor=torch.tensor([length_divisor(n, options) for n in limit.tolist()], device=device),
        finished=first.new_zeros(B, G),
        pool=pool,
    )


def _chosen(candidates: Tensor, options: SearchOptions, eos: int) -> _Chosen:
    """The best 2 k / G extensions in each group, at least k / G of which do not end.

    Args:
        candidates: (B, k, V), log-probabilities of the hypotheses with each token added.
    """
    B, _, V = candidates.shape
    G, width = options.groups, options.beam // options.groups
    taken = candidates.new_zeros(B, V)  # how often earlier groups take each token at this step
    groups = []
    for g in range(G):
        own = candidates[:, g * width : (g + 1) * width]
        ranked = own - options.diversity * taken[:, None] if g and options.diversity else own
        best = ranked.flatten(1).topk(2 * width).indices
        log_prob, row, token = own.flatten(1).gather(1, best), best // V, best % V
        groups.append(_Chosen(log_prob, row + g * width, token, torch.ones_like(token, dtype=torch.bool)))
        if options.diversity:
            stays = _first_open(token == eos, width)
            alive = (log_prob.gather(1, stays) > -math.inf).to(taken.dtype)
            taken = taken.scatter_add(1, token.gather(1, stays), alive)
    return _Chosen(*(torch.stack(part, 1) for part in zip(*groups, strict=True)))


def _chosen_with_phrases(candidates: Tensor, ahead: Ahead, eos: int) -> _Chosen:
    """The same for one group, where phrases are required."""
    log_prob, row, token, met = ranked_by_bank(candidates, ahead, eos)
    return _Chosen(*(part[:, None] for part in (log_prob, row, token, met == ahead.total[:, None])))


def _first_open(ends: Tensor, width: int) -> Tensor:
    """Where, along the last axis, the first `width` extensions stand that do not end."""
    return ends.to(torch.uint8).sort(dim=-1, stable=True).indices[..., :width]


def _advanced(beam: _Beam, chosen: _Chosen, options: SearchOptions, eos: int, t: int) -> tuple[_Beam, Tensor]:
    """The beam after step t, and the parent (B, k) of each of its hypotheses."""
    B, G, n = chosen.token.shape
    trace = _rows(beam.trace, chosen.row.flatten(1), 1).unflatten(1, (G, n))
    step = chosen.row + beam.log_prob.shape[1] * torch.arange(B, device=chosen.row.device)[:, None, None]
    trace = torch.cat((trace, torch.stack((chosen.token, step), -1)[..., None, :]), -2)
    ends = chosen.token == eos
    finished = (ends | (beam.limit == t)[:, None, None]) & chosen.complete
    finished = finished & (torch.arange(n, device=ends.device) < n // 2)  # n = 2 k / G: those among the best k / G
    finished = finished & (chosen.log_prob > -math.inf)
    score = chosen.log_prob / length_divisor(t, options)
    if beam.covered.shape[-1]:
        logs = beam.covered.clamp(torch.finfo(torch.float32).tiny, 1).log()
        penalty = options.coverage_penalty * logs.masked_fill(~beam.source_mask[:, None], 0).sum(-1)
        score = score + penalty.gather(1, chosen.row.flatten(1)).view(B, G, n)
    new = _Pool(
        score=score.masked_fill(~finished, -math.inf),
        log_prob=chosen.log_prob,
        length=torch.full_like(chosen.token, t),
        ended=ends,
        trace=trace,
    )
    stays = _first_open(ends, n // 2)
    parents = chosen.row.gather(-1, stays).flatten(1)
    return beam._replace(
        trace=_rows(trace, stays, 2).flatten(1, 2),
        log_prob=chosen.log_prob.gather(-1, stays).flatten(1),
        met=beam.met.gather(1, parents[..., None].expand(-1, -1, beam.met.shape[-1])),
        covered=beam.covered.gather(1, parents[..., None].expand(-1, -1, beam.covered.shape[-1])),
        finished=beam.finished + finished.sum(2),
        pool=_merged(beam.pool, new),
    ), parents


def length_divisor(length: int, options: SearchOptions) -> float:
    """lp(Y): what the log-probability of a hypothesis of this length is divided by."""
    if options.length_penalty == "average":
        return float(length)
    if options.length_penalty == "gnmt":
        return ((5 + length) / 6) ** (0.6 if options.length_alpha is None else options.length_alpha)
    return 1.0


def _merged(pool: _Pool, new: _Pool) -> _Pool:
    """The best of both; of equals those that were there before."""
    p, t = pool.score.shape[-1], new.trace.shape[-2]
    old_trace = torch.nn.functional.pad(pool.trace, (0, 0, 0, t - pool.trace.shape[-2]))
    both = _Pool(*(torch.cat(pair, 2) for pair in zip(pool._replace(trace=old_trace), new, strict=True)))
    best = both.score.sort(dim=-1, descending=True, stable=True).indices[..., :p]
    return _Pool(
        score=both.score.gather(2, best),
        log_prob=both.log_prob.gather(2, best),
        length=both.length.gather(2, best),
        ended=both.ended.gather(2, best),
        trace=_rows(both.trace, best, 2),
    )


def _rows(trace: Tensor, rows: Tensor, dim: int) -> Tensor:
    """Traces (..., t, 2) that stand in these rows along dimension `dim`."""
    return trace.gather(dim, rows[..., None, None].expand(*rows.shape, *trace.shape[-2:]))


def _done(beam: _Beam, options: SearchOptions, t: int) -> Tensor:
    """Which sentences (B,) need no further step.

    Log-probabilities only fall and the coverage term is at most 0, so an open hypothesis with log-probability s cannot
    finish above s / lp(limit).
    """
    best = beam.log_prob.view(len(beam.sentence), options.groups, -1).amax(-1)
    over = best == -math.inf
    if options.early_exit:
        over = over | (beam.pool.score[..., -1] >= best / beam.last_divisor[:, None])
    over = over.all(-1) | (beam.limit == t)
    if options.patience is None:
        return over
    return over | (beam.finished >= options.patience * options.beam / options.groups).all(-1)


def _collect(beam: _Beam, found: list[list[Hypothesis]], n_best: int, seen: Seen) -> None:
    """Put the pools of finished sentences into words: the best of all groups first, then their second best, ..."""
    for sentence, *groups in zip(*(x.tolist() for x in (beam.sentence, *beam.pool)), strict=True):
        ranked: list[tuple[int, Hypothesis]] = []
        for group in zip(*groups, strict=True):
            for rank, (score, log_prob, length, ended, trace) in enumerate(zip(*group, strict=True)):
                if score > -math.inf:
                    tokens, rows = zip(*trace[:length], strict=True)
                    words = tokens[: length - ended]
                    ranked.append((rank, Hypothesis(words, log_prob, score, length, ended, *seen.of(rows))))
        ranked.sort(key=lambda pair: (pair[0], -pair[1].score))
        found[sentence] = [hypothesis for _, hypothesis in ranked[:n_best]]
