"""What a report shows of written texts beside their scores, ready for JSON and bounded in size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from seqapps.metrics.generation.written import WrittenExample
from seqapps.metrics.intervals import Floats

__all__ = ["attention", "examples_by", "lengths", "words"]

_BEST, _EVEN, _WORST = 10, 10, 20
_TOKENS = 100  # of a source
_CHARACTERS = 1000  # of a text
_REFERENCES = 5
_BINS = 20
_WORDS = 20
_ATTENTION = 4  # sentences
_ATTENTION_TOKENS = 30  # of each of their sides
END = "(end)"  # stands for the end mark


def examples_by(metric: str, examples: Sequence[WrittenExample], scores: Floats) -> dict[str, Any]:
    """{metric, best, even, worst}: examples by their own score, those without one left out.

    Each is [{number, score, source, hypothesis, references, references_left_out, log_prob}]: `number` counts the
    examples of the split from 1; `source` is a list of tokens, or what names the image. `even` stand at equal distances
    in the split, so that they show what is usual. Of equal scores the longer text comes first.
    """
    known = [n for n in range(len(examples)) if np.isfinite(scores[n])]
    best = sorted(known, key=lambda n: (-scores[n], -len(examples[n].tokens)))[:_BEST]
    worst = sorted(known, key=lambda n: (scores[n], -len(examples[n].tokens)))[:_WORST]
    even = [known[int((n + 0.5) * len(known) / _EVEN)] for n in range(_EVEN)] if len(known) > _EVEN else known

    def rows(chosen: Sequence[int]) -> list[dict[str, Any]]:
        return [{"number": n + 1, "score": float(scores[n]), **_shown(examples[n])} for n in chosen]

    return {"metric": metric, "best": rows(best), "even": rows(even), "worst": rows(worst)}


def _shown(example: WrittenExample) -> dict[str, Any]:
    source = example.source if isinstance(example.source, str) else list(example.source)[:_TOKENS]
    return {
        "source": source,
        "hypothesis": example.hypothesis[:_CHARACTERS],
        "references": [reference[:_CHARACTERS] for reference in example.references[:_REFERENCES]],
        "references_left_out": max(0, len(example.references) - _REFERENCES),
        "log_prob": example.log_prob,
    }


def lengths(examples: Sequence[WrittenExample]) -> list[dict[str, int]]:
    """[{low, high, written, references}]: how many of both have `low` to `high` tokens; at most 20 bins."""
    written = np.array([len(example.tokens) for example in examples], np.int64)
    references = np.array([len(one) for example in examples for one in example.reference_tokens], np.int64)
    longest = int(max(written.max(initial=0), references.max(initial=0)))
    width = longest // _BINS + 1
    bins = longest // width + 1
    counts = zip(*(np.bincount(of // width, minlength=bins).tolist() for of in (written, references)), strict=True)
    return [
        {"low": n * width, "high": (n + 1) * width - 1, "written": w, "references": r}
        for n, (w, r) in enumerate(counts)
    ]


def words(examples: Sequence[WrittenExample]) -> dict[str, list[dict[str, Any]]]:
    """{over, under}: the tokens written most too often and most too seldom, [{word, written, expected}].

    `expected` is how often the references have it, each counting one over the number of references of its example.
    """
    written: Counter[str] = Counter()
    expected: Counter[str] = Counter()
    for example in examples:
        written.update(example.tokens)
        for reference in example.reference_tokens:
            for token in reference:
                expected[token] += 1 / len(example.references)  # type: ignore[assignment]
    excess = {word: written[word] - expected[word] for word in written.keys() | expected.keys()}

    def rows(sign: int) -> list[dict[str, Any]]:
        order = sorted((word for word in excess if sign * excess[word] > 1e-9), key=lambda w: (-sign * excess[w], w))
        return [{"word": w, "written": written[w], "expected": round(expected[w], 2)} for w in order[:_WORDS]]

    return {"over": rows(1), "under": rows(-1)}


def attention(examples: Sequence[WrittenExample]) -> list[dict[str, Any]]:
    """[{number, source, target, weights, p_gen}]: the first four pairs that have weights and at most 30 tokens a side.

    None comes twice. weights[t][s] is the share of source token s when target token t was written; a last target token
    `(end)` stands for the end mark, where its weights were given. p_gen[t], where it was given, is how probable it was,
    before t was chosen, that it would be generated and not taken from the source.
    """
    shown: dict[tuple[tuple[str, ...], tuple[str, ...]], dict[str, Any]] = {}
    for number, example in enumerate(examples, start=1):
        if example.attention is None or isinstance(example.source, str) or len(shown) == _ATTENTION:
            continue
        pair = tuple(example.source), (*example.tokens, END)[: len(example.attention)]
        S, T = map(len, pair)
        if min(S, T) > 0 and max(S, T) <= _ATTENTION_TOKENS and pair not in shown:
            weights = [[round(float(weight), 4) for weight in row[:S]] for row in example.attention[:T]]
            shown[pair] = {"number": number, "source": list(pair[0]), "target": list(pair[1]), "weights": weights}
            if example.p_gen is not None:
                shown[pair]["p_gen"] = [round(float(share), 4) for share in example.p_gen[:T]]
    return list(shown.values())
