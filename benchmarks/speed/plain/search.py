"""The translation model searched greedily, or with a beam; hypotheses are ranked by their log-probability."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.speed.contestant import Done, Given
from benchmarks.speed.plain import translation
from benchmarks.speed.plain.translation import Memory

__all__ = ["CommonPractice", "TightLoop"]

BOS, EOS, LIMIT = 2, 3, 50
CLOSED = [0, 2]  # padding and the beginning are never written


class CommonPractice(translation.CommonPractice):
    """Every sentence of a batch is searched until all have ended; keys are projected at every step."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.beam = Given(folder).sizes["beam"]

    def steps(self) -> Generator[Done, None, None]:
        with torch.inference_mode():
            for rows in self.batches:
                found = self.search([self.texts[row] for row in rows])
                yield Done(len(found), sum(found) / len(found))

    def log_probs(self, tokens: Tensor, h: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Those of the next token (N, V), and the next state, for N = B x k hypotheses."""
        h = self.writer(self.written(tokens)[None], h[None])[0][0]
        attended = self.score(torch.tanh(self.query(h)[:, None] + self.key(memory)))[..., 0]
        weights = attended.masked_fill(~mask, -torch.inf).softmax(1)
        context = (weights[:, None] @ memory)[:, 0]
        found = self.output(torch.tanh(self.readout(h) + self.averaged(context))).log_softmax(1)
        found[:, CLOSED] = -torch.inf
        return found, h

    def search(self, texts: list[Tensor]) -> list[float]:
        """The log-probability of what is written for each text."""
        outputs, h, mask = self.encode(texts)
        B, k = len(texts), self.beam
        memory = outputs.transpose(0, 1).repeat_interleave(k, 0)
        h, mask = h.repeat_interleave(k, 0), mask.repeat_interleave(k, 0)
        scores = torch.full((B, k), -torch.inf)
        scores[:, 0] = 0
        best, tokens = torch.full((B,), -torch.inf), torch.full((B * k,), BOS)
        for step in range(1, LIMIT + 1):
            found, h = self.log_probs(tokens, h, memory, mask)
            V = found.size(1)
            candidates = (scores[..., None] + found.view(B, k, V)).flatten(1)
            scores, tokens, parents, best = _extended(*candidates.topk(2 * k), V, k, best, step)
            h = h[(torch.arange(B)[:, None] * k + parents).flatten()]
            tokens = tokens.flatten()
            if bool((best >= scores[:, 0]).all()):
                break
        return best.tolist()


def _extended(
    values: Tensor, places: Tensor, V: int, k: int, best: Tensor, step: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Open hypotheses (B, k): scores, last tokens, parents; and the score of the best that has ended, (B,).

    Of the best 2 k extensions those among the best k that end are finished, and the best k that do not end stay open.
    """
    parents, tokens = places // V, places % V
    ends = tokens == EOS
    finished = values[:, :k]
    if step < LIMIT:
        finished = finished.masked_fill(~ends[:, :k], -torch.inf)
    best = torch.maximum(best, finished.amax(1))
    stay = ends.to(torch.uint8).sort(dim=1, stable=True).indices[:, :k]
    return values.gather(1, stay), tokens.gather(1, stay), parents.gather(1, stay), best


class TightLoop(translation.TightLoop):
    """Keys and values projected once, scores normalised only where they are looked at, sentences left out once done."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.beam = Given(folder).sizes["beam"]
        self.cell = list(self.writer.parameters())

    def steps(self) -> Generator[Done, None, None]:
        with torch.inference_mode():
            for rows in self.batches:
                found = self.search([self.texts[row] for row in rows])
                yield Done(len(found), sum(found) / len(found))

    def search(self, texts: list[Tensor]) -> Sequence[float]:
        """The log-probability of what is written for each text."""
        outputs, h, mask = self.encode(texts)
        memory, B, k = self.remember(outputs, mask), len(texts), self.beam
        h = h.repeat_interleave(k, 0)
        scores = torch.full((B, k), -torch.inf)
        scores[:, 0] = 0
        result, best = torch.empty(B), torch.full((B,), -torch.inf)
        tokens, sentences = torch.full((B * k,), BOS), torch.arange(B)
        for step in range(1, LIMIT + 1):
            h = torch.gru_cell(self.written(tokens), h, *self.cell)
            values, places, V = self._best(h, scores, memory)
            scores, chosen, parents, best = _extended(values, places, V, k, best, step)
            done = best >= scores[:, 0]
            keep = torch.arange(len(done))
            if step == LIMIT or int(done.sum()) * 8 >= len(done):
                result[sentences] = best
                keep = (~done).nonzero()[:, 0]
                if step == LIMIT or not len(keep):
                    break
                sentences, scores, best = sentences[keep], scores[keep], best[keep]
                memory = tuple(part[keep] for part in memory)
            tokens = chosen[keep].flatten()
            h = h[(keep[:, None] * k + parents[keep]).flatten()]
        found: list[float] = result.tolist()
        return found

    def _best(self, h: Tensor, scores: Tensor, memory: Memory) -> tuple[Tensor, Tensor, int]:
        """The best 2 k extensions (B, 2 k) of each sentence: values and places among k x V."""
        B, k = scores.shape
        logits = self.output(self.attend(h.view(B, k, -1), memory))
        normalizer = logits.logsumexp(2, keepdim=True)
        logits[..., CLOSED] = -torch.inf
        values, tokens = logits.topk(2 * k, 2)
        values = (values - normalizer + scores[..., None]).flatten(1)
        values, order = values.topk(2 * k, 1)
        V = logits.size(2)
        return values, order // (2 * k) * V + tokens.flatten(1).gather(1, order), V
