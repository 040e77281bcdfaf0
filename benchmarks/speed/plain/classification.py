"""A label for a long text: the last state of a one-way LSTM."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

from benchmarks.speed.contestant import Done, Given

__all__ = ["CommonPractice", "TightLoop"]

RATE, CLIP_NORM = 1e-3, 5.0  # as the recipe has them


class CommonPractice:
    """Padded and packed, length pools, fused Adam."""

    def __init__(self, folder: Path):
        given = Given(folder)
        self.batches = given.batches()
        self.texts = [torch.from_numpy(text) for text in given.rows("texts")]
        self.labels = torch.from_numpy(given.arrays["labels"])
        symbols, size = given.weights["embedding.weight"].shape
        self.embedding = nn.Embedding(symbols, size, padding_idx=0)
        self.lstm = nn.LSTM(size, given.sizes["hidden"])
        self.output = nn.Linear(given.sizes["hidden"], len(given.weights["output.bias"]))
        modules: dict[str, nn.Module] = {"embedding": self.embedding, "reader": self.lstm, "output": self.output}
        self.parameters = given.load(modules)
        self.optimizer = torch.optim.Adam(self.parameters, RATE, fused=True)

    def last(self, texts: list[Tensor], lengths: Tensor) -> Tensor:
        """(B, H): the state after each text's last token."""
        x = self.embedding(pad_sequence(texts))
        _, (h, _) = self.lstm(pack_padded_sequence(x, lengths))
        return h[0]

    def update(self) -> None:
        nn.utils.clip_grad_norm_(self.parameters, CLIP_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def steps(self) -> Generator[Done, None, None]:
        for rows in self.batches:
            texts = [self.texts[row] for row in rows]
            lengths = torch.tensor([len(text) for text in texts])
            loss = F.cross_entropy(self.output(self.last(texts, lengths)), self.labels[rows])
            loss.backward()
            value = loss.item()
            del loss
            self.update()
            yield Done(int(lengths.sum()), value)


class TightLoop(CommonPractice):
    """Padded, never packed: the last state is an output. Products through oneDNN, gradients scaled only if clipped."""

    def __init__(self, folder: Path):
        torch.set_float32_matmul_precision("medium")
        super().__init__(folder)

    def last(self, texts: list[Tensor], lengths: Tensor) -> Tensor:
        outputs, _ = self.lstm(self.embedding(pad_sequence(texts)))
        return outputs[lengths - 1, torch.arange(len(lengths))]

    def update(self) -> None:
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = float(nn.utils.get_total_norm(gradients))
        if norm > CLIP_NORM:
            torch._foreach_mul_(gradients, CLIP_NORM / norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
