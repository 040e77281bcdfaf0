"""Encoder-decoder with attention, trained on texts that are given."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from benchmarks.speed.contestant import Done, Given
from benchmarks.speed.plain.output import linear_cross_entropy

__all__ = ["CommonPractice", "Memory", "TightLoop"]

RATE, CLIP_NORM = 1e-3, 1.0  # as the recipe has them

Memory = tuple[Tensor, ...]  # what attention reads, (B, S, ...) each


class CommonPractice:
    """A packed encoder, and a decoder that goes from token to token, projecting the keys at every step; the loss
    ignores the padding."""

    def __init__(self, folder: Path):
        given = Given(folder)
        H = given.sizes["hidden"]
        self.batches = given.batches()
        self.texts, self.targets = ([torch.from_numpy(row) for row in given.rows(n)] for n in ("texts", "targets"))
        read, written = (len(given.weights[f"{name}.weight"]) for name in ("embedding", "written"))
        self.embedding, self.written = nn.Embedding(read, H, padding_idx=0), nn.Embedding(written, H, padding_idx=0)
        self.reader, self.reversed_reader, self.writer = nn.GRU(H, H), nn.GRU(H, H), nn.GRU(H, H)
        self.bridge, self.readout = nn.Linear(2 * H, H), nn.Linear(H, H)
        self.query, self.key = nn.Linear(H, H), nn.Linear(2 * H, H, bias=False)
        self.score, self.averaged = nn.Linear(H, 1, bias=False), nn.Linear(2 * H, H, bias=False)
        self.output = nn.Linear(H, written)
        modules = {name: module for name, module in vars(self).items() if isinstance(module, nn.Module)}
        self.parameters = given.load(modules)
        self.optimizer = torch.optim.Adam(self.parameters, RATE, fused=True)
        self.join()

    def join(self) -> None:
        """One bidirectional GRU of the two, which are only its parameters from here on."""
        self.both = nn.GRU(self.reader.input_size, self.reader.hidden_size, bidirectional=True)
        for suffix, one in (("", self.reader), ("_reverse", self.reversed_reader)):
            for name, parameter in one.named_parameters():
                setattr(self.both, name + suffix, parameter)

    def encode(self, texts: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs (S, B, 2 H), first state (B, H), mask (B, S)."""
        lengths = torch.tensor([len(text) for text in texts])
        packed = pack_padded_sequence(self.embedding(pad_sequence(texts)), lengths)
        outputs, last = self.both(packed)
        outputs, _ = pad_packed_sequence(outputs)
        mask = torch.arange(len(outputs)) < lengths[:, None]
        return outputs, torch.tanh(self.bridge(torch.cat(list(last), 1))), mask

    def loss(self, texts: list[Tensor], targets: list[Tensor]) -> Tensor:
        outputs, h, mask = self.encode(texts)
        memory = outputs.transpose(0, 1)
        target = pad_sequence(targets)
        scores = []
        for x in self.written(target[:-1]):
            h = self.writer(x[None], h[None])[0][0]
            attended = self.score(torch.tanh(self.query(h)[:, None] + self.key(memory)))[..., 0]
            weights = attended.masked_fill(~mask, -torch.inf).softmax(1)
            context = (weights[:, None] @ memory)[:, 0]
            scores.append(self.output(torch.tanh(self.readout(h) + self.averaged(context))))
        return F.cross_entropy(torch.stack(scores).flatten(0, 1), target[1:].flatten(), ignore_index=0)

    def update(self) -> None:
        nn.utils.clip_grad_norm_(self.parameters, CLIP_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def steps(self) -> Generator[Done, None, None]:
        for rows in self.batches:
            texts, targets = [self.texts[row] for row in rows], [self.targets[row] for row in rows]
            loss = self.loss(texts, targets)
            loss.backward()
            value = loss.item()
            del loss
            self.update()
            yield Done(sum(map(len, texts)), value)


class TightLoop(CommonPractice):
    """Padded, two one-way encoders, the second over the length-reversed copy; the decoder's recurrence in one call,
    then attention for all steps, keys and values projected once; the output layer on real positions, in one with the
    cross-entropy."""

    def __init__(self, folder: Path):
        torch.set_float32_matmul_precision("medium")
        super().__init__(folder)

    def join(self) -> None:
        """Two one-way GRUs they stay."""

    def encode(self, texts: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        lengths = torch.tensor([len(text) for text in texts])
        S, rows = int(lengths[0]), torch.arange(len(texts))  # the longest comes first
        t = torch.arange(S)[:, None]
        turned = torch.where(t < lengths, lengths - 1 - t, t)
        x = self.embedding(pad_sequence(texts))
        ahead, _ = self.reader(x)
        back, _ = self.reversed_reader(x[turned, rows])
        summary = torch.cat([ahead[lengths - 1, rows], back[lengths - 1, rows]], 1)
        outputs = torch.cat([ahead, back[turned, rows]], 2)
        return outputs, torch.tanh(self.bridge(summary)), (t < lengths).t()

    def remember(self, outputs: Tensor, mask: Tensor) -> Memory:
        """Keys and values, (B, S, H), and what is added to the scores."""
        memory = outputs.transpose(0, 1)
        blocked = torch.zeros(mask.shape).masked_fill_(~mask, -torch.inf)
        return self.key(memory), self.averaged(memory), blocked

    def attend(self, h: Tensor, memory: Memory) -> Tensor:
        """(B, Q, H) for states h (B, Q, H): what the output layer reads."""
        keys, values, blocked = memory
        hidden = torch.tanh_(self.query(h)[:, :, None] + keys[:, None])
        weights = ((hidden @ self.score.weight[0]) + blocked[:, None]).softmax(2)
        return torch.tanh(self.readout(h) + weights @ values)

    def loss(self, texts: list[Tensor], targets: list[Tensor]) -> Tensor:
        outputs, first, mask = self.encode(texts)
        target = pad_sequence(targets)
        h, _ = self.writer(self.written(target[:-1]), first[None])
        read = self.attend(h.transpose(0, 1), self.remember(outputs, mask))
        following = target[1:].t()
        real = following != 0
        return linear_cross_entropy(read[real], self.output, following[real])

    def update(self) -> None:
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = float(nn.utils.get_total_norm(gradients))
        if norm > CLIP_NORM:
            torch._foreach_mul_(gradients, CLIP_NORM / norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
