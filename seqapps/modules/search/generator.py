"""What can be searched, what a search finds, and several generators as one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from seqapps.errors import ShapeError, UseError
from seqapps.modules.search.trees import Tree

__all__ = ["Ensemble", "Generator", "Hypothesis", "Step"]


class Step(NamedTuple):
    """What a generator's step gives, for N rows.

    log_probs (N, V), of the next token; state, a tree with N rows; attention (N, S), the weights over the source that
    this step used, needed for the coverage penalty only; p_gen (N,), how probable it is that the next token, whichever
    it is, is generated and not taken from the source (See, Liu and Manning 2017, equation 8), where there is a pointer.
    """

    log_probs: Tensor
    state: Tree
    attention: Tensor | None = None
    p_gen: Tensor | None = None


class Generator(Protocol):
    """One step of a model that writes token by token.

    N = B x k rows: B sentences, k hypotheses each, those of a sentence side by side. The state has N rows and is
    reordered between steps; memory (an encoded source) has B rows, however many hypotheses there are, and only loses
    sentences that are finished. k = N // B may be read from the two. The start of a search gives both B rows.

    Rows must not influence one another: then results depend neither on the batch nor on what pads it.
    """

    def step(self, tokens: Tensor, state: Tree, memory: Tree) -> Step:
        """Read the tokens (N,) int64 written last and give log-probabilities of those that follow."""


class Hypothesis(NamedTuple):
    """A sequence that was found.

    tokens, without the end mark; log_prob, the natural logarithm of its probability under the generator, end mark and
    forced prefix included; score, log_prob after penalties; length in steps, the end mark being one; ended, whether
    the end mark came, or else the sequence was cut at the maximum length; attention (length, S) and p_gen (length,),
    what each step gave, if it was asked for.
    """

    tokens: tuple[int, ...]
    log_prob: float
    score: float
    length: int
    ended: bool
    attention: Tensor | None = None
    p_gen: Tensor | None = None


class Ensemble:
    """Several generators over one vocabulary as one; its state and memory are tuples, one tree for each.

        probabilities      log p = log(1/M sum_m p_m)
        log_probabilities  log p = 1/M sum_m log p_m,  which does not sum to 1 and is not made to

    Attention is the mean, where every generator gives it, or the first one's, where sources differ in length. There is
    no p_gen of several.

        both = Ensemble([one, other])
        search(both, (state_of_one, state_of_other), (memory_of_one, memory_of_other), first, options, eos=eos)
    """

    def __init__(
        self,
        generators: Sequence[Generator],
        mean: Literal["probabilities", "log_probabilities"] = "probabilities",
        *,
        attention: Literal["mean", "first"] = "mean",
    ):
        if not generators:
            raise UseError("ensemble: no generators; give at least one")
        if mean not in ("probabilities", "log_probabilities"):
            raise UseError(f"ensemble: mean is {mean!r}; expected 'probabilities' or 'log_probabilities'")
        self.generators, self.mean, self.attention = list(generators), mean, attention

    def step(self, tokens: Tensor, state: Tree, memory: Tree) -> Step:
        memory = (None,) * len(self.generators) if memory is None else memory
        parts = zip(self.generators, state, memory, strict=True)
        steps = [generator.step(tokens, its_state, its_memory) for generator, its_state, its_memory in parts]
        sizes = {step.log_probs.shape[-1] for step in steps}
        if len(sizes) > 1:
            raise ShapeError(f"ensemble: vocabularies of {sorted(sizes)} tokens; expected the same one")
        log_probs = torch.stack([step.log_probs for step in steps])
        if self.mean == "probabilities":
            combined = log_probs.logsumexp(0) - math.log(len(steps))
        else:
            combined = log_probs.mean(0)
        if self.attention == "first":
            return Step(combined, tuple(step.state for step in steps), steps[0].attention)
        attentions = [step.attention for step in steps if step.attention is not None]
        attention = torch.stack(attentions).mean(0) if len(attentions) == len(steps) else None
        return Step(combined, tuple(step.state for step in steps), attention)
