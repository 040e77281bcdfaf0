"""What the page shows of a language model: what was predicted, and what was hard to predict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from seqapps.report import plots, wording
from seqapps.report.section import Section

__all__ = ["pairs", "predicted", "sentence_surprise"]

_BITS = 20.0  # a token's surprise that is shaded fully
_SHADE = 0.6
_PLOTTED = 16  # groups of pairs


def predicted(report: Mapping[str, Any]) -> Section | None:
    """What was counted, and the hardest and easiest of the frequent words."""
    tables = report.get("tables") or {}
    found, words = tables.get("predicted"), tables.get("word_surprise")
    if not found:
        return None
    shown = words if words and words["hardest"] else None
    share = wording.number(found["unknown"] / found["tokens"]) if found["tokens"] else None
    return Section("predicted", "What was predicted", {"predicted": found, "unknown": share, "words": shown})


def sentence_surprise(report: Mapping[str, Any]) -> Section | None:
    """The sentences that were predicted worst, each token with its bits."""
    sentences = (report.get("tables") or {}).get("sentence_surprise")
    if not sentences:
        return None
    shown = []
    for sentence in sentences:
        bits = [-p / math.log(2) for p in sentence["log_probs"]]
        rows = [
            {"token": token, "bits": wording.number(b, "surprise"), "share": _SHADE * max(0.0, min(1.0, b / _BITS))}
            for token, b in zip([*sentence["tokens"], None][: len(bits)], bits, strict=True)  # None: the end mark
        ]
        shown.append({**sentence, "rows": rows})
    return Section("sentence_surprise", "Most surprising sentences", {"sentences": shown})


def pairs(report: Mapping[str, Any]) -> Section | None:
    """How often the right one of two sentences was the more probable one, by group."""
    table = (report.get("tables") or {}).get("pairs")
    if not table or not table["rows"]:
        return None
    rows = table["rows"]
    points = [plots.Point(*_per_cent(row)) for row in rows]
    title = wording.title(table["metric"])
    plot = plots.dots([row["group"] for row in rows], points, f"{title} (per cent)") if len(rows) <= _PLOTTED else None
    return Section("pairs", "Pairs of sentences", {"rows": rows, "plot": plot, "title": title})


def _per_cent(row: Mapping[str, Any]) -> tuple[float | None, tuple[float, float] | None]:
    bounds = row.get("interval")
    value = None if row["value"] is None else 100 * row["value"]
    return value, (100 * bounds[0], 100 * bounds[1]) if bounds else None
