"""A report in plain text: its headline, and its scores for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seqapps.report import wording
from seqapps.report.report import Strongest, check_report, strongest_baseline

__all__ = ["format_metrics", "headline", "verdict"]

_OPENINGS = {  # by score and what it counts
    ("accuracy", "tokens"): "{value} of {count} {split} {of} tagged right",
    ("accuracy", "texts"): "{value} of {count} {split} {of} classified right",
    ("f1", "gold spans"): "Span F1 {value} over {count} {of} of the {split} split",
}


def headline(report: Mapping[str, Any]) -> str:
    """One sentence: the score, its interval, the strongest baseline and the difference to it.

    Raises RunError if the report does not hold what `seqapps.report.report` says.
    """
    check_report(report)
    name, split = report["headline"], report["split"]
    score = report["metrics"][name]
    if score.get("value") is None:
        return f"{_beginning(wording.title(name))} is undefined: the {split} split holds nothing to measure it on."
    opening = _OPENINGS.get((name, score.get("of")), "{title} {value} over {count} {of} of the {split} split")
    values = {
        "title": _beginning(wording.title(name)),
        "value": wording.score(score),
        "count": wording.count(score.get("count", 0)),
        "of": score.get("of", "units"),
        "split": split,
    }
    sentence = opening.format_map(values) + _interval(score)
    strongest = strongest_baseline(report)
    return f"{sentence}; {_comparison(strongest)}." if strongest else f"{sentence}; no baseline was measured."


def verdict(report: Mapping[str, Any]) -> str | None:
    """What the comparison with the strongest baseline allows to conclude, or None if it was not measured."""
    strongest = strongest_baseline(report)
    if strongest is None or strongest.difference is None or not strongest.difference.get("interval"):
        return None
    low, high = strongest.difference["interval"]
    name = wording.title(strongest.name)
    if low <= 0 <= high:
        return f"The interval of the difference holds 0: this split does not show whether the model beats the {name}."
    better = (low > 0) == strongest.score.get("higher_is_better", True)
    result = "better" if better else "worse"
    return f"The interval of the difference excludes 0: the model is {result} than the {name} on this data."


def format_metrics(report: Mapping[str, Any]) -> str:
    """Scores beside those of the baselines, in per cent where they are fractions, as an aligned table.

    Raises RunError if the report does not hold what `seqapps.report.report` says.
    """
    check_report(report)
    models = {"this model": report["metrics"]}
    models |= {wording.title(name): part.get("metrics", {}) for name, part in (report.get("baselines") or {}).items()}
    rows = [[f"{report['split']} split", *models, ""]]
    for name, score in report["metrics"].items():
        unit = score.get("unit", "fraction")
        cells = [_cell(metrics.get(name), unit) for metrics in models.values()]
        measured = f"{wording.count(score['count'])} {score['of']}" if "count" in score and "of" in score else ""
        rows.append([wording.title(name) + (" %" if unit == "fraction" else ""), *cells, measured])
    return _align(rows)


def _beginning(words: str) -> str:
    """As a sentence begins; BLEU stays BLEU."""
    return words[:1].upper() + words[1:]


def _interval(score: Mapping[str, Any]) -> str:
    if not score.get("interval"):
        return ""
    bounds = wording.interval(score["interval"], score.get("unit", "fraction"))
    return f" ({100 * score['confidence']:g} % interval {bounds})"


def _comparison(strongest: Strongest) -> str:
    text = f"the {wording.title(strongest.name)} of the same data reaches {wording.score(strongest.score)}"
    if strongest.difference is None:
        return text
    unit = strongest.score.get("unit", "fraction")
    what = " points" if unit in ("fraction", "points") else ""
    text += f"; the difference is {wording.points(strongest.difference['value'], unit)}{what}"
    if strongest.difference.get("interval"):
        low, high = (wording.points(bound, unit) for bound in strongest.difference["interval"])
        text += f" [{low}, {high}]"
    return text


def _cell(score: Mapping[str, Any] | None, unit: str) -> str:
    if score is None:
        return wording.NONE
    value = wording.number(score.get("value"), unit, 2)
    if not score.get("interval"):
        return value
    low, high = (wording.number(bound, unit, 2) for bound in score["interval"])
    return f"{value} [{low}, {high}]"


def _align(rows: Sequence[Sequence[str]]) -> str:
    """First column to the left, the others to the right, but for the last."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first, *middle, last = row
        cells = [cell.rjust(width) for cell, width in zip(middle, widths[1:-1], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells, last]).rstrip())
    return "\n".join(lines)
