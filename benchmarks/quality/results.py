"""A measurement as JSON: what each seed reached, under which conditions, and the mean and deviation over seeds."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from benchmarks.quality.measurements import SEEDS, Measurement
from seqapps.engine.run_folder import RunFolder

__all__ = ["read_result", "read_run", "result_file", "summarise", "write_result"]

_CONDITIONS = (
    "versions",
    "device",
    "device_name",
    "precision",
    "matmul_precision",
    "threads",
    "cells",
    "deterministic",
)


def result_file(output: Path, name: str) -> Path:
    """Where the result of a measurement stands."""
    return output / f"quality_{name}.json"


def read_result(path: Path) -> dict[str, Any] | None:
    """A result, none if there is none."""
    return json.loads(path.read_text(encoding="utf8")) if path.is_file() else None


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """Written beside its place and renamed into it: whoever is stopped here leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf8")
    part.replace(path)


def read_run(folder: Path, command: str) -> dict[str, Any]:
    """What is kept of a finished run. Names of folders on this machine are not."""
    run = RunFolder.open(folder)
    page, environment = run.read_json("report.json"), run.read_json("environment.json")
    training, headline = page["training"], page["headline"]
    return {
        "seed": environment["seed"],
        "command": command,
        "created": environment["created"],
        "metric": headline,
        "split": page["split"],
        "metrics": page["metrics"],
        "validation": training["best"],
        "baselines": {name: _values(found["metrics"]) for name, found in page["baselines"].items()},
        "differences": page["differences"],
        "parameters": page["model"]["parameters"],
        "steps": training["steps"],
        "epochs": training["curves"][-1]["epoch"] if training["curves"] else None,
        "stopped": training["stopped"],
        "seconds": {
            "training": training["seconds"],
            "validation": round(sum(event["evaluation_seconds"] for event in training["curves"]), 3),
        },
        "splits": page["data"]["splits"],
        "fingerprints": environment["fingerprints"],
        "notes": [*page["data"]["notes"], *page["warnings"]],
        "machine": machine(),
        "conditions": {name: environment[name] for name in _CONDITIONS},
    }


def _values(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: score["value"] for name, score in metrics.items()}


def summarise(name: str, measurement: Measurement, recipe: str, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The result of a measurement, with the seeds that are still missing.

    Args:
        recipe: the complete recipe, seed 1.
        runs: as `read_run` gives them.
    """
    runs = sorted(runs, key=lambda run: run["seed"])
    done = [run["seed"] for run in runs]
    metrics = [runs[0]["metric"], *measurement.further]
    return {
        "name": name,
        "data": measurement.data,
        "file": f"recipes/{measurement.recipe}",
        "settings": list(measurement.settings),
        "published": measurement.published,
        "split": runs[0]["split"],
        "seeds": done,
        "missing": sorted({*SEEDS} - {*done}),
        "scores": {metric: _over_seeds(metric, runs) for metric in metrics},
        "recipe": recipe,
        "runs": runs,
    }


def _over_seeds(metric: str, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and sample standard deviation."""
    values = [run["metrics"][metric]["value"] for run in runs]
    baselines = [found for run in runs for found in run["baselines"].items()]
    names = dict.fromkeys(name for name, _ in baselines)
    return {
        "unit": runs[0]["metrics"][metric]["unit"],
        "mean": statistics.mean(values),
        "deviation": statistics.stdev(values) if len(values) > 1 else None,
        "values": values,
        "baselines": {
            name: statistics.mean(scores[metric] for found, scores in baselines if found == name) for name in names
        },
    }
