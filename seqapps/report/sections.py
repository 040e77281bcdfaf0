"""What the page shows, in its order. A section is a function of the report; it is left out where it returns None."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seqapps.report import plots, wording
from seqapps.report.diagnostics import diagnostics_section
from seqapps.report.generation_section import attention, examples, signatures, written
from seqapps.report.language_model_section import pairs, predicted, sentence_surprise
from seqapps.report.report import strongest_baseline
from seqapps.report.section import Section

__all__ = ["SECTIONS"]

_LABELS_SHOWN = 30  # of a confusion matrix
_CURVE_POINTS = 2000  # of a learning curve, at most
_TOKENS_SHOWN = 100  # of one of the worst sentences


def scores(report: Mapping[str, Any]) -> Section:
    """All scores beside those of the baselines, as a table and as dots."""
    models = {"this model": report["metrics"]}
    models |= {wording.title(name): part.get("metrics", {}) for name, part in (report.get("baselines") or {}).items()}
    metrics = report["metrics"]
    plotted = {name: score["unit"] for name, score in metrics.items() if score.get("unit") in ("fraction", "points")}
    series = [
        plots.Series(model, [_point(scores.get(name), unit) for name, unit in plotted.items()])
        for model, scores in models.items()
    ]
    rows = [
        {"name": name, "score": score, "cells": [scores.get(name) for scores in models.values()]}
        for name, score in metrics.items()
    ]
    titles = [wording.title(name) for name in plotted]
    axis = "per cent or points" if "points" in plotted.values() else "per cent"
    strongest = strongest_baseline(report)
    content = {
        "models": list(models),
        "rows": rows,
        "plot": plots.multiples(titles, series, axis) if plotted else None,
        "confidence": next((score["confidence"] for score in metrics.values() if score.get("confidence")), None),
        "differences": report.get("differences") or {},
        "strongest": strongest.name if strongest else None,
    }
    return Section("scores", "Scores", content)


def other_splits(report: Mapping[str, Any]) -> Section | None:
    """The scores of the splits that the headline is not about."""
    splits = report.get("splits") or {}
    if not splits:
        return None
    names = list(dict.fromkeys(name for metrics in splits.values() for name in metrics))
    return Section("splits", "Other splits", {"splits": splits, "names": names})


def training(report: Mapping[str, Any]) -> Section | None:
    """Learning curves, and how training ended."""
    recorded = report.get("training") or {}
    if not recorded:
        return None
    curve = recorded.get("curves") or []
    shown = curve[:: -(-len(curve) // _CURVE_POINTS)] if curve else []
    position = "epoch" if shown and all(entry.get("epoch") is not None for entry in shown) else "step"
    best = recorded.get("best") or {}
    # By step, which is whole: an epoch may have been rounded.
    marked = next((entry[position] for entry in shown if entry["step"] == best.get("step")), None)
    panels = [
        panel
        for panel in (
            _panel("training loss", position, [(entry, entry.get("loss")) for entry in shown], marked),
            _headline_panel(report, position, shown, marked),
            _panel("learning rate", position, [(entry, entry.get("learning_rate")) for entry in shown], None),
        )
        if panel and len(panel.positions) > 1 and (panel.title != "learning rate" or len(set(panel.values)) > 1)
    ]
    metric = report["metrics"].get(best.get("metric"), {})
    content = {
        "recorded": recorded,
        "best": wording.score({"value": best.get("value"), "unit": metric.get("unit")}) if metric else None,
        "plot": plots.curves(panels, position) if panels else None,
        "points": len(curve),
        "marked": marked is not None,
    }
    return Section("training", "Training", content)


def diagnostics(report: Mapping[str, Any]) -> Section | None:
    """Gradients through time and gates, if `seqapps diagnose` was asked for them."""
    found = report.get("diagnostics")
    return diagnostics_section([found]) if found else None


def per_span_type(report: Mapping[str, Any]) -> Section | None:
    rows = _table(report, "per_span_type")
    return Section("per_span_type", "Span types", {"rows": rows}) if rows else None


def per_label(report: Mapping[str, Any]) -> Section | None:
    rows = _table(report, "per_label")
    return Section("per_label", "Labels", {"rows": rows, "of": _unit(report)}) if rows else None


def confusion(report: Mapping[str, Any]) -> Section | None:
    """The confusion matrix of the most frequent labels, and the most frequent confusions of all labels."""
    table = _table(report, "confusion")
    if not table or not table["labels"]:
        return None
    labels, matrix = table["labels"], table["matrix"]
    n = min(_LABELS_SHOWN, len(labels))
    rows = []
    for gold in range(n):
        support = sum(matrix[gold])
        shares = [value / support if support else 0.0 for value in matrix[gold]]
        cells = [{"count": matrix[gold][p], "share": shares[p], "right": p == gold} for p in range(n)]
        rows.append({"label": labels[gold], "support": support, "cells": cells, "rest": sum(matrix[gold][n:])})
    shown = sum(cell["count"] for row in rows for cell in row["cells"] if not cell["right"])
    content = {
        "labels": labels[:n],
        "of": _unit(report),
        "rows": rows,
        "total": len(labels),
        "top": table["top"],
        "errors": table["errors"],
        "errors_shown": shown,
        "errors_listed": sum(row["count"] for row in table["top"]),
    }
    return Section("confusion", "Confusions", content)


def by_group(report: Mapping[str, Any]) -> Section | None:
    """The score by length of the sentence or text and by frequency of the form in training."""
    parts = []
    for name, title, group in (
        ("by_length", "By length in tokens", "length"),
        ("by_position", "By position in the sentence", "position"),
        ("by_frequency", "By frequency of the word form in training", "frequency"),
    ):
        table = _table(report, name)
        if table and table["rows"]:
            metric = table["metric"]
            unit = report["metrics"].get(metric, {}).get("unit", "fraction")
            names = [wording.group_name(row["low"], row["high"]) for row in table["rows"]]
            points = [_point(row, unit) for row in table["rows"]]
            plot = plots.dots(names, points, _with_unit(metric, unit), positive=unit == "perplexity")
            rows = list(zip(names, table["rows"], strict=True))
            head = _with_unit(metric, unit, "%")
            parts.append({"title": title, "group": group, "head": head, "unit": unit, "plot": plot, "rows": rows})
    return Section("groups", "Where it does well, and where not", {"parts": parts}) if parts else None


def worst(report: Mapping[str, Any]) -> Section | None:
    """The sentences with most errors, of long ones the beginning."""
    sentences = _table(report, "worst")
    if not sentences:
        return None
    shown = []
    for sentence in sentences:
        triples = list(zip(sentence["tokens"], sentence["gold"], sentence["predicted"], strict=True))
        wrong = [gold != predicted for _, gold, predicted in triples]
        start = max(0, wrong.index(True) - 10) if len(triples) > _TOKENS_SHOWN and any(wrong) else 0
        end = start + _TOKENS_SHOWN
        shown.append(
            {
                "number": sentence["number"],
                "errors": sentence["errors"],
                "length": len(triples),
                "before": start,
                "tokens": triples[start:end],
                "after": max(0, len(triples) - end),
                "errors_after": sum(wrong[end:]),
            }
        )
    return Section("worst", "Worst sentences", {"sentences": shown})


def calibration(report: Mapping[str, Any]) -> Section | None:
    """How often labels of a certain probability are right."""
    rows = _table(report, "calibration")
    if not rows:
        return None
    names = [f"{100 * row['low']:.0f}–{100 * row['high']:.0f}" for row in rows]
    points = [plots.Point(100 * row["accuracy"]) for row in rows]
    plot = plots.dots([f"{100 * row['certainty']:.0f}" for row in rows], points, "right (per cent)")
    return Section("calibration", "Calibration", {"rows": list(zip(names, rows, strict=True)), "plot": plot})


def certain_errors(report: Mapping[str, Any]) -> Section | None:
    """The wrongly classified texts that the model was most certain of, of long ones the beginning."""
    errors = _table(report, "certain_errors")
    if not errors:
        return None
    shown = [
        {**error, "tokens": error["tokens"][:_TOKENS_SHOWN], "after": max(0, len(error["tokens"]) - _TOKENS_SHOWN)}
        for error in errors
    ]
    return Section("certain_errors", "Most certain errors", {"errors": shown})


def data(report: Mapping[str, Any]) -> Section | None:
    recorded = report.get("data") or {}
    if not recorded:
        return None
    splits = recorded.get("splits") or {}
    columns = list(dict.fromkeys(column for sizes in splits.values() for column in sizes))
    return Section("data", "Data", {"recorded": recorded, "splits": splits, "columns": columns})


def conditions(report: Mapping[str, Any]) -> Section | None:
    """The model's size, and the conditions of measurement."""
    recorded, model = report.get("conditions") or {}, report.get("model") or {}
    if not recorded and not model:
        return None
    return Section("conditions", "Model and conditions of measurement", {"recorded": _flat(recorded), "model": model})


def recipe(report: Mapping[str, Any]) -> Section | None:
    text = report.get("recipe")
    return Section("recipe", "Recipe", {"text": text}) if text else None


SECTIONS: tuple[Callable[[Mapping[str, Any]], Section | None], ...] = (
    scores,
    signatures,
    training,
    confusion,
    per_span_type,
    per_label,
    predicted,
    pairs,
    by_group,
    examples,
    written,
    attention,
    calibration,
    worst,
    sentence_surprise,
    certain_errors,
    other_splits,
    diagnostics,
    data,
    conditions,
    recipe,
)


def _table(report: Mapping[str, Any], name: str) -> Any:
    return (report.get("tables") or {}).get(name)


def _unit(report: Mapping[str, Any]) -> str:
    """What labels are given to: tokens or texts."""
    metrics = report["metrics"]
    return (metrics.get("accuracy") or metrics.get("micro_f1") or {}).get("of") or "tokens"


def _point(score: Mapping[str, Any] | None, unit: str) -> plots.Point:
    """Fractions in per cent, other scores as they are."""
    if score is None or score.get("value") is None:
        return plots.Point(None)
    scale = 100 if unit == "fraction" else 1
    bounds = score.get("interval")
    return plots.Point(scale * score["value"], (scale * bounds[0], scale * bounds[1]) if bounds else None)


def _with_unit(metric: str, unit: str, sign: str = "(per cent)") -> str:
    return f"{wording.title(metric)} {sign}" if unit == "fraction" else wording.title(metric)


def _panel(
    title: str, position: str, entries: Sequence[tuple[Mapping[str, Any], float | None]], marked: float | None
) -> plots.Panel | None:
    known = [(entry[position], value) for entry, value in entries if value is not None]
    return plots.Panel(title, [p for p, _ in known], [v for _, v in known], marked) if known else None


def _headline_panel(
    report: Mapping[str, Any], position: str, curve: Sequence[Mapping[str, Any]], marked: float | None
) -> plots.Panel | None:
    """The headline score on the validation split."""
    name = report["headline"]
    unit = report["metrics"][name].get("unit", "fraction")
    found = [(entry, (entry.get("metrics") or {}).get(name)) for entry in curve]
    scores = [(entry, value if isinstance(value, Mapping) else {"value": value}) for entry, value in found]
    points = [(entry, _point(score, unit).value) for entry, score in scores]
    return _panel(f"validation {_with_unit(name, unit)}", position, points, marked)


def _flat(recorded: Mapping[str, Any]) -> dict[str, str]:
    """Nested mappings and lists in one line each."""

    def line(value: Any) -> str:
        if isinstance(value, Mapping):
            return ", ".join(f"{name} {line(part)}" for name, part in value.items())
        if isinstance(value, (list, tuple)):
            return ", ".join(map(line, value))
        return wording.NONE if value is None else str(value)

    return {name.replace("_", " "): line(value) for name, value in recorded.items()}
