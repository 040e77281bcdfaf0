"""Linear-chain conditional random fields: a score for every label sequence, normalised over all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from seqapps import schemes
from seqapps.errors import DataError, ShapeError

__all__ = ["LinearChainCRF"]

_FORBIDDEN = -1e30  # finite, so that the difference of two of them is 0 and not NaN


class LinearChainCRF(nn.Module):
    """Linear-chain CRF (Lafferty, McCallum & Pereira 2001) on a network's scores (Collobert et al. 2011, eq. 12-15).

        s(y) = start[y_1] + sum_t scores[t, y_t] + sum_{t>1} transitions[y_{t-1}, y_t] + end[y_T]
        log p(y) = s(y) - log Z,    log Z = log sum_{y'} exp s(y')

    The recursion for log Z (Rabiner 1989, sections III.A and V.A), with A = exp(transitions) and e_t = exp(scores[t]):

        alpha_1 = exp(start) * e_1,    alpha_t = (alpha_{t-1} A) * e_t / c_t
        log Z = log(alpha_T exp(end)) + sum_t log c_t

    Its mirror image beta gives marginals and gradients in the same pass. Both run as matrix products in float64
    (float32 where a device has no other), if the ranges of scores and transitions prove that nothing that matters can
    underflow; otherwise the same recursion runs on logarithms, which is slower and right for every input.

    With a tag `scheme` (see `seqapps.schemes`), label sequences that violate it have probability 0: in the partition,
    the marginals, the gradients and in decoding. All parameters start at 0: an independent softmax per position.

    Parameters: transitions (K, K), [from, to]; start (K,); end (K,).

    Everywhere below scores are (B, T, K), of any floating type, and lengths (B,) int64 with 1 <= lengths[b] <= T. What
    stands behind a sequence's length has no influence on values or gradients, be it NaN. Nor has autocast.

    Args:
        labels: the labels' names, in the order of the scores.
        scheme: forbid what violates this tag scheme. Raises DataError if a label does not belong to it.

    >>> crf = LinearChainCRF(["O", "B-NP", "I-NP"], scheme="bio")
    >>> crf.decode(torch.tensor([[[1.0, 0.0, 9.0], [0.0, 0.0, 9.0]]]), torch.tensor([2]))
    [[1, 2]]
    """

    permitted: Tensor

    def __init__(self, labels: Sequence[str], *, scheme: str | None = None):
        super().__init__()
        self.labels, self.scheme = list(labels), scheme
        K = len(self.labels)
        self.transitions = nn.Parameter(torch.zeros(K, K))
        self.start = nn.Parameter(torch.zeros(K))
        self.end = nn.Parameter(torch.zeros(K))
        permitted = _permitted(self.labels, scheme)
        self._coupling = _coupling(permitted[:K, :K])
        self.register_buffer("permitted", permitted, persistent=False)

    def extra_repr(self) -> str:
        return f"labels={len(self.labels)}, scheme={self.scheme}"

    def log_likelihood(self, scores: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
        """log p(targets), (B,), float32 or better; differentiable once.

        Args:
            targets: (B, T) int64; any value behind a sequence's length.
        Raises:
            DataError: a target is no label, or violates the scheme; the message names row and token.
        """
        mask = self._mask(scores, lengths)
        if targets.shape != mask.shape:
            raise ShapeError(f"targets: shape {tuple(targets.shape)}, expected {tuple(mask.shape)} as the scores have")
        targets = targets.masked_fill(~mask, 0)
        chain = self._chain(scores, mask, targets)
        return (self._score(scores, targets, mask) - self._log_partition(chain, scores)).to(_at_least_float32(scores))

    def log_partition(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """log Z, (B,), float32 or better; differentiable once."""
        chain = self._chain(scores, self._mask(scores, lengths))
        return self._log_partition(chain, scores).to(_at_least_float32(scores))

    @torch.no_grad()
    def marginals(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """p(y_t = k), (B, T, K), 0 behind a sequence's length; not differentiable."""
        chain = self._chain(scores, self._mask(scores, lengths))
        with torch.autocast(scores.device.type, enabled=False):
            labels = _recursion(chain, both=True).labels(torch.ones_like(chain.lengths))
            return labels.transpose(0, 1).to(_at_least_float32(scores))

    @torch.no_grad()
    def decode(self, scores: Tensor, lengths: Tensor) -> list[list[int]]:
        """The most probable label sequences (Viterbi 1967): for each row lengths[b] indices of labels."""
        mask = self._mask(scores, lengths)
        transitions, start, end = self._potentials(_at_least_float32(scores))
        emissions = scores.masked_fill(~mask[..., None], 0).to(transitions.dtype).transpose(0, 1)
        T, B, K = emissions.shape
        best = emissions.new_empty(T, B, K)  # best[t, b, k]: score of the best sequence up to t that ends in k
        paths = emissions.new_empty(K, B, K)  # [from, b, to]: the maximum over the first axis is by far the fastest
        torch.add(emissions[0], start, out=best[0])
        for t in range(1, T):
            torch.add(best[t - 1].t()[:, :, None], transitions[:, None, :], out=paths)
            torch.add(paths.amax(0), emissions[t], out=best[t])
        last = mask.sum(1) - 1
        final = (best[last, torch.arange(B, device=last.device)] + end).argmax(1)
        labels = final.expand(T, B).clone()
        into = transitions.t().contiguous()
        for t in range(T - 2, -1, -1):
            # The predecessor is found again from its score: cheaper than keeping B x K indices at every step.
            labels[t] = torch.where(last > t, (best[t] + into[labels[t + 1]]).argmax(1), final)
        rows = torch.cat((last[:, None], labels.t()), 1).tolist()  # the only transfer
        return [row[1 : row[0] + 2] for row in rows]

    def _mask(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """(B, T), True = real."""
        if scores.dim() != 3 or scores.shape[2] != len(self.labels) or lengths.shape != scores.shape[:1]:
            shapes = f"shapes {tuple(scores.shape)} and {tuple(lengths.shape)}"
            raise ShapeError(f"scores and lengths: {shapes}, expected (B, T, {len(self.labels)}) and (B,)")
        # On an accelerator this check would wait for the device.
        if lengths.device.type == "cpu" and not ((lengths >= 1) & (lengths <= scores.shape[1])).all():
            raise ShapeError(f"lengths: {lengths.tolist()}, expected 1 to {scores.shape[1]}, the scores' second size")
        return torch.arange(scores.shape[1], device=scores.device) < lengths.to(scores.device)[:, None]

    def _potentials(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """transitions, start and end, with a score that rules out what the scheme forbids; detached."""
        transitions, start, end = _split(self.permitted)
        return (
            self.transitions.detach().to(dtype).masked_fill(~transitions, _FORBIDDEN),
            self.start.detach().to(dtype).masked_fill(~start, _FORBIDDEN),
            self.end.detach().to(dtype).masked_fill(~end, _FORBIDDEN),
        )

    @torch.no_grad()
    def _chain(self, scores: Tensor, mask: Tensor, targets: Tensor | None = None) -> _Chain:
        """What the recursions work on; raises DataError for targets that the scheme forbids."""
        dtype = torch.float32 if scores.device.type == "mps" else torch.float64
        transitions, start, end = self._potentials(dtype)
        emissions = scores.detach().transpose(0, 1).to(dtype, copy=True, memory_format=torch.contiguous_format)
        emissions.masked_fill_(~mask.t()[..., None], 0)
        # All that the host must know comes in one transfer.
        facts = [_range(parameter, _FORBIDDEN / 2) for parameter in (transitions, start, end)]
        if self.scheme:
            facts.append((emissions.amax(2) - emissions.amin(2)).amax())
        if targets is not None:
            facts.append(self._legal(targets, mask).to(dtype))
        known = torch.stack(facts).tolist()
        if targets is not None and not known.pop():
            raise DataError(self._violation(targets, mask))
        period = self._period(max(known[:3]), sum(known[3:]), dtype)
        return _Chain(emissions, transitions, start, end, mask.t(), mask.sum(1), period)

    def _period(self, parameters: float, emissions: float, dtype: torch.dtype) -> int:
        """How many steps may pass between two divisions by c_t; 0 if only the recursion on logarithms is safe.

        Let r bound the logarithm of how much one step can favour one label over another. Without constraints that is
        the range of the parameters (plus log K, for sums): whatever the emissions, a label that is behind by more than
        this cannot catch up later, so if it underflows nothing is lost. With constraints one label may lead to where
        another cannot go; but within n steps, n the least number that leads from every label to every label, all are
        connected again, so none that can be reached is behind by more than n r, the emissions' range included.
        """
        if self._coupling is None:
            return 0
        step = parameters + emissions + math.log(len(self.labels)) + 1
        room = -0.85 * math.log(torch.finfo(dtype).tiny) - self._coupling * step
        return int(room / step) if room > 0 else 0  # NaN gives 0

    def _log_partition(self, chain: _Chain, scores: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return _LogPartition.apply(chain, scores, self.transitions, self.start, self.end)
        with torch.autocast(scores.device.type, enabled=False):
            return _recursion(chain, both=False).log_partition()

    def _score(self, scores: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        """s(targets), (B,)."""
        dtype = torch.float32 if scores.device.type == "mps" else torch.float64
        steps = targets[:, :-1] * len(self.labels) + targets[:, 1:]
        moves = self.transitions.flatten().index_select(0, steps.flatten()).view(steps.shape)
        emitted = scores.gather(2, targets[..., None]).squeeze(2)
        ends = self.end.index_select(0, targets.gather(1, mask.sum(1)[:, None] - 1).squeeze(1))
        return (
            self.start.index_select(0, targets[:, 0]).to(dtype)
            + emitted.to(dtype).masked_fill(~mask, 0).sum(1)
            + moves.to(dtype).masked_fill(~mask[:, 1:], 0).sum(1)
            + ends.to(dtype)
        )

    def _legal(self, targets: Tensor, mask: Tensor) -> Tensor:
        """Whether all targets are labels and follow the scheme."""
        edge = len(self.labels)
        labels = ((targets >= 0) & (targets < edge)).all()
        if not self.scheme:
            return labels
        bounded = nn.functional.pad(targets.clamp(0, edge - 1).masked_fill(~mask, edge), (1, 1), value=edge)
        return labels & self.permitted[bounded[:, :-1], bounded[:, 1:]].all()

    def _violation(self, targets: Tensor, mask: Tensor) -> str:
        known = range(len(self.labels))
        for row, (numbers, length) in enumerate(zip(targets.tolist(), mask.sum(1).tolist(), strict=True), 1):
            for token, number in enumerate(numbers[:length], 1):
                if number not in known:
                    place = f"row {row} of the batch, token {token}"
                    return f"{place}: label number {number}, expected 0 to {known[-1]}; was it never seen in training?"
            found = (
                schemes.check([self.labels[number] for number in numbers[:length]], self.scheme)
                if self.scheme
                else None
            )
            if found:
                return f"row {row} of the batch, token {found[0] + 1}: {found[1]}"
        raise AssertionError("no violation")


class _Chain(NamedTuple):
    """One batch, time first, in the type that is computed with; padding holds 0, what is forbidden `_FORBIDDEN`."""

    emissions: Tensor  # (T, B, K)
    transitions: Tensor  # (K, K)
    start: Tensor  # (K,)
    end: Tensor  # (K,)
    mask: Tensor  # (T, B)
    lengths: Tensor  # (B,)
    period: int

    @property
    def mirror(self) -> Tensor:
        """(T * B,): rows of (T * B, K) in an order that reverses the first lengths[b] positions of each sequence."""
        T, B = self.mask.shape
        steps = (self.lengths - 1 - torch.arange(T, device=self.lengths.device)[:, None]).clamp_(min=0)
        return (steps * B + torch.arange(B, device=steps.device)).flatten()

    def at_ends(self, values: Tensor) -> Tensor:
        """(B, K): what stands at each sequence's last position in `values` (T, B, K)."""
        return values[self.lengths - 1, torch.arange(len(self.lengths), device=values.device)]


class _LogPartition(torch.autograd.Function):
    """log Z; its gradients are the expected counts of labels and steps, found in the same pass."""

    @staticmethod
    def forward(ctx: Any, chain: _Chain, *inputs: Tensor) -> Tensor:
        ctx.types = [tensor.dtype for tensor in inputs]
        with torch.autocast(chain.emissions.device.type, enabled=False):
            ctx.recursion = _recursion(chain, both=any(ctx.needs_input_grad))
            return ctx.recursion.log_partition()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        recursion, chain = ctx.recursion, ctx.recursion.chain
        with torch.autocast(gradient.device.type, enabled=False):
            labels = recursion.labels(gradient)
            gradients = (
                labels.transpose(0, 1),
                recursion.steps(gradient),
                labels[0].sum(0),
                chain.at_ends(labels).sum(0),
            )
        return None, *(value.to(dtype) for value, dtype in zip(gradients, ctx.types, strict=True))


def _recursion(chain: _Chain, *, both: bool) -> _Scaled | _Logarithmic:
    """Alpha, and beta too if `both`."""
    return (_Scaled if chain.period else _Logarithmic)(chain, both)


class _Scaled:
    """The recursion on probabilities.

    Alpha and beta are one recursion over a batch of D = 2: beta's runs over the mirrored sequence with A transposed.
    `before` holds each step's product with A, `after` that times e_t, divided by its sum at every `period`-th step.
    """

    def __init__(self, chain: _Chain, both: bool):
        T, B, K = chain.emissions.shape
        self.chain = chain
        self.peaks = chain.emissions.amax(2)  # (T, B)
        potentials = (chain.transitions, chain.start, chain.end)
        self.offsets = [potential.max() for potential in potentials]
        self.A, start, self.end = ((p - offset).exp() for p, offset in zip(potentials, self.offsets, strict=True))
        e = (chain.emissions - self.peaks[..., None]).exp_()
        if both:
            self.mirror = chain.mirror
            rows = torch.stack((torch.arange(T * B, device=e.device).view(T, B), self.mirror.view(T, B)), 1)
            e = e.view(-1, K).index_select(0, rows.flatten()).view(T, 2, B, K)
            self._run(e, torch.stack((self.A, self.A.t())), torch.stack((start, self.end))[:, None])
        else:
            self._run(e[:, None], self.A[None], start[None, None])

    def _run(self, e: Tensor, step: Tensor, first: Tensor) -> None:
        self.before, self.after = torch.empty_like(e), e  # (T, D, B, K)
        self.log_scale = e.new_zeros(e.shape[0], e.shape[2])
        before, after = self.before.unbind(0), self.after.unbind(0)
        before[0].copy_(first.expand_as(before[0]))
        after[0].mul_(first)
        for t in range(1, len(after)):
            torch.bmm(after[t - 1], step, out=before[t])
            after[t].mul_(before[t])
            if t % self.chain.period == 0:
                scale = after[t].sum(2, keepdim=True)
                after[t].div_(scale)
                self.log_scale[t] = scale[0, :, 0].log()

    def log_partition(self) -> Tensor:
        """(B,)."""
        transitions, start, end = self.offsets
        scales = (self.peaks + self.log_scale).masked_fill_(~self.chain.mask, 0).sum(0)
        last = (self.chain.at_ends(self.after[:, 0]) @ self.end).log()
        return last + scales + start + end + (self.chain.lengths - 1) * transitions

    def labels(self, weights: Tensor) -> Tensor:
        """(T, B, K): expected number of each label at each position, times `weights` (B,); 0 on padding."""
        joint = self._mirrored(self.before).mul_(self.after[:, 0])
        return joint.mul_((weights / joint.sum(2)).masked_fill_(~self.chain.mask, 0)[..., None])

    def steps(self, weights: Tensor) -> Tensor:
        """(K, K): expected number of steps from label to label, sequences weighted by `weights` (B,)."""
        following = self._mirrored(self.after)[1:]
        total = (self.before[1:, 0] * following).sum(2)
        following.mul_((weights / total).masked_fill_(~self.chain.mask[1:], 0)[..., None])
        return self.A * (self.after[:-1, 0].flatten(0, 1).t() @ following.flatten(0, 1))

    def _mirrored(self, values: Tensor) -> Tensor:
        """(T, B, K): the mirrored half of `values` (T, 2, B, K), in reading order."""
        T, _, B, K = values.shape
        return values[:, 1].reshape(-1, K).index_select(0, self.mirror).view(T, B, K)


class _Logarithmic:
    """The recursion on logarithms: right for every input, with K times as many exponentials per step."""

    def __init__(self, chain: _Chain, both: bool):
        self.chain = chain
        emissions, mirror = chain.emissions, chain.mirror
        _, self.alpha = self._run(emissions, chain.transitions, chain.start)
        if both:
            mirrored = emissions.view(-1, emissions.shape[2])[mirror].view_as(emissions)
            run = self._run(mirrored, chain.transitions.t(), chain.end)
            self.beta_before, self.beta = (part.flatten(0, 1)[mirror].view_as(part) for part in run)

    @staticmethod
    def _run(emissions: Tensor, step: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        before, after = [first.expand_as(emissions[0])], [first + emissions[0]]
        for emission in emissions[1:]:
            before.append(torch.logsumexp(after[-1][:, :, None] + step, 1))
            after.append(before[-1] + emission)
        return torch.stack(before), torch.stack(after)

    def log_partition(self) -> Tensor:
        """(B,)."""
        return torch.logsumexp(self.chain.at_ends(self.alpha) + self.chain.end, 1)

    def labels(self, weights: Tensor) -> Tensor:
        """As `_Scaled.labels`."""
        shares = (self.alpha + self.beta_before).softmax(2)
        return (shares * weights[:, None]).masked_fill_(~self.chain.mask[..., None], 0)

    def steps(self, weights: Tensor) -> Tensor:
        """As `_Scaled.steps`."""
        counts = torch.zeros_like(self.chain.transitions)
        for t in range(1, len(self.alpha)):
            joint = self.alpha[t - 1][:, :, None] + self.chain.transitions + self.beta[t][:, None, :]
            shares = joint.flatten(1).softmax(1) * weights[:, None]
            counts += shares.masked_fill_(~self.chain.mask[t][:, None], 0).sum(0).view_as(counts)
        return counts


def _permitted(labels: Sequence[str], scheme: str | None) -> Tensor:
    """(K + 1, K + 1) bool: whether a step from label to label is allowed; the last index is the edge of a sentence."""
    if scheme is None:
        return torch.ones(len(labels) + 1, len(labels) + 1, dtype=torch.bool)
    for label in labels:
        if not any(schemes.allowed(label, after, scheme) for after in (*labels, None)):
            raise DataError(f"label {label!r} cannot be used in scheme {scheme}; labels: {', '.join(labels)}")
    edged = [*labels, None]
    return torch.tensor([[schemes.allowed(before, after, scheme) for after in edged] for before in edged])


def _coupling(permitted: Tensor) -> int | None:
    """The least number of steps, at least 2, that leads from every label to every label; None if there is none."""
    connected = step = permitted.double()
    for n in range(2, 2 * len(permitted) + 2):
        connected = (connected @ step).clamp_(max=1)
        if connected.all():
            return n
    return None


def _split(square: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The parts of `permitted` that belong to transitions, start and end."""
    return square[:-1, :-1], square[-1, :-1], square[:-1, -1]


def _range(values: Tensor, least: float) -> Tensor:
    """Largest minus smallest of the values above `least`."""
    return values.amax() - values.masked_fill(values < least, math.inf).amin()


def _at_least_float32(scores: Tensor) -> torch.dtype:
    return torch.promote_types(scores.dtype, torch.float32)
