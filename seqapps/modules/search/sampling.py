"""One path at a time: greedy search, and sampling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seqapps.modules.search.constraints import Demands, Rules, constrained
from seqapps.modules.search.generator import Generator, Hypothesis
from seqapps.modules.search.options import SearchOptions
from seqapps.modules.search.seen import Seen
from seqapps.modules.search.trees import Tree, check_rows, select

__all__ = ["kept_probabilities", "walk"]


class _Paths(NamedTuple):
    """B sentences with k paths each."""

    sentence: Tensor  # (B,) which one it is in the batch as given
    trace: Tensor  # (B, k, t, 2): the tokens, and which row of its step each of them was chosen in
    log_prob: Tensor  # (B, k)
    length: Tensor  # (B, k) steps, the end mark included; 0 while a path is open
    demands: Demands
    limit: Tensor  # (B,) steps after which it is cut
    uniforms: Tensor  # (B, k, max_length), or (B, k, 0) where the best token is taken

    @property
    def tokens(self) -> Tensor:
        """(B, k, t)"""
        return self.trace[..., 0]


def walk(
    generator: Generator,
    state: Tree,
    memory: Tree,
    first: Tensor,
    options: SearchOptions,
    *,
    rules: Rules,
    demands: Demands,
    limit: Tensor,
    seeds: Sequence[int] | None,
    seen: Seen,
) -> list[list[Hypothesis]]:
    """Follow every path, always taking the best token (without seeds) or a drawn one, to its end or limit.

    A path on which nothing may come next is dropped. The log-probability is the generator's own, at temperature 1 and
    before anything was cut off.
    """
    B, k = len(first), options.n_best
    uniforms = _uniforms(seeds, k, options.max_length) if seeds is not None else torch.zeros(B, k, 0)
    device = first.device
    paths = _Paths(
        sentence=torch.arange(B, device=device),
        trace=first.new_zeros(B, k, 0, 2),
        log_prob=torch.zeros(B, k, device=device),
        length=first.new_zeros(B, k),
        demands=demands,
        limit=limit,
        uniforms=uniforms if device.type == "mps" else uniforms.to(device),
    )
    state = select(state, paths.sentence.repeat_interleave(k))
    last = first.repeat_interleave(k)
    found: list[list[Hypothesis]] = [[] for _ in range(B)]
    for t in range(int(limit.max())):
        step = generator.step(last, state, memory)
        log_probs, state = step.log_probs, step.state
        check_rows((log_probs, state), len(last), "a step's result")
        seen.add(step)
        log_probs = log_probs.to(torch.promote_types(log_probs.dtype, torch.float32)).view(len(paths.sentence), k, -1)
        allowed = constrained(log_probs.clone(), paths.tokens, paths.demands, rules)
        chosen = allowed.argmax(-1) if seeds is None else _drawn(allowed, paths.uniforms[..., t], options)
        paths = _extended(paths, chosen, allowed, rules.eos)
        done = (paths.length > 0).all(-1) | (paths.limit == t + 1)
        keep = torch.arange(len(done), device=device)
        if done.any():
            _collect(select(paths, done.nonzero()[:, 0]), found, t + 1, seen)
            keep = (~done).nonzero()[:, 0]
            if not len(keep):
                break
            rows = (keep[:, None] * k + torch.arange(k, device=device)).flatten()
            paths, memory, state = select(paths, keep), select(memory, keep), select(state, rows)
        last = paths.tokens[..., -1].flatten()
    return found


def _extended(paths: _Paths, chosen: Tensor, allowed: Tensor, eos: int) -> _Paths:
    """The paths one token longer; those that were closed stay as they are but for padding."""
    t = paths.trace.shape[-2] + 1
    is_open = paths.length == 0
    gained = allowed.gather(-1, chosen[..., None])[..., 0]
    log_prob = torch.where(is_open, paths.log_prob + gained, paths.log_prob.to(gained.dtype))
    closes = is_open & ((chosen == eos) | (log_prob == -math.inf))
    step = torch.arange(chosen.numel(), device=chosen.device).view_as(chosen)
    trace = torch.cat((paths.trace, torch.stack((chosen, step), -1)[..., None, :]), -2)
    return paths._replace(trace=trace, log_prob=log_prob, length=paths.length.masked_fill(closes, t))


def _collect(paths: _Paths, found: list[list[Hypothesis]], steps: int, seen: Seen) -> None:
    columns = (x.tolist() for x in (paths.sentence, paths.trace, paths.log_prob, paths.length))
    for sentence, *rows in zip(*columns, strict=True):
        for trace, log_prob, length in zip(*rows, strict=True):
            if log_prob == -math.inf:
                continue
            tokens, came = zip(*trace[: length or steps], strict=True)
            words, ended = tokens[: length - 1] if length else tokens, length > 0
            found[sentence].append(Hypothesis(words, log_prob, log_prob, len(tokens), ended, *seen.of(came)))


def _uniforms(seeds: Sequence[int], k: int, max_length: int) -> Tensor:
    """Numbers in [0, 1), (B, k, max_length): each sentence's depend on its own seed only, a sample's not on k."""
    draws = [torch.rand(k, max_length, dtype=torch.float64, generator=torch.Generator().manual_seed(s)) for s in seeds]
    return torch.stack(draws) if draws else torch.zeros(0, k, max_length, dtype=torch.float64)


def kept_probabilities(log_probs: Tensor, temperature: float, top_k: int | None, top_p: float | None) -> Tensor:
    """What tokens are drawn from, (..., V) float64 summing to 1: after temperature, then top-k, then top-p.

    Top-p counts the probability that top-k left, made to sum to 1. Of equally probable tokens those with lower numbers
    stay. All zeros where every token is forbidden.
    """
    place = log_probs.device if log_probs.device.type != "mps" else "cpu"  # which has no float64
    probabilities = (log_probs.to(place, torch.float64) / temperature).softmax(-1).nan_to_num()
    if top_k is None and top_p is None:
        return probabilities
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    if top_k is not None:
        ordered[..., top_k:] = 0
        ordered = ordered / ordered.sum(-1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    if top_p is not None:
        ordered = ordered.masked_fill(ordered.cumsum(-1) - ordered >= top_p, 0)
    kept = torch.zeros_like(probabilities).scatter_(-1, order, ordered)
    return kept / kept.sum(-1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)


def _drawn(log_probs: Tensor, uniforms: Tensor, options: SearchOptions) -> Tensor:
    """One token a row, (B, k): the first whose cumulated probability exceeds the row's number in [0, 1)."""
    cumulated = kept_probabilities(log_probs, options.temperature, options.top_k, options.top_p).cumsum(-1)
    threshold = uniforms[..., None] * cumulated[..., -1:]
    return (cumulated <= threshold).sum(-1).clamp_max(log_probs.shape[-1] - 1).to(log_probs.device)
