"""Scores of a report as people read them: fractions in per cent, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seqapps.cli.table import table

__all__ = ["headline", "score_table"]


def headline(report: Mapping[str, Any]) -> str:
    """The one line that sums a report up: `accuracy 92.81 % (95 % interval 92.40 to 93.20)`."""
    name = report["headline"]
    value, interval = _cells(report["metrics"][name])
    return f"{name} {value}" + (f" ({interval})" if interval else "")


def score_table(report: Mapping[str, Any]) -> str:
    """One line per score."""
    return table([(name, *_cells(score)) for name, score in report["metrics"].items()])


def _cells(score: Mapping[str, Any]) -> tuple[str, str]:
    fraction = score.get("unit") == "fraction"
    scale, suffix = (100, " %") if fraction else (1, "")
    if score["value"] is None:
        return "undefined", ""
    value = f"{scale * score['value']:.2f}{suffix}"
    if not score.get("interval"):
        return value, ""
    low, high = (f"{scale * bound:.2f}" for bound in score["interval"])
    confidence = score.get("confidence")
    share = f"{100 * confidence:g} % " if confidence else ""
    return value, f"{share}interval {low} to {high}"
