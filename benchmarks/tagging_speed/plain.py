"""Plain PyTorch: what is commonly written, and the tightest loop that we know how to write. No seqapps in it."""

from __future__ import annotations

from collections.abc import Generator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from benchmarks.tagging_speed.task import PAD, Batches, Corpus, Done, Options, Pools, Weights, endless

__all__ = ["CommonPractice", "TightLoop"]


class CommonPractice:
    """A padded batch, packed for `nn.LSTM`; length pools, fused Adam, cross-entropy that ignores the padding."""

    def __init__(self, corpus: Corpus, options: Options):
        torch.manual_seed(options.seed)
        self.options = options
        self.batches: Batches = Pools(corpus.lengths, options)
        spans = list(pairwise(corpus.offsets.tolist()))
        self.words = [torch.from_numpy(corpus.words[start:end]) for start, end in spans]
        self.labels = [torch.from_numpy(corpus.labels[start:end]) for start, end in spans]
        self.model = nn.ModuleDict(
            {
                "embedding": nn.Embedding(corpus.num_words, options.embedding, padding_idx=PAD),
                "lstm": nn.LSTM(
                    options.embedding,
                    options.hidden,
                    options.layers,
                    batch_first=True,
                    bidirectional=True,
                    dropout=options.dropout if options.layers > 1 else 0.0,
                ),
                "output": nn.Linear(2 * options.hidden, corpus.num_labels),
            }
        )
        self.optimizer = torch.optim.Adam(self.model.parameters(), options.lr, fused=True)

    def weights(self) -> Weights:
        return dict(self.model.named_parameters())

    def steps(self) -> Generator[Done, None, None]:
        model, dropout = self.model, self.options.dropout
        for rows in endless(self.batches):
            words, labels = [self.words[i] for i in rows], [self.labels[i] for i in rows]
            lengths = torch.tensor([len(sentence) for sentence in words])
            x = F.dropout(model["embedding"](pad_sequence(words, batch_first=True, padding_value=PAD)), dropout)
            outputs, _ = model["lstm"](pack_padded_sequence(x, lengths, batch_first=True))
            outputs, _ = pad_packed_sequence(outputs, batch_first=True)
            scores = model["output"](F.dropout(outputs, dropout))
            targets = pad_sequence(labels, batch_first=True, padding_value=-1)
            loss = F.cross_entropy(scores.flatten(0, 1), targets.flatten(), ignore_index=-1)
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), self.options.clip_norm)
            self.optimizer.step()
            yield Done(int(lengths.sum()), loss.item())


class _Rows(torch.autograd.Function):
    """`x[rows]` for rows that all differ: its gradient is a copy, where that of `index_select` would have to add."""

    @staticmethod
    def forward(ctx, x: Tensor, rows: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.rows, ctx.count = rows, len(x)
        return x.index_select(0, rows)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        filled = gradient.new_empty if len(gradient) == ctx.count else gradient.new_zeros
        return filled(ctx.count, gradient.size(1)).index_copy_(0, ctx.rows, gradient), None


class _Padded(NamedTuple):
    """A batch, time first, its T x B positions as rows.

    `reversal` turns every sentence round; `real` and `mirrored` are the rows of the real positions as they stand and in
    the reversed copy; `labels` are those of `real`.
    """

    shape: tuple[int, int]
    words: Tensor
    reversal: Tensor
    real: Tensor
    mirrored: Tensor
    labels: Tensor


class TightLoop:
    """Padded, never packed: per layer two one-way LSTMs, the second over the length-reversed copy.

    Sentences are turned round with index tensors made once per batch; the last layer's outputs are picked at the real
    positions, straight from both directions; products go through oneDNN; a gradient is scaled only if it is clipped.
    """

    def __init__(self, corpus: Corpus, options: Options):
        torch.manual_seed(options.seed)
        torch.set_float32_matmul_precision("medium")
        self.options, self.offsets, self.lengths = options, corpus.offsets, corpus.lengths
        self.batches: Batches = Pools(corpus.lengths, options)
        self.words, self.labels = (np.append(numbers, PAD) for numbers in (corpus.words, corpus.labels))
        self.embedding = nn.Embedding(corpus.num_words, options.embedding)
        sizes = [options.embedding] + [2 * options.hidden] * (options.layers - 1)
        self.lstms = [[nn.LSTM(size, options.hidden) for _ in range(2)] for size in sizes]
        self.output = nn.Linear(2 * options.hidden, corpus.num_labels)
        with torch.no_grad():
            self.embedding.weight[PAD] = 0  # padding is never seen by a real position: the row keeps its zeros
        self.parameters = list(self.weights().values())
        self.optimizer = torch.optim.Adam(self.parameters, options.lr, fused=True)

    def weights(self) -> Weights:
        named = {"embedding.weight": self.embedding.weight}
        for layer, pair in enumerate(self.lstms):
            for lstm, suffix in zip(pair, ("", "_reverse"), strict=True):
                for name, parameter in lstm.named_parameters():
                    named[f"lstm.{name.replace('_l0', f'_l{layer}')}{suffix}"] = parameter
        return named | {f"output.{name}": parameter for name, parameter in self.output.named_parameters()}

    def collate(self, rows: np.ndarray) -> _Padded:
        lengths = self.lengths[rows]
        T, B = int(lengths[0]), len(rows)  # the longest comes first
        t, b = np.arange(T)[:, None], np.arange(B)
        mask = t < lengths
        real = np.flatnonzero(mask)
        positions = np.where(mask, self.offsets[rows] + t, -1).ravel()
        reversal = np.where(mask, lengths - 1 - t, t) * B + b
        reversal = reversal.ravel()
        arrays = self.words[positions], reversal, real, reversal[real], self.labels[positions[real]]
        return _Padded((T, B), *map(torch.from_numpy, arrays))

    def loss(self, batch: _Padded) -> Tensor:
        dropout, top = self.options.dropout, self.lstms[-1]
        x = F.dropout(self.embedding(batch.words), dropout)
        for pair in self.lstms:
            forward, backward = pair
            ahead = forward(x.view(*batch.shape, -1))[0].flatten(0, 1)
            back = backward(_Rows.apply(x, batch.reversal).view(*batch.shape, -1))[0].flatten(0, 1)
            if pair is top:
                ahead, back = _Rows.apply(ahead, batch.real), _Rows.apply(back, batch.mirrored)
            else:
                back = _Rows.apply(back, batch.reversal)
            x = F.dropout(torch.cat([ahead, back], 1), dropout)
        return F.cross_entropy(self.output(x), batch.labels)

    def update(self) -> None:
        """Clip and step. Leaves no reference to a gradient behind, so that the next ones take over their memory."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if norm > self.options.clip_norm:
            torch._foreach_mul_(gradients, self.options.clip_norm / norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def steps(self) -> Generator[Done, None, None]:
        for rows in endless(self.batches):
            batch = self.collate(rows)
            loss = self.loss(batch)
            loss.backward()
            value = loss.item()
            del loss
            self.update()
            yield Done(len(batch.labels), value)
