"""What a report shows of a language model beside its scores, ready for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seqapps.metrics.intervals import Floats
from seqapps.metrics.tagging_tables import Group

__all__ = ["POSITIONS", "sentence_surprise", "word_surprise"]

POSITIONS = [
    *(Group(n, n) for n in (1, 2, 3)),
    *(Group(low, high) for low, high in ((4, 5), (6, 10), (11, 20), (21, 40))),
    Group(41, None),
]

_FREQUENT = 20  # times that a form occurs in the split
_WORDS = 15
_SENTENCES = 10
_LEAST = 5  # tokens of a sentence that is shown
_TOKENS = 100


class _Scored(Protocol):
    @property
    def tokens(self) -> Sequence[str]: ...
    @property
    def log_probs(self) -> Sequence[float] | NDArray[np.floating]: ...


def word_surprise(sentences: Sequence[_Scored], nll: Floats, mask: NDArray[np.bool_]) -> dict[str, Any]:
    """{least, hardest, easiest}: the forms with the highest and the lowest perplexity of those that occur `least` times
    or more, each [{form, count, perplexity, share}].

    `share` is the form's part of the nll of everything that is predicted. None of the forms is in both lists.

    Args:
        nll: of every token and end mark, one sentence after another.
        mask: which of them to count; no end marks.
    """
    index: dict[str, int] = {}
    places = [index.setdefault(t, len(index)) for s in sentences for t in (*s.tokens, "")]
    numbers = np.array(places, np.int64)[mask]
    counts = np.bincount(numbers, minlength=len(index))
    sums = np.bincount(numbers, nll[mask], len(index))
    frequent = np.flatnonzero(counts >= _FREQUENT)
    means = sums[frequent] / counts[frequent]
    order = frequent[np.argsort(-means, kind="stable")]
    forms, total = list(index), nll.sum()
    rows = [
        {
            "form": forms[n],
            "count": int(counts[n]),
            "perplexity": float(np.exp(min(sums[n] / counts[n], 700.0))),
            "share": float(sums[n] / total) if total else 0.0,
        }
        for n in order.tolist()
    ]
    half = min(_WORDS, (len(rows) + 1) // 2)
    return {"least": _FREQUENT, "hardest": rows[:half], "easiest": rows[half:][-_WORDS:][::-1]}


def sentence_surprise(sentences: Sequence[_Scored]) -> list[dict[str, Any]]:
    """[{number, perplexity, tokens, log_probs, left_out}]: the sentences of 5 tokens or more that were predicted worst.

    Perplexity is that of tokens and end mark. `log_probs`, natural, are those of the tokens shown, and of the end mark
    if none is left out. `number` counts sentences of the split from 1.
    """
    long = [n for n, sentence in enumerate(sentences) if len(sentence.tokens) >= _LEAST]
    means = {n: float(np.mean(sentences[n].log_probs, dtype=np.float64)) for n in long}
    return [
        {
            "number": n + 1,
            "perplexity": float(np.exp(min(-means[n], 700.0))),
            "tokens": list(sentences[n].tokens[:_TOKENS]),
            "log_probs": [round(float(p), 3) for p in sentences[n].log_probs[: _shown(sentences[n])]],
            "left_out": max(0, len(sentences[n].tokens) - _TOKENS),
        }
        for n in sorted(long, key=means.__getitem__)[:_SENTENCES]
    ]


def _shown(sentence: _Scored) -> int:
    """How many probabilities are shown."""
    T = len(sentence.tokens)
    return T + 1 if T <= _TOKENS else _TOKENS
