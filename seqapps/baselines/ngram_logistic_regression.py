"""Logistic regression on which words and pairs of words a text holds: one label of several, or any number of them."""

from __future__ import annotations

import abc
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from seqapps.errors import DataError

__all__ = ["NgramLogisticRegression", "NgramOneVsRest"]

_MOST = 2**19  # features
_ITERATIONS = 60
_PENALTY = 0.2  # λ

Gold = TypeVar("Gold")
Model = TypeVar("Model", bound="_NgramModel[Any]")


class _Bags(NamedTuple):
    """The x of N texts: the known n-grams of all texts one after another, their x_j, and where each text's begin."""

    numbers: Tensor
    values: Tensor
    starts: Tensor

    def logits(self, weights: Tensor, bias: Tensor) -> Tensor:
        """(N, K). A text without a known n-gram has the bias alone."""
        if not len(weights):
            return bias.expand(len(self.starts), -1)
        sums = F.embedding_bag(self.numbers, weights, self.starts, mode="sum", per_sample_weights=self.values)
        return sums + bias


class _NgramModel(abc.ABC, Generic[Gold]):
    """Scores W x + b of labels, where x says which n-grams (n = 1, 2) of lower-cased tokens a text holds.

    For an n-gram of the text that occurs in at least two training texts, x_j is its inverse document frequency,
    1 + log((1 + N) / (1 + n_j)) with n_j of N training texts holding it; x is then scaled to norm 1, so that texts of
    all lengths weigh alike. The 2^19 n-grams that occur in most texts are kept. The bag of words with a linear
    classifier is the strong simple baseline of sentiment (Wang and Manning 2012, "Baselines and bigrams").

        minimise  Σ_i -log p(y_i | text_i) + λ/2 |W|²,   λ = 0.2

    by L-BFGS in float64 from zero, at most 60 iterations: nothing is drawn at random.
    """

    def __init__(self, labels: Sequence[str]):
        self.labels = list(labels)
        self._features: dict[str, int] = {}
        self._rarity = torch.zeros(0, dtype=torch.float64)  # inverse document frequencies
        self._weights = torch.zeros(0, len(self.labels), dtype=torch.float64)
        self._bias = torch.zeros(len(self.labels), dtype=torch.float64)

    @abc.abstractmethod
    def _targets(self, gold: Sequence[Gold]) -> Tensor:
        """What `_loss` compares with."""

    @abc.abstractmethod
    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """-log p, summed over texts."""

    @abc.abstractmethod
    def _probabilities(self, logits: Tensor) -> Tensor:
        """p, of (N, K) scores."""

    def fit(self: Model, texts: Sequence[Sequence[str]], gold: Sequence[Gold]) -> Model:
        """Choose n-grams and fit their weights. Raises DataError if there are no texts."""
        if not texts:
            raise DataError("n-gram baseline: no text to learn from; check the training split")
        counts = Counter(ngram for text in texts for ngram in _ngrams(text))
        kept = sorted((-n, ngram) for ngram, n in counts.items() if n > 1)[:_MOST]
        self._features = {ngram: number for number, (_, ngram) in enumerate(kept)}
        holding = torch.tensor([-n for n, _ in kept], dtype=torch.float64)
        self._rarity = 1 + torch.log((1 + len(texts)) / (1 + holding))
        self._minimise(self._bags(texts), self._targets(gold))
        return self

    def _minimise(self, bags: _Bags, targets: Tensor) -> None:
        K = len(self.labels)
        weights = torch.zeros(len(self._features), K, dtype=torch.float64, requires_grad=True)
        bias = torch.zeros(K, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([weights, bias], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

        def objective() -> Tensor:
            optimizer.zero_grad()
            loss = self._loss(bags.logits(weights, bias), targets) + 0.5 * _PENALTY * weights.square().sum()
            loss.backward()
            return loss

        optimizer.step(objective)
        self._weights, self._bias = weights.detach(), bias.detach()

    def predict(self, texts: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """(N, K) probabilities of the labels."""
        if not texts:
            return np.zeros((0, len(self.labels)))
        return self._probabilities(self._bags(texts).logits(self._weights, self._bias)).numpy()

    def _bags(self, texts: Sequence[Sequence[str]]) -> _Bags:
        rows = [[self._features[ngram] for ngram in _ngrams(text) if ngram in self._features] for text in texts]
        numbers = torch.tensor([number for row in rows for number in row], dtype=torch.int64)
        sizes = torch.tensor([len(row) for row in rows])
        values = self._rarity[numbers]
        of_text = torch.repeat_interleave(torch.arange(len(rows)), sizes)
        norms = torch.zeros(len(rows), dtype=torch.float64).index_add(0, of_text, values.square()).sqrt()
        return _Bags(numbers, values / norms[of_text], sizes.cumsum(0) - sizes)


class NgramLogisticRegression(_NgramModel[str]):
    """One label a text: p = softmax(W x + b), with the n-grams, the objective and the search of `_NgramModel`.

    >>> model = NgramLogisticRegression(["-", "+"]).fit([["good"], ["bad"]] * 9, ["+", "-"] * 9)
    >>> model.predict([["good"]]).argmax()
    1

    Args:
        labels: that can be predicted, in the order of the probabilities.
    """

    def _targets(self, gold: Sequence[str]) -> Tensor:
        index = {label: number for number, label in enumerate(self.labels)}
        return torch.tensor([index[label] for label in gold])

    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits, targets, reduction="sum")

    def _probabilities(self, logits: Tensor) -> Tensor:
        return logits.softmax(-1)


class NgramOneVsRest(_NgramModel[Sequence[str]]):
    """Any number of labels a text: a regression p_k = σ(w_k x + b_k) for each label against all texts without it.

    They have no parameter in common, so that minimising the sum of their objectives fits each of them.

    >>> model = NgramOneVsRest(["long", "good"]).fit([["good"], ["long"], ["x"]] * 9, [["good"], ["long"], []] * 9)
    >>> (model.predict([["good"], ["x"]]) > 0.5).tolist()
    [[False, True], [False, False]]

    Args:
        labels: that can be predicted, in the order of the probabilities.
    """

    def _targets(self, gold: Sequence[Sequence[str]]) -> Tensor:
        return torch.tensor([[label in labels for label in self.labels] for labels in gold], dtype=torch.float64)

    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="sum")

    def _probabilities(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()


def _ngrams(text: Sequence[str]) -> list[str]:
    """The distinct words and pairs of neighbours of a text, in order."""
    words = [word.lower() for word in text]
    pairs = (f"{a} {b}" for a, b in pairwise(words))
    return list(dict.fromkeys([*words, *pairs]))
