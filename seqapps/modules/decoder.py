"""The recurrent decoder: any cell writes a text, token by token, with or without attention to what was encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from seqapps.cells import Cell, Lengths, State, unroll
from seqapps.cells.regularizers import Regularizers, check_regularizers
from seqapps.data.vocabulary import UNK, Vocabulary
from seqapps.errors import ShapeError
from seqapps.modules import words
from seqapps.modules.attention import Attended, Attention, AttentionKind, Memory
from seqapps.modules.bridge import Bridge, BridgeKind
from seqapps.modules.decoding import Decoded
from seqapps.modules.dropout import Dropout, check_probabilities
from seqapps.modules.embedders import shared_table
from seqapps.modules.encoded import Encoded
from seqapps.modules.output import CrossEntropy
from seqapps.modules.pointer import Pointer, Pointing
from seqapps.modules.scheduled_sampling import ScheduledSampling
from seqapps.modules.search import Step
from seqapps.modules.search.trees import select
from seqapps.recipe.spec import Spec

__all__ = ["DecoderMemory", "DecoderState", "RecurrentDecoder"]


class DecoderState(NamedTuple):
    """What is carried from step to step, N rows.

    Attributes:
        cells: the state of each layer.
        fed: (N, F), the output of the step before, with input feeding; else None.
        covered: (N, S), the weights of the steps before, summed, with coverage; else None.
    """

    cells: tuple[State, ...]
    fed: Tensor | None
    covered: Tensor | None


class DecoderMemory(NamedTuple):
    """What does not change from step to step, B rows.

    Attributes:
        attended: what is attended to; with a pointer, w_c m_i is a last feature of what is averaged.
        source: (B, S) int64, the source that words are taken from, with a pointer.
        unknown: (B, J) bool, of which only J matters: how many numbers there are beyond the vocabulary.
    """

    attended: Memory
    source: Tensor | None = None
    unknown: Tensor | None = None


class RecurrentDecoder(nn.Module):
    """A stack of recurrent layers that reads the token written last, attends, and says which comes next.

        h_t = cells([E y_{t-1}; o_{t-1}], h_{t-1})       o_{t-1} with input feeding only
        a_t, c_t = attention(h_t, outputs of the encoder)
        o_t = tanh(W_c c_t + W_h h_t + b)                h_t itself without attention
        p(y_t) = softmax(W_o o_t + b_o)          = P(y_t), which is mixed with a_t with a pointer

    Attention comes after the recurrence, as in Luong, Pham and Manning 2015 (arXiv 1508.04025, equations 5 and 6 and
    section 3.3), for additive scores, too: there Bahdanau, Cho and Bengio attend with h_{t-1}, and feed c_t to the
    recurrence. So without input feeding the recurrence over a text that is given is one `unroll`, and attention follows
    for all steps at once.

    Deviations: W_c is multiplied with what is averaged instead of with the average, once for a sequence.

    `dropout` acts on what enters every layer, o_{t-1} included, and on what enters the output layer.

    Fields:
        cell: any cell.
        hidden_size: H, features of a state.
        num_layers: depth.
        embedding_size: features of a token's row of E; rows start uniform in ±sqrt(3 / embedding_size).
        attention: none, additive, dot, general or scaled; see `seqapps.modules.attention`.
        attention_size: features of the hidden layer of additive, and of scaled attention's queries and keys; none =
            hidden_size.
        input_feeding: whether a step reads the output of the one before.
        coverage: whether additive attention sees which positions got how much before.
        coverage_loss: weight of sum_t sum_i min(a_ti, sum_{t' < t} a_t'i) in the objective (See, Liu and Manning 2017,
            arXiv 1704.04368, equation 12).
        pointer: whether a word may be taken from the source, as attention points at it, so that words which the
            vocabulary lacks can be learnt and written (See, Liu and Manning 2017, equations 8 and 9; see
            `seqapps.modules.pointer`): p(y) = p_gen P(y) + (1 - p_gen) sum over i with x_i = y of a_ti. It is part of
            the model, where the head's `unknown: copy` replaces words after the search. Label smoothing acts on P. Such
            a word is read as `<unk>`.
        bridge: where the first state comes from: summary, final or zero; see `seqapps.modules.bridge`.
        shared_embedding: whether E is the table that the embedder looks the source up in; for that the head's
            `shared_vocabulary` makes one vocabulary of both sides. With `tied` all three matrices are one (Press and
            Wolf 2016, section 2).
        tied: whether W_o is E (Press and Wolf 2016, arXiv 1608.05859); o_t then has embedding_size features, else
            hidden_size; without attention it is h_t, or tanh(W_h h_t + b) where that has another size.
        dropout: probability of dropping.
        locked_dropout: one dropout mask per sequence instead of a fresh one every step (Gal and Ghahramani 2016).
        recurrent_dropout: probability of dropping a unit of the old state from the recurrent products, for a whole
            sequence.
        weight_drop: probability of dropping an element of the recurrent matrices, for a whole batch.
        zoneout: probability of a unit of a state keeping its old value at a step.
        scheduled_sampling: how often the model reads its own words in training; none = never.
    """

    symbolic = ("embedding.weight", "output.weight", "output.bias")
    starts_anew = ("batches",)
    cells: Any  # nn.ModuleList of cells, from the input to the output
    kernels: str
    batches: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        embedder: nn.Module,
        vocabulary: Vocabulary,
        /,
        *,
        cell: Annotated[Spec, "cells"] = Spec("cells", "gru"),  # noqa: B008
        hidden_size: int = 256,
        num_layers: int = 1,
        embedding_size: int = 256,
        attention: Literal["none", AttentionKind] = "additive",
        attention_size: int | None = None,
        input_feeding: bool = False,
        coverage: bool = False,
        coverage_loss: float = 0.0,
        pointer: bool = False,
        bridge: BridgeKind = "summary",
        shared_embedding: bool = False,
        tied: bool = False,
        dropout: float = 0.0,
        locked_dropout: bool = False,
        recurrent_dropout: float = 0.0,
        weight_drop: float = 0.0,
        zoneout: float = 0.0,
        scheduled_sampling: ScheduledSampling | None = None,
    ):
        super().__init__()
        source_size: int = encoder.output_size  # type: ignore[assignment]
        self.input_feeding, self.coverage, self.coverage_loss = input_feeding, coverage, coverage_loss
        self.stepped = input_feeding or coverage  # can the recurrence over a given text not be one `unroll`?
        if not self.stepped:
            self.kernels = "auto"
        self.dropout = Dropout(dropout, locked=locked_dropout)
        self.scheduled_sampling = scheduled_sampling
        if scheduled_sampling is not None:
            self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

        if shared_embedding:
            self.embedding = shared_table(embedder, vocabulary, embedding_size)
        else:
            self.embedding = nn.Embedding(len(vocabulary), embedding_size, padding_idx=0)
            with torch.no_grad():
                self.embedding.weight.uniform_(-1, 1).mul_((3 / embedding_size) ** 0.5)[0] = 0
        self.output_size = embedding_size if tied else hidden_size
        self._stack(cell, embedding_size + (self.output_size if input_feeding else 0), hidden_size, num_layers)
        for made in self.cells:
            made.regularizers = Regularizers(recurrent_dropout, weight_drop, zoneout, zoneout if made.states > 1 else 0)
            check_regularizers(made)
        self.bridge, self.reads_final = Bridge(bridge, source_size, self.cells), bridge == "final"

        state_size = self.cells[-1].output_size
        self.attends = attention != "none"
        self.attention = self.averaged = self.readout = None
        if attention != "none":
            size = attention_size or hidden_size
            self.attention = Attention(attention, state_size, source_size, size, coverage=coverage)
            self.averaged = nn.Linear(source_size, self.output_size, bias=False)  # W_c
        self.points, self.unk = pointer, vocabulary[UNK]
        self.pointer = Pointer(source_size, state_size, embedding_size) if pointer else None
        if attention != "none" or state_size != self.output_size:
            self.readout = nn.Linear(state_size, self.output_size)  # W_h, b
        self.output = nn.Linear(self.output_size, len(vocabulary))  # W_o, b_o
        if tied:
            self.output.weight = self.embedding.weight

    def _stack(self, cell: Spec, input_size: int, hidden_size: int, num_layers: int) -> None:
        self.cells = nn.ModuleList()
        for _ in range(num_layers):
            self.cells.append(cell.build(input_size=input_size, hidden_size=hidden_size))
            input_size = self.cells[-1].output_size

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Sizes are at least 1, probabilities are such, every field has something to act on."""
        faults = [
            (name, f"{name} is {fields[name]}, expected 1 or more")
            for name in ("hidden_size", "num_layers", "embedding_size", "attention_size")
            if fields[name] is not None and fields[name] < 1
        ]
        kind = fields["attention"]
        if fields["attention_size"] is not None and kind not in ("additive", "scaled"):
            faults.append(("attention_size", f"attention {kind} has no size of its own; remove attention_size"))
        if fields["input_feeding"] and kind == "none":
            message = "input_feeding feeds what attention found, and attention is none; the recurrence knows the rest"
            faults.append(("input_feeding", message))
        if fields["coverage"] and kind != "additive":
            faults.append(("coverage", f"coverage is an input of additive attention, and attention is {kind}"))
        if fields["coverage_loss"] < 0:
            faults.append(("coverage_loss", f"coverage_loss is {fields['coverage_loss']}, expected 0 or more"))
        if fields["coverage_loss"] and not fields["coverage"]:
            faults.append(("coverage_loss", "coverage_loss has nothing to act on; set 'coverage: true'"))
        if fields["pointer"] and kind == "none":
            faults.append(("pointer", "a pointer goes by attention, and attention is none; set another"))
        if fields["bridge"] == "zero" and kind == "none":
            faults.append(("bridge", "with bridge zero and attention none the decoder knows nothing of the source"))
        return faults + check_probabilities(fields, "dropout", "recurrent_dropout", "weight_drop", "zoneout")

    def start(self, encoded: Encoded, source: Tensor | None = None) -> tuple[DecoderState, DecoderMemory | None]:
        """The state before the first token, and what is attended to; B rows each.

        Args:
            source: (B, S) int64, the source in the numbers of `seqapps.data.pointers.Pointers`; needed with a pointer.
        """
        B, S, _ = encoded.outputs.shape
        zeros = encoded.summary.new_zeros
        state = DecoderState(
            self.bridge(encoded, self.cells),
            zeros(B, self.output_size) if self.input_feeding else None,
            zeros(B, S) if self.coverage else None,
        )
        if self.attention is None or self.averaged is None:
            return state, None
        values = self.averaged(encoded.outputs)
        if self.pointer is None:
            return state, DecoderMemory(self.attention.remember(encoded.outputs, values, encoded.lengths))
        if source is None or source.shape != (B, S):
            found = "none" if source is None else tuple(source.shape)
            raise ShapeError(f"decoder: the pointer's source is {found}, expected ({B}, {S}), a token for each encoded")
        values = torch.cat([values, self.pointer.averaged(encoded.outputs)], -1)
        attended = self.attention.remember(encoded.outputs, values, encoded.lengths)
        unknown = max(0, int(source.max()) + 1 - self.output.out_features)
        return state, DecoderMemory(attended, source, source.new_zeros(B, unknown, dtype=torch.bool))

    def step(self, tokens: Tensor, state: DecoderState, memory: DecoderMemory | None) -> Step:
        """One step of a search: tokens (N,) int64 and state with N rows, memory with B; N = B x k."""
        cells = [cell.begin(len(tokens)) for cell in self.cells]
        output, state, weights = self._advance(cells, [], self._embedded(tokens), state, memory)
        unknown = memory.unknown.size(1) if memory is not None and memory.unknown is not None else 0
        p_gen = output.gate.sigmoid() if isinstance(output, Pointing) else None
        return Step(self.log_probs(output, unknown), state, weights, p_gen)

    def _embedded(self, tokens: Tensor) -> Tensor:
        """Rows of E; of words beyond the vocabulary that of `<unk>`."""
        if self.points:
            tokens = tokens.where(tokens < self.output.out_features, self.unk)
        return self.embedding(tokens)

    def logits(self, outputs: Tensor) -> Tensor:
        """(..., F) -> (..., V)."""
        return self.output(outputs)

    def log_probs(self, outputs: Tensor | Pointing, unknown: int = 0) -> Tensor:
        """Log-probabilities (N, V) of N outputs; (N, V + unknown) where they point."""
        return words.log_probs(self.output, outputs, unknown)

    def cross_entropy(self, outputs: Tensor | Pointing, targets: Tensor, label_smoothing: float = 0.0) -> CrossEntropy:
        """Of N outputs with targets (N,) int64, summed; see `linear_cross_entropy`."""
        return words.cross_entropy(self.output, outputs, targets, label_smoothing, unk=self.unk)

    def nll(self, outputs: Tensor | Pointing, targets: Tensor) -> Tensor:
        """Negative log-likelihood of each of N targets, (N,) float64."""
        return words.nll(self.output, outputs, targets, unk=self.unk)

    def forward(
        self, encoded: Encoded, inputs: Tensor, lengths: Tensor | Lengths, source: Tensor | None = None
    ) -> Decoded:
        """Read given texts, `<bos>` first, as a search would read what it writes itself.

        Args:
            inputs: (B, T) int64.
            lengths: (B,) int64, 1 <= lengths[b] <= T.
            source: as of `start`.
        """
        lengths = Lengths.of(lengths, inputs.size(1), inputs.device)
        tokens = inputs.t().contiguous()  # (T, B)
        state, memory = self.start(encoded, source)
        own = self._own_words()
        if self.stepped or own:
            found = self._stepwise(tokens, state, memory, lengths, own)
        else:
            found = self._at_once(tokens, state, memory, lengths)
        if isinstance(found.outputs, Tensor):
            return found._replace(outputs=self.dropout(found.outputs).transpose(0, 1))
        dropped = found.outputs._replace(hidden=self.dropout(found.outputs.hidden))
        return found._replace(outputs=Pointing(*(tensor.transpose(0, 1) for tensor in dropped)))

    def _own_words(self) -> float:
        """How probable it is that a word is the model's own; counts the batches trained on."""
        if self.scheduled_sampling is None or not self.training:
            return 0.0
        own = 1 - self.scheduled_sampling.teacher(int(self.batches))
        self.batches += 1
        return own

    def _at_once(self, tokens: Tensor, state: DecoderState, memory: DecoderMemory | None, lengths: Lengths) -> Decoded:
        """With outputs (T, B, ...): the recurrence for all steps, then attention for all steps."""
        x = embedded = self.embedding(tokens)
        for cell, initial in zip(self.cells, state.cells, strict=True):
            x, _ = unroll(cell, self.dropout(x), initial, lengths, kernels=self.kernels, final=False)
        if memory is None or self.attention is None:
            return Decoded(self._read_out(x, None), None, None)
        found = self.attention(x.transpose(0, 1), memory.attended)
        by_time = Attended(*(tensor.transpose(0, 1) for tensor in found))
        source = None if memory.source is None else memory.source.expand(len(tokens), -1, -1)
        return Decoded(self._output(x, embedded, by_time, source), found.weights.detach(), None)

    def _stepwise(
        self, tokens: Tensor, state: DecoderState, memory: DecoderMemory | None, lengths: Lengths, own: float
    ) -> Decoded:
        """With outputs (T, B, ...), one step after the other; each word but the first is with probability `own` the
        model's own."""
        cells = [cell.begin(tokens.size(1)) for cell in self.cells]
        embedded = self.embedding(tokens)
        masks = []
        if self.training and self.dropout.p:
            masks = [self.dropout(embedded.new_ones(*tokens.shape, cell.input_size)) for cell in cells]
        outputs: list[Tensor | Pointing] = []
        seen, penalties = [], []
        for t, x in enumerate(embedded.unbind(0)):
            if own and t:
                x = self._with_own_words(x, outputs[-1], own)
            before = state.covered
            output, state, weights = self._advance(cells, [mask[t] for mask in masks], x, state, memory)
            outputs.append(output)
            if weights is not None:
                seen.append(weights.detach())
            if self.coverage_loss and before is not None and weights is not None:
                penalties.append(torch.minimum(weights, before).sum(-1) @ lengths.mask[t].to(weights.dtype))
        penalty = self.coverage_loss * torch.stack(penalties).sum() if penalties else None
        return Decoded(_stacked(outputs), torch.stack(seen, 1) if seen else None, penalty)

    def _with_own_words(self, x: Tensor, output: Tensor | Pointing, own: float) -> Tensor:
        """Embedded tokens x (B, E), of which some are replaced by draws from what the last output says."""
        rows = torch.nonzero(torch.rand(len(x), device=x.device) < own)[:, 0]
        with torch.no_grad():
            chosen = select(output, rows)
            if isinstance(chosen, Pointing):  # what is beyond the vocabulary is read as <unk> anyway
                known = chosen.source < self.output.out_features
                chosen = chosen._replace(source=chosen.source.where(known, self.unk))
            probabilities = self.log_probs(chosen).exp()
            drawn = torch.multinomial(probabilities, 1)[:, 0] if len(rows) else rows
        return x.index_copy(0, rows, self.embedding(drawn).to(x.dtype))

    def _advance(
        self, cells: list[Cell], masks: list[Tensor], x: Tensor, state: DecoderState, memory: DecoderMemory | None
    ) -> tuple[Tensor | Pointing, DecoderState, Tensor | None]:
        """Output (N, ...), state and attention weights (N, S) after reading embedded tokens x (N, E)."""
        embedded = x
        if state.fed is not None:
            x = torch.cat([x, state.fed], -1)
        after = []
        for number, (cell, before) in enumerate(zip(cells, state.cells, strict=True)):
            x, new = cell.step(cell.project(x * masks[number] if masks else x), before)
            after.append(new)
        if memory is None or self.attention is None:
            return self._read_out(x, None), DecoderState(tuple(after), None, None), None
        rows = (len(memory.attended.mask), -1)
        covered = None if state.covered is None else state.covered.unflatten(0, rows)
        found = self.attention(x.unflatten(0, rows), memory.attended, covered)
        attended = Attended(*(tensor.flatten(0, 1) for tensor in found))
        source = None if memory.source is None else memory.source.repeat_interleave(len(x) // rows[0], 0)
        output = self._output(x, embedded, attended, source)
        fed = None
        if self.input_feeding:
            fed = output if isinstance(output, Tensor) else output.hidden
        summed = None if state.covered is None else state.covered + attended.weights
        return output, DecoderState(tuple(after), fed, summed), attended.weights

    def _output(self, hidden: Tensor, embedded: Tensor, found: Attended, source: Tensor | None) -> Tensor | Pointing:
        """o, or with a pointer all that it takes, from h, x and what attention found, (..., features) each."""
        if self.pointer is None or source is None:
            return self._read_out(hidden, found.context)
        gate = self.pointer(found.context[..., -1:], hidden, embedded)
        return Pointing(self._read_out(hidden, found.context[..., :-1]), gate, found.scores, source)

    def _read_out(self, hidden: Tensor, context: Tensor | None) -> Tensor:
        """o from h and W_c c, both (..., features)."""
        if self.readout is None:
            return hidden
        read = self.readout(hidden)
        return torch.tanh(read if context is None else read + context)


def _stacked(outputs: Sequence[Tensor | Pointing]) -> Tensor | Pointing:
    """Outputs of steps, one after the other."""
    if isinstance(outputs[0], Tensor):
        return torch.stack(outputs)  # type: ignore[arg-type]  # they are all of one kind
    return Pointing(*(torch.stack(tensors) for tensors in zip(*outputs, strict=True)))
