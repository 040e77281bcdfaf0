"""What a finished run says of itself: report.json, report.html, README.md and predictions.jsonl."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from seqapps.engine.assembly import OpenedData
from seqapps.engine.evaluation import bootstrap_of, compare_baselines, predict_split
from seqapps.engine.fitting import Fit
from seqapps.engine.machine import Arithmetic
from seqapps.engine.model import part_sizes
from seqapps.engine.run_folder import RunFolder
from seqapps.recipe.recipe import Recipe

__all__ = ["report", "write_report"]


def write_report(recipe: Recipe, data: OpenedData, fit: Fit, arithmetic: Arithmetic, folder: RunFolder) -> None:
    """Evaluate the kept model and write report.json, report.html, README.md and predictions.jsonl."""
    model, bootstrap = fit.loop.model, bootstrap_of(recipe.evaluation)
    first, *others = recipe.evaluation.splits
    split = data.splits[first]
    predictions = predict_split(model, split, recipe.data.batching, arithmetic.device, arithmetic.autocast)
    found = model.head.evaluate(split, predictions, bootstrap)
    page: dict[str, Any] = {
        "format": 1,
        "name": folder.path.name,
        "task": model.head.task,
        "headline": found.headline,
        "split": first,
        "metrics": found.metrics(),
        "baselines": {},
        "differences": {},
        "tables": dict(found.tables),
        "splits": {},
    }
    if recipe.evaluation.baselines:
        page.update(compare_baselines(model, data.splits["train"], split, found, bootstrap))
    for name in others:
        other = data.splits[name]
        predicted = predict_split(model, other, recipe.data.batching, arithmetic.device, arithmetic.autocast)
        page["splits"][name] = model.head.evaluate(other, predicted, bootstrap).metrics()
    page.update(_conditions(recipe, data, fit, folder))
    folder.write_lines("predictions.jsonl", (model.head.record(split, row, one) for row, one in enumerate(predictions)))
    folder.write_json("report.json", page)
    report(folder.path)


def _conditions(recipe: Recipe, data: OpenedData, fit: Fit, folder: RunFolder) -> dict[str, Any]:
    """The part of a report that says how its numbers came about."""
    environment = folder.read_json("environment.json")
    progress = fit.progress
    evaluations = [event for event in folder.journal() if event["event"] == "evaluation"]
    notes = list(environment["notes"])
    warnings = [data.source.warning] if data.source.warning else []
    if progress.stopped == "interrupt":
        warnings.append("training was interrupted: this is the best model until then")
    return {
        "created": environment["created"],
        "training": {
            "curves": evaluations,
            "best": {
                "metric": fit.metric,
                "value": progress.best,
                "step": progress.best_step,
                "epoch": progress.best_epoch,
            },
            "stopped": progress.stopped,
            "finished": progress.stopped != "interrupt",
            "seconds": round(progress.seconds, 3),
            "steps": fit.loop.position.step,
            "tokens_per_second": round(progress.tokens / progress.seconds, 1) if progress.seconds else None,
        },
        "data": {
            "source": recipe.data.source.name,
            "licence": data.source.licence,
            "warning": data.source.warning,
            "splits": {
                name: {"sentences": len(split), "tokens": int(split.lengths.sum())}
                for name, split in data.splits.items()
            },
            "fingerprints": data.fingerprints,
            "notes": notes,
        },
        "model": {
            "parameters": sum(p.numel() for p in fit.loop.model.parameters()),
            "parts": part_sizes(fit.loop.model),
        },
        "conditions": {
            name: value for name, value in environment.items() if name not in ("notes", "fingerprints", "created")
        },
        "recipe": (folder / "recipe.yaml").read_text(encoding="utf8"),
        "warnings": warnings,
    }


def report(run: str | os.PathLike[str]) -> Path:
    """Write report.html and README.md of a run anew from its report.json, and diagnostics.json if it is there.

    Returns the page's path.
    """
    from seqapps.report import model_card, write_html

    folder = RunFolder.open(run)
    page = folder.read_json("report.json")
    if folder.has("diagnostics.json"):
        page["diagnostics"] = folder.read_json("diagnostics.json")
    folder.write("report.html", lambda path: write_html(page, path))
    folder.write_text("README.md", model_card(page))
    return folder / "report.html"
