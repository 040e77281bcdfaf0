"""A measurement as JSON and as a table: speeds, their ratios within rounds, and the conditions."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.machine import machine
from benchmarks.tagging_speed.contestants import COMMON, NAMES, TIGHT, Setting
from benchmarks.tagging_speed.rounds import Speed

__all__ = ["conditions", "heading", "summary", "table"]

Speeds = Sequence[Mapping[str, Mapping[str, float]]]  # [round][contestant] -> fields of `Speed`
WALL, CPU = Speed._fields


def conditions(setting: Setting, source: str) -> dict[str, Any]:
    """Everything that a speed depends on, as far as we know it. Neither host nor file names."""
    corpus = setting.corpus
    return {
        "benchmark": "tagging_speed",
        "machine": machine(),
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in ("numpy", "seqapps", "torch")},
        "threads": setting.threads,
        "precision": "fp32",
        "data": {
            "source": source,
            "sentences": len(corpus.lengths),
            "tokens": len(corpus.words),
            "words": corpus.num_words,
            "labels": corpus.num_labels,
        },
        "options": asdict(setting.options),
    }


def summary(speeds: Speeds) -> dict[str, dict[str, list[float]]]:
    """For each contestant: lower quartile, median and upper quartile over rounds of its speed and of its ratios."""
    return {
        name: {
            WALL: _quartiles([one[name][WALL] for one in speeds], 0),
            f"over_{COMMON}": _ratios(speeds, name, COMMON, WALL),
            f"over_{TIGHT}": _ratios(speeds, name, TIGHT, WALL),
            f"over_{TIGHT}_cpu": _ratios(speeds, name, TIGHT, CPU),
        }
        for name in NAMES
    }


def _ratios(speeds: Speeds, name: str, base: str, clock: str) -> list[float]:
    return _quartiles([one[name][clock] / one[base][clock] for one in speeds], 3)


def _quartiles(values: Sequence[float], digits: int) -> list[float]:
    return [round(float(value), digits) for value in np.quantile(values, [0.25, 0.5, 0.75])]


def heading(about: Mapping[str, Any]) -> str:
    """The conditions on two lines."""
    data, options = about["data"], about["options"]
    return (
        "{source}: {sentences} sentences, {tokens} tokens, {words} words, {labels} labels\n".format(**data)
        + ", ".join(f"{name} {value:g}" for name, value in options.items())
        + f", threads {about['threads']}, fp32"
    )


def table(about: Mapping[str, Any]) -> str:
    """One line per contestant: median, and quartiles in brackets."""
    columns = (WALL, f"over_{COMMON}", f"over_{TIGHT}", f"over_{TIGHT}_cpu")
    rows = [("", "tokens/s", "x common practice", "x tight loop", "x tight loop, CPU time")]
    for name, values in about["summary"].items():
        cells = [
            f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"
            for digits, (low, middle, high) in zip((0, 2, 2, 2), (values[column] for column in columns), strict=True)
        ]
        rows.append((name, *cells))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        )
        for row in rows
    )
