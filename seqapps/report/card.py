"""README.md of a run folder: what the model is, what it was measured to do, and under which terms."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from seqapps.report import wording
from seqapps.report.text import headline, verdict

__all__ = ["model_card"]

# Task -> commands for the model.
_USES = {
    "": ("seqapps predict . FILE           # a text a line, - for standard input",),
    "language_model": (
        "seqapps score . FILE             # a natural-log probability a line",
        'seqapps generate . --prompt "..."  # what comes next',
    ),
}


def model_card(report: Mapping[str, Any]) -> str:
    """The card as Markdown, every name and note of the data escaped.

    Raises RunError if the report does not hold what `seqapps.report.report` says.
    """
    parts = [
        f"# {_escape(report.get('name', ''))}",
        _escape(headline(report)),
        _escape(verdict(report) or ""),
        *(f"> **Warning:** {_escape(warning)}" for warning in report.get("warnings") or []),
        "## Use\n\n"
        + "".join(f"    {line}\n" for line in _USES.get(report.get("task", ""), _USES[""]))
        + "    seqapps evaluate . --file FILE   # measure it on other data\n\n"
        'In Python: `seqapps.load(".")`. `report.html` shows learning curves, and where the model does well and badly.',
        "## Scores\n\n" + _scores(report),
        _training(report),
        _data(report),
        "## Limits\n\n"
        "The scores hold for text like the one it was measured on, labelled in the same way; expect less on other\n"
        "kinds of text. The intervals, where given, reflect the sample of sentences, not the seed of training.",
        _recipe(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _scores(report: Mapping[str, Any]) -> str:
    models = {"this model": report["metrics"]}
    models |= {wording.title(name): part.get("metrics", {}) for name, part in (report.get("baselines") or {}).items()}
    rows = []
    for name, score in report["metrics"].items():
        unit = score.get("unit", "fraction")
        cells = []
        for metrics in models.values():
            found = metrics.get(name) or {}
            text = wording.number(found.get("value"), unit, 2)
            if found.get("interval"):
                text += f" ({wording.interval(found['interval'], unit, 2)})"
            cells.append(text)
        measured = f"{wording.count(score['count'])} {score['of']}" if "count" in score and "of" in score else ""
        rows.append([wording.title(name) + (" %" if unit == "fraction" else ""), *cells, measured])
    return _table([f"{report['split']} split", *models, "measured on"], rows)


def _training(report: Mapping[str, Any]) -> str:
    training, model, conditions = (report.get(key) or {} for key in ("training", "model", "conditions"))
    facts = [
        f"{wording.count(model['parameters'])} parameters" if model.get("parameters") else "",
        f"trained for {wording.duration(training['seconds'])}" if training.get("seconds") else "",
        f"seed {conditions['seed']}" if conditions.get("seed") is not None else "",
        f"on {conditions['device']}" if conditions.get("device") else "",
        f"made {wording.moment(report['created'])}" if report.get("created") else "",
    ]
    line = ", ".join(fact for fact in facts if fact)
    return f"## Model\n\nTask: {_escape(report['task'])}. {_escape(line[:1].upper() + line[1:])}" if line else ""


def _data(report: Mapping[str, Any]) -> str:
    data = report.get("data") or {}
    if not data:
        return ""
    lines = [
        f"Source: {_escape(str(data.get('source') or wording.NONE))}. "
        f"Licence: {_escape(str(data.get('licence') or 'not stated by the source'))}.",
    ]
    if data.get("warning"):
        lines.append(f"> {_escape(data['warning'])}")
    splits = data.get("splits") or {}
    if splits:
        columns = list(dict.fromkeys(column for sizes in splits.values() for column in sizes))
        rows = [[name, *(_size(sizes.get(column)) for column in columns)] for name, sizes in splits.items()]
        lines.append(_table(["split", *columns], rows))
    if data.get("notes"):
        lines.append("\n".join(f"- {_escape(str(note))}" for note in data["notes"]))
    return "## Data\n\n" + "\n\n".join(lines)


def _recipe(report: Mapping[str, Any]) -> str:
    text = report.get("recipe")
    if not text:
        return ""
    fence = "`" * (2 + max((len(run) for run in re.findall("`+", text)), default=1))
    fence = max(fence, "```", key=len)
    return f"## Recipe\n\n{fence}yaml\n{text.rstrip()}\n{fence}"


def _size(value: Any) -> str:
    return wording.count(value) if isinstance(value, int) else wording.NONE if value is None else str(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    lines = [[cell if line is lines[1] else _escape(cell) for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escape(text: str) -> str:
    """Text that Markdown and HTML inside it leave as it is, in one line."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", " ".join(text.split()))
