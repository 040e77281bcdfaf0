"""Language models: the probability of a text, word by word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from seqapps.data.batch import Batch
from seqapps.data.indexed import IndexedSplit
from seqapps.data.requests import Frame
from seqapps.data.vocabulary import BOS, EOS, PAD, UNK, Vocabulary
from seqapps.errors import ComponentError
from seqapps.heads.head import Head, Loss
from seqapps.heads.predictions import ScoredText
from seqapps.modules.encoded import Encoded
from seqapps.modules.output import linear_cross_entropy

if TYPE_CHECKING:
    from seqapps.metrics.evaluation import Evaluation
    from seqapps.metrics.intervals import Bootstrap

__all__ = ["LanguageModel"]

_CLOSED = -1e9  # added to the score of a symbol that is never written
_ROWS = 2048  # positions whose scores over the vocabulary are held at a time


class LanguageModel(Head):
    """The probability of every token, given those before it (Mikolov et al. 2010; Zaremba et al. 2014).

        h_t = what the encoder makes of w_1 .. w_(t-1),   s_t = W P h_t + b,   p(w_t) = softmax(s_t)

    In regime `sentence` each sentence is read alone, from `<bos>` to `<eos>`. In regime `stream` sentences follow each
    other with an `<eos>` between, each batch goes on from the final states of the one before, and gradients are cut
    there (truncated back-propagation): the convention of the Penn Treebank's published figures. The data are then put
    into batches by `data.batching.streams` and `window`. `<eos>` is predicted and counted as a token in both. Words
    outside the vocabulary are predicted as `<unk>`. `<pad>` and `<bos>` have probability 0 (in an adaptive softmax what
    training leaves them).

    Training minimises the negative log-likelihood, plus, for every token, `activation_penalty` times the mean square
    of h_t after dropout (AR) and `difference_penalty` times that of h_(t+1) - h_t before dropout (TAR), as in Merity,
    McCann and Socher 2017 (arXiv 1708.01009). Perplexity never contains them.

    Fields:
        column: which column holds the tokens.
        regime: sentence or stream.
        tied: W is the table of the embedder (Press and Wolf 2017; Inan et al. 2017), whose `size` must then be that of
            P h_t.
        projection: features of P h_t; none = no P, the encoder's outputs themselves.
        activation_penalty, difference_penalty: AWD-LSTM has 2 and 1.
        cutoffs: adaptive softmax (Grave et al. 2017, arXiv 1609.04309): the most frequent cutoffs[0] symbols get a
            full-size output each, those up to cutoffs[1] share a smaller one of a quarter of the features, and so on;
            [] = one softmax over all. For large vocabularies; cannot be tied.
    """

    task = "language_model"
    empty_texts = "read"

    def __init__(
        self,
        encoder: nn.Module,
        embedder: nn.Module,
        vocabularies: Mapping[str, Vocabulary],
        /,
        *,
        column: str = "tokens",
        regime: Literal["sentence", "stream"] = "sentence",
        tied: bool = False,
        projection: int | None = None,
        activation_penalty: float = 0.0,
        difference_penalty: float = 0.0,
        cutoffs: list[int] = [],  # noqa: B006
    ):
        super().__init__()
        if not encoder.causal:
            raise ComponentError(
                "head 'language_model': the encoder reads what follows a word, too, so it would see the words to be "
                "predicted; set 'bidirectional: false' (of 'window': 'after: 0')"
            )
        vocabulary = vocabularies[column]
        self.column, self.regime, self.vocabulary = column, regime, vocabulary
        self.carries = regime == "stream"
        self.penalties = activation_penalty, difference_penalty
        size: int = projection or encoder.output_size  # type: ignore[assignment]
        self.projection = nn.Linear(encoder.output_size, size) if projection else None  # type: ignore[arg-type]
        self.adaptive: nn.AdaptiveLogSoftmaxWithLoss | None = None
        self.output: nn.Linear | None = None
        if cutoffs:
            self.adaptive = _adaptive(size, len(vocabulary), cutoffs)
        else:
            self.output = nn.Linear(size, len(vocabulary))
            self.symbol_dimensions = {"output.weight": (column,), "output.bias": (column,)}
            nn.init.zeros_(self.output.bias)
            if tied:
                self.output.weight = _table(embedder, column, size)
        closed = torch.zeros(len(vocabulary))
        closed[[vocabulary[symbol] for symbol in (PAD, BOS) if symbol in vocabulary]] = _CLOSED
        self.register_buffer("closed", closed, persistent=False)
        self.closed: Tensor

    @classmethod
    def frame(cls, fields: Mapping[str, Any]) -> Frame:
        """Marks as the regime has them."""
        return fields["regime"]

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Penalties are not negative, cutoffs rise, and an adaptive softmax is not tied."""
        faults = [
            (name, f"{name} is {fields[name]}, expected 0 or more")
            for name in ("activation_penalty", "difference_penalty")
            if fields[name] < 0
        ]
        if fields["projection"] is not None and fields["projection"] < 1:
            faults.append(("projection", f"projection is {fields['projection']}, expected 1 or more"))
        cutoffs = fields["cutoffs"]
        if sorted({max(1, cutoff) for cutoff in cutoffs}) != cutoffs:
            faults.append(("cutoffs", f"cutoffs are {cutoffs}, expected rising numbers of symbols"))
        if cutoffs and fields["tied"]:
            faults.append(("cutoffs", "an adaptive softmax has no matrix that could be tied; set 'tied: false'"))
        return faults

    @classmethod
    def check_recipe(cls, fields: Mapping[str, Any], recipe: Any) -> list[tuple[str, str]]:
        """Data are in streams if the regime is stream, and are then not accumulated over batches."""
        streams = recipe.data.batching.streams
        if fields["regime"] == "stream" and streams is None:
            message = (
                "the language model's regime is 'stream'; give 'streams' and 'window', as {streams: 20, window: 35}"
            )
            return [("data.batching", message)]
        if fields["regime"] == "sentence" and streams is not None:
            message = "the language model's regime is 'sentence'; give 'tokens' or 'sentences', or set 'regime: stream'"
            return [("data.batching", message)]
        if streams is not None and recipe.training.accumulate > 1:
            message = "windows of a stream follow each other and cannot be accumulated; set it to 1, and more streams"
            return [("training.accumulate", message)]
        return []

    @property
    def headline(self) -> str:
        return "perplexity"

    @property
    def scores(self) -> tuple[str, ...]:
        from seqapps.metrics.language_model import SCORES

        return SCORES

    def features(self, outputs: Tensor) -> Tensor:
        """(..., F) of an encoder's outputs: what the output layer reads."""
        return outputs if self.projection is None else self.projection(outputs)

    def log_probs(self, features: Tensor) -> Tensor:
        """(N, V) float32: log-probability of every symbol, for features (N, F)."""
        if self.adaptive is not None:
            return self.adaptive.log_prob(features.float())
        assert self.output is not None
        return F.linear(features, self.output.weight, self.output.bias + self.closed).float().log_softmax(-1)

    def loss(self, encoded: Encoded, batch: Batch) -> Loss:
        read, targets = self._real(encoded, encoded.outputs), self._targets(encoded, batch)
        total, nll = self._cross_entropy(self.features(read), targets)
        return Loss(total + self._penalty(encoded, read), nll, len(targets), "token")

    def _cross_entropy(self, features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The summed loss, and the same without gradient."""
        if self.adaptive is not None:
            total = -self.adaptive(features.float(), targets).output.sum()
            return total, total.detach()
        assert self.output is not None
        return linear_cross_entropy(features, self.output.weight, self.output.bias + self.closed, targets)

    def _penalty(self, encoded: Encoded, read: Tensor) -> Tensor | float:
        activation, difference = self.penalties
        penalty: Tensor | float = 0.0
        if activation:
            penalty = penalty + activation * read.float().square().mean(-1).sum()
        if difference and encoded.outputs.size(1) > 1:
            h = (encoded.outputs if encoded.undropped is None else encoded.undropped).float()
            steps = (h[:, 1:] - h[:, :-1]).square().mean(-1)  # (B, T - 1)
            penalty = penalty + difference * (steps * encoded.lengths.mask.t()[:, 1:]).sum()
        return penalty

    def loss_at(self, encoded: Encoded, batch: Batch, positions: Tensor) -> Tensor:
        rows = torch.arange(len(positions), device=positions.device)
        features = self.features(encoded.outputs[rows, positions])
        targets = batch.fields[self.column].following
        assert targets is not None
        return F.nll_loss(self.log_probs(features), targets[rows, positions], reduction="sum")

    def _real(self, encoded: Encoded, x: Tensor) -> Tensor:
        """(N, ...): the positions of x (B, T, ...) that are no padding, time by time."""
        x = x.transpose(0, 1)
        return x.flatten(0, 1) if encoded.lengths.equal else x[encoded.lengths.mask]

    def _targets(self, encoded: Encoded, batch: Batch) -> Tensor:
        following = batch.fields[self.column].following
        assert following is not None, "the field has a frame"
        return self._real(encoded, following)

    def predict(self, encoded: Encoded, batch: Batch) -> list[NDArray[np.float32]]:
        """Natural log-probability of each token of each row and of its end mark."""
        features, targets = self._real(encoded, encoded.outputs), self._targets(encoded, batch)
        parts = zip(features.split(_ROWS), targets.split(_ROWS), strict=True)
        found = [self.log_probs(self.features(x)).gather(1, y[:, None])[:, 0] for x, y in parts]
        by_time = torch.zeros(encoded.lengths.mask.shape, device=targets.device)
        by_time[encoded.lengths.mask] = torch.cat(found)
        rows = by_time.t().detach().cpu().numpy()
        return [row[:length].copy() for row, length in zip(rows, encoded.lengths.values.tolist(), strict=True)]

    def answer(self, tokens: list[str], found: Any, original: Any) -> ScoredText:
        return ScoredText(tokens, original, [float(value) for value in found])

    def evaluate(
        self, split: IndexedSplit, predictions: Sequence[NDArray[np.float32]], bootstrap: Bootstrap | None
    ) -> Evaluation:
        from seqapps.metrics.language_model import ScoredSentence, evaluate_language_model

        examples = []
        for row, log_probs in enumerate(predictions):
            tokens = split.strings(self.column, row)
            examples.append(ScoredSentence(tokens, log_probs, [self._is_unknown(token, split) for token in tokens]))
        frequencies = split.resources.frequencies[self.column]
        characters = all(len(symbol) == 1 for symbol in self.vocabulary.symbols[self.vocabulary.specials :])
        return evaluate_language_model(
            examples,
            regime=self.regime,
            bootstrap=bootstrap,
            frequencies=frequencies,
            separator="" if characters else " ",
        )

    def _is_unknown(self, token: str, split: IndexedSplit) -> bool:
        request = split.resources.requests[self.column]
        form = token.lower() if request.lowercase else token
        return form == UNK or form not in self.vocabulary

    def baselines(self, train: IndexedSplit, split: IndexedSplit) -> Iterator[tuple[str, list[NDArray[np.float64]]]]:
        """Interpolated modified Kneser-Ney n-grams over the model's vocabulary, of orders 1, 3 and 5."""
        from seqapps.baselines import LANGUAGE_MODEL, KneserNey

        symbols = [symbol for symbol in self.vocabulary.symbols if symbol not in (PAD, BOS, EOS)]
        texts, others = ([self._known(s, row) for row in range(len(s))] for s in (train, split))
        for name, order in LANGUAGE_MODEL.items():
            yield name, KneserNey(order, symbols, self.regime).fit(texts).log_probs(others)

    def _known(self, split: IndexedSplit, row: int) -> list[str]:
        """The tokens of a row as the model sees them: unknown ones are `<unk>`."""
        numbers = split.numbers(self.column)[row][1:-1]
        return [self.vocabulary.symbols[n] for n in numbers.tolist()]

    def record(self, split: IndexedSplit, row: int, prediction: NDArray[np.float32]) -> dict[str, Any]:
        return {
            "row": row,
            "tokens": split.strings(self.column, row),
            "log_prob": round(float(prediction.sum(dtype=np.float64)), 4),
            "log_probs": [round(float(value), 4) for value in prediction],
        }


def _adaptive(size: int, symbols: int, cutoffs: list[int]) -> nn.AdaptiveLogSoftmaxWithLoss:
    """ComponentError if the vocabulary is smaller than a cutoff, or a cluster would have no features."""
    if cutoffs[-1] >= symbols:
        raise ComponentError(
            f"head 'language_model': cutoffs are {cutoffs}, the vocabulary has {symbols} symbols; give smaller ones"
        )
    if size < 4 ** len(cutoffs):
        raise ComponentError(
            f"head 'language_model': the output layer reads {size} features, of which the last of {len(cutoffs)} "
            f"clusters would get none; give fewer cutoffs, or {4 ** len(cutoffs)} features or more"
        )
    return nn.AdaptiveLogSoftmaxWithLoss(size, symbols, cutoffs, div_value=4.0, head_bias=True)


def _table(embedder: nn.Module, column: str, size: int) -> nn.Parameter:
    """The embedder's table of a column. ComponentError if it has none, or rows of another size."""
    for module in embedder.modules():
        held = getattr(module, "table", None)
        if getattr(module, "column", None) == column and isinstance(held, nn.Embedding):
            table = held.weight
            if table.size(1) != size:
                raise ComponentError(
                    f"head 'language_model': tied, but the embedder's rows have {table.size(1)} features and the output"
                    f" layer reads {size}; set 'projection: {table.size(1)}', or make the sizes equal"
                )
            return table  # type: ignore[return-value]
    raise ComponentError(
        f"head 'language_model': tied, but the embedder has no table for {column!r}; use embedder 'tokens'"
    )
