"""The one door to every kind of search."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seqapps.errors import UseError
from seqapps.modules.search.beam import beam_search
from seqapps.modules.search.constraints import Demands, Rules, prefix_table
from seqapps.modules.search.generator import Generator, Hypothesis
from seqapps.modules.search.options import SearchOptions
from seqapps.modules.search.phrases import phrase_table
from seqapps.modules.search.sampling import walk
from seqapps.modules.search.seen import Seen
from seqapps.modules.search.trees import Tree, check_rows

__all__ = ["search"]


@torch.no_grad()
def search(
    generator: Generator,
    state: Tree,
    memory: Tree,
    first: Tensor,
    options: SearchOptions,
    *,
    eos: int,
    prefixes: Sequence[Sequence[int]] | None = None,
    banned: Sequence[Sequence[int]] = (),
    required: Sequence[Sequence[Sequence[int]]] | None = None,
    excluded: Sequence[Sequence[Sequence[int]]] | None = None,
    source_mask: Tensor | None = None,
    seeds: Sequence[int] | None = None,
    limits: Sequence[int] | None = None,
    attention: bool = False,
) -> list[list[Hypothesis]]:
    """For each of B sentences its hypotheses, best first (samples: as drawn); fewer than asked for, or none, if the
    rules leave no more.

    A sequence ends with `eos`, or is cut after `options.max_length` steps: these outcomes exclude each other and
    together have probability 1. Log-probabilities stay the generator's own; what the rules forbid is passed over, not
    shared out, but in sampling. Each sentence gets what it would get alone. Which of two equally probable tokens a
    greedy or beam search takes is not defined. No gradients.

    Args:
        state: a tree of tensors with B rows. memory: another, or None.
        first: (B,) int64, what the first step reads: usually <bos>.
        prefixes: for each sentence the tokens it begins with; they count in length and log-probability.
        banned: token sequences that may not occur; the last token of one may be `eos`.
        required: for each sentence phrases that must occur, prefix included; they may overlap, and occur in any order.
            For plain beams. Nothing is found without them, and with them, if they fit into the limit one after the
            other, something is found by any beam, unless `banned` or `excluded` forbid one.
        excluded: for each sentence phrases that may not occur.
        source_mask: (B, S), True = real, for the coverage penalty.
        seeds: for each sentence the seed of its samples.
        attention: whether hypotheses tell what was attended to, which the generator's steps must then give, and p_gen.
        limits: for each sentence the steps after which it is cut, where they are fewer than `options.max_length`.
    Raises:
        UseError: the options have faults, or do not fit the other arguments.
        ShapeError: a state, memory or step result with a wrong number of rows.
    """
    faults = options.faults()
    if faults:
        raise UseError("\n".join(f"search: {message}" for _, message in faults))
    if not all(banned):
        raise UseError("search: a banned sequence is empty; leave it out")
    if (seeds is not None) != (options.method == "sampling"):
        raise UseError(f"search: seeds are for sampling, one a sentence, and method is {options.method}")
    if seeds is not None and len(seeds) != len(first):
        raise UseError(f"search: {len(seeds)} seeds for {len(first)} sentences; give one each")
    if required is not None and any(required) and (options.method != "beam" or options.groups > 1):
        method = options.method if options.method != "beam" else f"beam with {options.groups} groups"
        raise UseError(f"search: required phrases need method beam without groups, and method is {method}")
    check_rows(state, len(first), "state")
    check_rows(memory, len(first), "memory")
    rules = Rules(eos, options.min_length, options.no_repeat, tuple(map(tuple, banned)))
    limit = _limits(limits, first, options.max_length)
    demands = Demands(
        prefix_table(prefixes, first, eos, limit.tolist()),
        phrase_table(excluded, first, "excluded"),
        phrase_table(required, first, "required", eos),
    )
    if not len(first):
        return []
    arguments, seen = (generator, state, memory, first, options), Seen(attention)
    if options.method == "beam":
        return beam_search(*arguments, rules=rules, demands=demands, limit=limit, source_mask=source_mask, seen=seen)
    return walk(*arguments, rules=rules, demands=demands, limit=limit, seeds=seeds, seen=seen)


def _limits(limits: Sequence[int] | None, first: Tensor, max_length: int) -> Tensor:
    """(B,) int64: the steps after which each sentence is cut."""
    if limits is None:
        return torch.full_like(first, max_length)
    if len(limits) != len(first):
        raise UseError(f"search: {len(limits)} limits for {len(first)} sentences; give one each")
    if min(limits, default=1) < 1:
        raise UseError(f"search: a limit is {min(limits)}, expected 1 or more")
    return torch.tensor(limits, dtype=torch.int64, device=first.device).clamp_max(max_length)
