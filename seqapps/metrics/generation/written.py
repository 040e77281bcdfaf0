"""What was written for one example, and the scores that translations and captions share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqapps.errors import ShapeError
from seqapps.metrics.evaluation import Counted, ratio
from seqapps.metrics.intervals import Floats

__all__ = ["WrittenExample", "check_examples", "copied", "cut", "exact_match", "length_ratio", "mean", "perplexity"]


class WrittenExample(NamedTuple):
    """A text that a model wrote, and the texts that it might have written.

    Fields:
        source: the tokens that were read, or what names the image.
        hypothesis, tokens: what was written, as text and as tokens, without the end mark.
        references, reference_tokens: one or more, as texts and as tokens, in one order.
        log_prob: natural logarithm of the hypothesis's probability under the model.
        nll, count: of the references under teacher forcing, in nats and in tokens, end marks included.
        attention: for each token written, and for the end mark if there is one row more, the weights over the source.
        copied: how many of the tokens the vocabulary lacks, if the model can take such from the source.
        ended: did the end mark come, or was the text cut at the limit of its length?
        p_gen: for each row of attention, how probable it was, before the token was chosen, that it would be generated
            and not taken from the source.
    """

    source: Sequence[str] | str
    hypothesis: str
    tokens: Sequence[str]
    references: Sequence[str]
    reference_tokens: Sequence[Sequence[str]]
    log_prob: float | None = None
    nll: float | None = None
    count: int | None = None  # type: ignore[assignment]  # the field's word; hides tuple.count
    attention: Sequence[Sequence[float]] | None = None
    copied: int | None = None
    ended: bool | None = None
    p_gen: Sequence[float] | None = None


def check_examples(examples: Sequence[WrittenExample]) -> None:
    """Raises ShapeError, counting from 1, unless each has references, as many in tokens as in text."""
    for number, example in enumerate(examples, start=1):
        texts, tokens = len(example.references), len(example.reference_tokens)
        if texts != tokens or not texts:
            found = f"{texts} references as text, {tokens} as tokens"
            raise ShapeError(f"example {number}: {found}; give one or more, each in both forms")


def mean(values: NDArray, of: str) -> Counted:
    """The mean over examples of one value each."""
    one = np.ones(len(values), np.int64)
    return Counted(np.stack([values, one], axis=1), ratio, one, of)


def exact_match(examples: Sequence[WrittenExample], of: str) -> Counted:
    """Examples whose tokens are those of a reference."""
    right = [any(list(example.tokens) == list(one) for one in example.reference_tokens) for example in examples]
    return mean(np.array(right, np.int64), of)


def length_ratio(examples: Sequence[WrittenExample], of: str) -> Counted:
    """Tokens written per token of the reference that is closest in length, of equally close ones the shorter."""
    lengths = [(len(example.tokens), _closest(example)) for example in examples]
    return Counted(np.array(lengths, np.int64).reshape(-1, 2), ratio, np.ones(len(examples), np.int64), of)


def copied(examples: Sequence[WrittenExample], of: str) -> Counted | None:
    """Share of the tokens written that were taken from the source; None unless every example tells."""
    if not examples or any(example.copied is None for example in examples):
        return None
    counts = np.array([(example.copied, len(example.tokens)) for example in examples], np.int64)
    return Counted(counts, ratio, counts[:, 1], of)


def cut(examples: Sequence[WrittenExample], of: str) -> Counted | None:
    """Share of the texts that were cut before their end mark; None unless every example tells."""
    if not examples or any(example.ended is None for example in examples):
        return None
    return mean(np.array([not example.ended for example in examples], np.int64), of)


def _closest(example: WrittenExample) -> int:
    written = len(example.tokens)
    return min((len(one) for one in example.reference_tokens), key=lambda length: (abs(length - written), length))


def perplexity(examples: Sequence[WrittenExample]) -> Counted | None:
    """exp(nll / count) of the references under teacher forcing; None unless every example has both."""
    sums = [(example.nll, example.count) for example in examples]
    if not sums or any(nll is None or count is None for nll, count in sums):
        return None
    counts = np.array(sums, np.float64)
    return Counted(counts, _perplexity, counts[:, 1].astype(np.int64), "tokens")


def _perplexity(sums: Floats) -> Floats:
    return np.exp(ratio(sums))
