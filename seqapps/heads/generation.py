"""What heads that write a text have in common, whatever they write it for."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqapps.cells import Lengths
from seqapps.data.batch import Batch
from seqapps.data.demands import Demand
from seqapps.data.indexed import IndexedSplit
from seqapps.data.requests import Request, source_of
from seqapps.data.tokenizers.columns import ColumnTokenizers
from seqapps.data.vocabulary import BOS, EOS, PAD, UNK, Vocabulary
from seqapps.errors import UseError
from seqapps.heads.head import Head, Loss, View
from seqapps.heads.predictions import Alternative, WrittenText
from seqapps.modules.encoded import Encoded
from seqapps.modules.search import Ensemble, Hypothesis, SearchOptions, search
from seqapps.recipe.spec import Spec

__all__ = ["GeneratingHead", "Written", "check_generation", "points", "read_columns", "target_request"]

_EXTRA = 10  # tokens that may be written beside `max_length_ratio` times those read


class Written(NamedTuple):
    """What was written for one example.

    Attributes:
        tokens: without the end mark.
        log_prob: natural logarithm of its probability, end mark included; None if no model wrote it.
        ended: did the end mark come, or was the text cut?
        others: further texts that were asked for, the best first: tokens and log-probability.
        attention: (tokens + 1 if ended, S), for each token and the end mark the weights over what was read; or None.
        nll: of the text that should have been written, in nats, where that is known.
        count: its tokens, end mark included.
        p_gen: (tokens + 1 if ended,), of the step that wrote each, for a decoder with a pointer: how probable it was,
            before the token was chosen, that it would be generated and not taken from the source.
    """

    tokens: list[str]
    log_prob: float | None = None
    ended: bool = True
    others: Sequence[tuple[list[str], float]] = ()
    attention: NDArray[np.float32] | None = None
    nll: float | None = None
    count: int | None = None  # type: ignore[assignment]  # the field's word; hides tuple.count
    p_gen: NDArray[np.float32] | None = None


class GeneratingHead(Head):
    """A decoder that writes a text, token by token, for what the encoder made of the input.

    Training minimises the cross-entropy of every token and of the end mark, given the right tokens before (teacher
    forcing), with label smoothing, plus what the decoder adds. Prediction searches. `<pad>` and `<bos>` are never
    written, `<unk>` only if it is not avoided.

    A head for a task says what it is that is read (`read`) and how it is measured.
    """

    written_as: ClassVar[str | None] = None  # what an answer calls the text; None = as its column

    def __init__(
        self,
        encoder: nn.Module,
        embedder: nn.Module,
        vocabularies: Mapping[str, Vocabulary],
        tokenizers: ColumnTokenizers,
        *,
        column: str,
        decoder: Spec,
        search: SearchOptions,
        max_length_ratio: float | None,
        label_smoothing: float,
        avoid_unknown: bool,
    ):
        super().__init__()
        self.column, self.vocabulary, self.tokenizer = column, vocabularies[column], tokenizers[column]
        self.decoder: Any = decoder.build(  # a seqapps.modules.decoding.Decoder
            encoder=encoder, embedder=embedder, vocabulary=self.vocabulary
        )
        self.label_smoothing, self.search, self.max_length_ratio = label_smoothing, search, max_length_ratio
        self.quick = False
        closed = (PAD, BOS, UNK) if avoid_unknown else (PAD, BOS)
        self.closed = [(self.vocabulary[symbol],) for symbol in closed]
        self.reads_final = self.decoder.reads_final  # type: ignore[misc]  # the bridge may
        self.symbol_dimensions = {f"decoder.{name}": (column,) for name in self.decoder.symbolic}

    @contextmanager
    def quickly(self) -> Iterator[None]:
        """Within it texts are searched greedily."""
        before, self.quick = self.quick, True
        try:
            yield
        finally:
            self.quick = before

    def loss(self, encoded: Encoded, batch: Batch) -> Loss:
        outputs, targets, penalty = self._forced(encoded, batch)
        total, nll = self.decoder.cross_entropy(outputs, targets, self.label_smoothing)
        return Loss(total if penalty is None else total + penalty, nll, len(targets), "token")

    def loss_at(self, encoded: Encoded, batch: Batch, positions: Tensor) -> Tensor:
        """The whole loss: positions of the source say nothing of those of the text that is written."""
        return self.loss(encoded, batch).total

    def _forced(self, encoded: Encoded, batch: Batch) -> tuple[Any, Tensor, Tensor | None]:
        """Outputs and targets (N,) at all N real positions, time by time, and the decoder's penalty."""
        field = batch.fields[self.column]
        assert field.following is not None, "a text to be written has a frame"
        lengths = Lengths(field.lengths, field.values.size(1), field.values.device)
        decoded = self.decoder(encoded, field.values, lengths, *self._source(batch))
        outputs = decoded.outputs
        if isinstance(outputs, Tensor):
            outputs = _real(outputs, lengths)
        else:
            outputs = type(outputs)(*(_real(tensor, lengths) for tensor in outputs))
        return outputs, _real(field.following, lengths), decoded.penalty

    def _source(self, batch: Batch) -> tuple[Tensor, ...]:
        """What a decoder that points is given beside what was encoded."""
        return (batch.fields[source_of(self.column)].values,) if self.decoder.points else ()

    def predict(self, encoded: Encoded, batch: Batch) -> list[Written]:
        return self.predict_together([View(self, encoded, batch)])

    def differs(self, other: Head) -> str | None:
        assert isinstance(other, GeneratingHead)
        if other.decoder.points or self.decoder.points:
            return "a decoder with a pointer writes words of its own source, which the mean of several cannot do"
        if other.column != self.column:
            return f"it writes the column {other.column!r}, the other run {self.column!r}"
        if other.tokenizer.to_json() != self.tokenizer.to_json() or type(other.tokenizer) is not type(self.tokenizer):
            return "the tokenizers of what is written differ"
        one, two = self.vocabulary.symbols, other.vocabulary.symbols
        if one == two:
            return None
        odd = sorted({*one} ^ {*two})
        where = f"{odd[0]!r} is in one only" if odd else "the same in another order"
        return f"the vocabularies of what is written differ, {len(one)} and {len(two)} symbols, {where}"

    def predict_together(self, views: Sequence[View]) -> list[Written]:
        """By the mean of probabilities at each step; the first model's attention counts, and its limits."""
        _, encoded, batch = views[0]
        found, known = self._search(views), _known(views)
        sizes, strangers = encoded.lengths.values.tolist(), self._strangers(batch)
        return [self._written(*of_one) for of_one in zip(found, sizes, strangers, known, strict=True)]

    def _strangers(self, batch: Batch) -> Sequence[tuple[str, ...]]:
        """For each example the tokens that have numbers beyond the vocabulary."""
        found = batch.fields[source_of(self.column)].unknown if self.decoder.points else None
        return [()] * len(batch) if found is None else found

    def _search(self, views: Sequence[View]) -> list[list[Hypothesis]]:
        (_, encoded, batch), options = views[0], self.search
        if self.quick and options.method != "greedy":
            options = SearchOptions(
                method="greedy",
                min_length=options.min_length,
                max_length=options.max_length,
                no_repeat=options.no_repeat,
            )
        demands = batch.demands or [Demand()] * len(batch)
        starts = [head.decoder.start(own, *head._source(its_batch)) for head, own, its_batch in views]
        generator, (state, memory) = self.decoder, starts[0]
        if len(views) > 1:
            generator = Ensemble([view.head.decoder for view in views], attention="first")
            state, memory = zip(*starts, strict=True)
        found = search(
            generator,
            state,
            memory,
            torch.full((len(batch),), self.vocabulary[BOS], device=encoded.outputs.device),
            options,
            eos=self.vocabulary[EOS],
            banned=self.closed,
            source_mask=encoded.lengths.mask.t(),
            seeds=batch.examples.tolist() if options.method == "sampling" else None,
            limits=self._limits(encoded, demands),
            prefixes=[demand.prefix for demand in demands],
            required=[demand.required for demand in demands],
            excluded=[demand.excluded for demand in demands],
            attention=self.decoder.attends and not self.quick,
        )
        if not all(found):
            raise UseError(
                f"head {self.task!r}: search: min_length and no_repeat leave nothing to be written; lower one, or ban "
                "fewer phrases"
            )
        return found

    def _limits(self, encoded: Encoded, demands: Sequence[Demand]) -> list[int] | None:
        """Tokens that may be written for each example: in proportion to those read, and what is asked."""
        ratio = self.max_length_ratio
        if ratio is None:
            return None
        lengths = encoded.lengths.values.tolist()
        return [max(int(ratio * n) + _EXTRA, one.length) for n, one in zip(lengths, demands, strict=True)]

    def token_nll(self, encoded: Encoded, batch: Batch) -> Tensor:
        """Negative log-likelihood of each token that should have been written, (N,) float64, time by time."""
        outputs, targets, _ = self._forced(encoded, batch)
        return self.decoder.nll(outputs, targets)

    def _written(
        self,
        hypotheses: Sequence[Hypothesis],
        size: int,
        strangers: Sequence[str],
        known: tuple[float | None, int | None],
    ) -> Written:
        best, *others = hypotheses
        weights = None if best.attention is None else best.attention[:, :size].float().cpu().numpy()
        p_gen = None if best.p_gen is None else best.p_gen.float().cpu().numpy()
        further = [(self._symbols(other, strangers), other.log_prob) for other in others]
        return Written(self._symbols(best, strangers), best.log_prob, best.ended, further, weights, *known, p_gen)

    def _symbols(self, hypothesis: Hypothesis, strangers: Sequence[str]) -> list[str]:
        symbols, V = self.vocabulary.symbols, len(self.vocabulary)
        return [symbols[token] if token < V else strangers[token - V] for token in hypothesis.tokens]

    def shown(self, found: Written, source: Sequence[str]) -> list[str]:
        """The tokens as a reader gets them."""
        return found.tokens

    def text(self, tokens: Sequence[str]) -> str:
        """What these tokens are as a text."""
        return self.tokenizer.detokenize(tokens)

    @abc.abstractmethod
    def read(self, split: IndexedSplit, row: int) -> dict[str, Any]:
        """What a row of `predictions.jsonl` says of the input: a name and a value."""

    def references(self, split: IndexedSplit, row: int) -> tuple[list[str], list[list[str]]]:
        """The texts that might have been written for a row, as texts and in tokens."""
        return split.references(self.column, row)

    def answer(self, tokens: list[str], found: Written, original: Any) -> WrittenText:
        written = self.shown(found, tokens)
        others = [Alternative(self.text(other), other, log_prob) for other, log_prob in found.others]
        attention = None if found.attention is None else found.attention.tolist()
        p_gen = None if found.p_gen is None else found.p_gen.tolist()
        log_prob, name = found.log_prob, self.written_as or self.column
        assert log_prob is not None, "a model wrote it"
        return WrittenText(tokens, original, name, self.text(written), written, log_prob, others, attention, p_gen)

    def record(self, split: IndexedSplit, row: int, prediction: Written) -> dict[str, Any]:
        tokens = self.shown(prediction, split.source(row))
        return {
            "row": row,
            **self.read(split, row),
            "references": self.references(split, row)[0],
            "written": self.text(tokens),
            "tokens": tokens,
            "log_prob": None if prediction.log_prob is None else round(prediction.log_prob, 4),
        }


def _known(views: Sequence[View]) -> list[tuple[float | None, int | None]]:
    """Negative log-likelihood and number of the tokens that should have been written, where they are known."""
    head, _, batch = views[0]
    field = batch.fields.get(head.column)
    if field is None:
        return [(None, None)] * len(batch)
    of_each = torch.stack([view.head.token_nll(view.encoded, view.batch) for view in views])
    lengths = Lengths(field.lengths, field.values.size(1), field.values.device)
    nll = torch.zeros(lengths.mask.shape, dtype=torch.float64, device=of_each.device)
    nll[lengths.mask] = math.log(len(views)) - (-of_each).logsumexp(0)
    return list(zip(nll.sum(0).tolist(), field.lengths.tolist(), strict=True))


def _real(values: Tensor, lengths: Lengths) -> Tensor:
    """(B, T, ...) -> (N, ...), the real positions, time by time."""
    by_time = values.transpose(0, 1)
    return by_time.flatten(0, 1) if lengths.equal else by_time[lengths.mask]


def target_request(
    fields: Mapping[str, Any], *, lowercase: bool = False, several: bool = False, shared: bool = False
) -> Request:
    """The texts to be written as numbers, between marks, as the fields that generating heads have in common say."""
    return Request(
        fields["column"],
        fields["column"],
        "target",
        lowercase=lowercase,
        min_frequency=fields["min_frequency"],
        max_size=fields["max_size"],
        frame="sentence",
        several=several,
        pointed=points(fields),
        shared=shared,
    )


def points(fields: Mapping[str, Any]) -> bool:
    """Does the decoder of a generating head with these fields point at the source?"""
    return bool(fields["decoder"].fields.get("pointer"))


def read_columns(model: Any) -> dict[str, Request]:
    """Column -> the request that looks its tokens up, the first of them if there are several: what a model reads."""
    found: dict[str, Request] = {}
    for spec in model.embedder.walk():
        for request in spec.target.requests(spec.fields) if hasattr(spec.target, "requests") else ():
            better = request.level == "token" or request.column not in found
            if request.has_vocabulary and not request.is_target and better:
                found[request.column] = request
    return found


def check_generation(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Faults of the fields that generating heads have in common."""
    faults, smoothing, ratio = [], fields["label_smoothing"], fields.get("max_length_ratio")
    for name in ("min_frequency", "max_size"):
        if fields[name] is not None and fields[name] < 1:
            faults.append((name, f"{name} is {fields[name]}, expected 1 or more"))
    if not 0.0 <= smoothing < 1.0:
        faults.append(("label_smoothing", f"label_smoothing is {smoothing}, expected 0 <= label_smoothing < 1"))
    if ratio is not None and ratio <= 0:
        faults.append(("max_length_ratio", f"max_length_ratio is {ratio}, expected more than 0"))
    return faults
