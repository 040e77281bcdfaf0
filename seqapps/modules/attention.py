"""Attention: a query weighs the positions of a memory, and gets the mean of their values."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from seqapps.cells import Lengths
from seqapps.errors import ComponentError

__all__ = ["Attended", "Attention", "AttentionKind", "Memory"]

AttentionKind = Literal["additive", "dot", "general", "scaled"]


class Memory(NamedTuple):
    """What is attended to, made once for a sequence.

    Attributes:
        keys: (B, S, K), what queries are compared with.
        values: (B, S, F), what is averaged.
        mask: (B, S) bool, True = real.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor


class Attended(NamedTuple):
    """What queries found: `context` (B, Q, F), the weighted means of the values; `weights` (B, Q, S), zero on padding,
    each row summing to 1; `scores` (B, Q, S), what the weights are the softmax of, -inf on padding."""

    context: Tensor
    weights: Tensor
    scores: Tensor


class Attention(nn.Module):
    """Weights a = softmax over the real positions i of score(q, m_i), and the context sum_i a_i v_i.

        additive   v . tanh(W q + U m_i + b [+ w n_i])    Bahdanau, Cho and Bengio 2015, arXiv 1409.0473, section A.1.2
        dot        q . m_i                                Luong, Pham and Manning 2015, arXiv 1508.04025, equation 8
        general    q . (W m_i)                            the same
        scaled     (W q) . (U m_i) / sqrt(A)              Vaswani et al. 2017, arXiv 1706.03762, equation 1

    With `coverage`, n_i is what position i got so far, the sum of its weights at the steps before (See, Liu and Manning
    2017, arXiv 1704.04368, equation 11).

    W m_i and U m_i do not depend on the query: `remember` computes them once for a sequence.

    Args:
        query_size: D. memory_size: of m_i.
        size: A, features of the hidden layer (additive) or of the projected queries and keys (scaled).
    Raises:
        ComponentError: dot, where query and memory differ in size.
    """

    def __init__(self, kind: AttentionKind, query_size: int, memory_size: int, size: int, *, coverage: bool = False):
        super().__init__()
        if kind == "dot" and query_size != memory_size:
            raise ComponentError(
                f"attention dot: a query has {query_size} features, what it is compared with {memory_size}; make them"
                " equal, or use general"
            )
        self.kind, self.coverage = kind, coverage
        own = kind in ("additive", "scaled")
        self.query = nn.Linear(query_size, size, bias=kind == "additive") if own else None
        self.key = nn.Linear(memory_size, size if own else query_size, bias=False) if kind != "dot" else None
        self.scale = size**-0.5 if kind == "scaled" else 1.0
        if kind == "additive":
            self.score = nn.Parameter(torch.empty(size).uniform_(-(size**-0.5), size**-0.5))
        if coverage:
            self.covered = nn.Parameter(torch.empty(size).uniform_(-(size**-0.5), size**-0.5))

    def remember(self, memory: Tensor, values: Tensor, lengths: Lengths) -> Memory:
        """Keys of m (B, S, memory_size), beside the values (B, S, F); lengths of the B sequences.

        What stands on padding does not matter, unless it is not finite.
        """
        keys = memory if self.key is None else self.key(memory)
        return Memory(keys, values, lengths.mask.t())

    def forward(self, queries: Tensor, memory: Memory, covered: Tensor | None = None) -> Attended:
        """Attend with queries (B, Q, D), any number Q for each sequence; covered (B, Q, S) with `coverage`."""
        scores = self._scores(queries, memory.keys, covered)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        scores = scores.masked_fill(~memory.mask[:, None], -math.inf)
        weights = scores.softmax(-1)
        return Attended(weights.to(memory.values.dtype) @ memory.values, weights, scores)

    def _scores(self, queries: Tensor, keys: Tensor, covered: Tensor | None) -> Tensor:
        if self.query is not None:
            queries = self.query(queries)
        if self.kind != "additive":
            return (queries * self.scale) @ keys.transpose(1, 2)
        if covered is None and queries.size(1) > 1:
            return _AdditiveScores.apply(queries, keys, self.score.to(queries.dtype))
        hidden = queries[:, :, None] + keys[:, None]
        if covered is not None:
            hidden = hidden + covered[..., None] * self.covered
        return torch.tanh(hidden) @ self.score


_ELEMENTS = 250_000  # of the hidden layer that exist at once: so many stay in a processor's cache


class _AdditiveScores(torch.autograd.Function):
    """v . tanh(q + k) for all pairs of queries (B, Q, A) and keys (B, S, A): (B, Q, S).

    The hidden layer z = tanh(q + k), as large as queries times keys, exists for a few sequences at a time.
    """

    @staticmethod
    def forward(ctx, queries: Tensor, keys: Tensor, score: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(queries, keys, score)
        scores = queries.new_empty(*queries.shape[:2], keys.size(1))
        for part in _parts(queries, keys):
            scores[part] = _hidden(queries[part], keys[part]) @ score
        return scores

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[no-untyped-def]
        if torch.is_grad_enabled():
            raise ComponentError("additive attention has no second derivative; use another attention")
        queries, keys, score = ctx.saved_tensors
        of_queries, of_keys, of_score = torch.empty_like(queries), torch.empty_like(keys), torch.zeros_like(score)
        for part in _parts(queries, keys):
            g, z = gradient[part], _hidden(queries[part], keys[part])
            of_score += g.flatten() @ z.flatten(0, -2)
            z.square_().mul_(g[..., None])
            torch.sum(z, 2, out=of_queries[part])
            torch.sum(z, 1, out=of_keys[part])
        of_queries = (gradient.sum(2)[..., None] - of_queries) * score  # sums of g (1 - z^2) v
        of_keys = (gradient.sum(1)[..., None] - of_keys) * score
        return of_queries, of_keys, of_score


def _parts(queries: Tensor, keys: Tensor) -> list[slice]:
    """Sequences that are computed together."""
    B, Q, A = queries.shape
    count = max(1, _ELEMENTS // max(1, Q * keys.size(1) * A))
    return [slice(start, start + count) for start in range(0, B, count)]


def _hidden(queries: Tensor, keys: Tensor) -> Tensor:
    """tanh(q + k), (n, Q, S, A)."""
    return (queries[:, :, None] + keys[:, None]).tanh_()
