"""Heat maps of what gates and states do along sentences."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seqapps.report.html import page_from, write_page

__all__ = ["write_traces"]

_SHOWN = 10  # sequences on the page
_TOKENS = 60  # of one of them


def write_traces(
    index: Mapping[str, Any],
    traced: Sequence[Sequence[tuple[Any, Any]]],
    units: Mapping[tuple[int, str], Sequence[int]],
    path: str | os.PathLike[str],
) -> None:
    """Write the page: tokens from left to right, a row per unit, for each layer and direction.

    Args:
        index: what `traces.json` holds.
        traced: for each sequence pairs of a trace and its values (T, units).
        units: (layer, direction) -> the units that are shown.
    """
    sequences = []
    for number, traces in enumerate(traced[:_SHOWN]):
        tokens = index["sequences"][number]["tokens"]
        tables: dict[tuple[int, str], list[dict[str, Any]]] = {}
        for trace, values in traces:
            place = (trace.layer, trace.direction)
            tables.setdefault(place, []).append(_group(trace, values.numpy()[:_TOKENS], units[place]))
        sequences.append(
            {
                "number": number,
                "tokens": tokens[:_TOKENS],
                "cut": len(tokens) - _TOKENS if len(tokens) > _TOKENS else 0,
                "tables": [{"title": f"layer {la} {d}", "groups": groups} for (la, d), groups in tables.items()],
            }
        )
    more = len(traced) - _SHOWN if len(traced) > _SHOWN else 0
    write_page(page_from("traces.html", index=index, sequences=sequences, more=more), path)


def _group(trace: Any, values: np.ndarray, units: Sequence[int]) -> dict[str, Any]:
    """Rows of one tensor. Gates are shaded from 0 to 1, all else by sign up to the largest value that is shown."""
    shown = [unit for unit in units if unit < values.shape[1]]
    part = values[:, shown]
    largest = 1.0 if trace.kind == "gate" else float(np.abs(part).max(initial=0.0)) or 1.0
    rows = [
        {
            "unit": unit,
            "cells": [
                {
                    "value": f"{value:.3f}",
                    "side": "gate" if trace.kind == "gate" else "negative" if value < 0 else "positive",
                    "share": abs(value) / largest,
                }
                for value in part[:, column].tolist()
            ],
        }
        for column, unit in enumerate(shown)
    ]
    scale = "0 to 1" if trace.kind == "gate" else f"±{largest:.2g}"
    return {"name": trace.name, "kind": trace.kind, "scale": scale, "rows": rows}
