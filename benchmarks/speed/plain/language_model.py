"""A stream language model."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.speed.contestant import Done, Given
from benchmarks.speed.plain.output import linear_cross_entropy

__all__ = ["CommonPractice", "TightLoop"]

RATE, CLIP_NORM = 1.0, 0.25  # as the recipe has them

State = tuple[Tensor, Tensor]


class CommonPractice:
    """In the way of PyTorch's example word_language_model: windows of one long text, time first, the loss from
    log-probabilities, gradients clipped, and the parameters moved by hand."""

    def __init__(self, folder: Path):
        given = Given(folder)
        hidden, layers, self.window = (given.sizes[name] for name in ("hidden", "layers", "window"))
        symbols = len(given.weights["output.weight"])
        self.embedding = nn.Embedding(symbols, hidden)
        self.lstm = nn.LSTM(hidden, hidden, layers)
        self.output = nn.Linear(hidden, symbols)
        modules: dict[str, nn.Module] = {"embedding": self.embedding, "reader": self.lstm, "output": self.output}
        self.parameters = given.load(modules)
        self.read, self.following = (
            torch.from_numpy(given.arrays[name]).t().contiguous() for name in ("read", "following")
        )

    def windows(self) -> Iterator[tuple[Tensor, Tensor, bool]]:
        """What is read, what follows, and whether it goes on from the window before."""
        while True:
            for start in range(0, len(self.read), self.window):
                part = slice(start, start + self.window)
                yield self.read[part], self.following[part], start > 0

    def loss(self, read: Tensor, targets: Tensor, state: State | None) -> tuple[Tensor, State]:
        outputs, state = self.lstm(self.embedding(read), state)
        log_probs = F.log_softmax(self.output(outputs).flatten(0, 1), dim=1)
        return F.nll_loss(log_probs, targets.flatten()), state

    def update(self) -> None:
        nn.utils.clip_grad_norm_(self.parameters, CLIP_NORM)
        for parameter in self.parameters:
            assert parameter.grad is not None
            parameter.data.add_(parameter.grad, alpha=-RATE)

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def steps(self) -> Generator[Done, None, None]:
        state = None
        for read, targets, continues in self.windows():
            state = (state[0].detach(), state[1].detach()) if state is not None and continues else None
            self.zero_grad()
            loss, state = self.loss(read, targets, state)
            loss.backward()
            self.update()
            yield Done(targets.numel(), loss.item())


class TightLoop(CommonPractice):
    """Output layer and cross-entropy in one, products through oneDNN, clipping and step in one pass."""

    def __init__(self, folder: Path):
        torch.set_float32_matmul_precision("medium")
        super().__init__(folder)

    def loss(self, read: Tensor, targets: Tensor, state: State | None) -> tuple[Tensor, State]:
        outputs, state = self.lstm(self.embedding(read), state)
        return linear_cross_entropy(outputs.flatten(0, 1), self.output, targets.flatten()), state

    def update(self) -> None:
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        scale = CLIP_NORM / max(CLIP_NORM, float(nn.utils.get_total_norm(gradients)))
        with torch.no_grad():
            torch._foreach_add_(self.parameters, gradients, alpha=-RATE * scale)
