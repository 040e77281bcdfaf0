"""The numbers of a diagnosis that fit in a table, on a page and in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from seqapps.diagnostics.alarms import reached, vanishes_within
from seqapps.report import wording

__all__ = ["Diagnoses", "format_diagnostics", "place_name", "places", "summary_rows", "token_name"]

Diagnoses: TypeAlias = Sequence[Mapping[str, Any]]  # diagnostics.json of each run


def places(diagnoses: Diagnoses) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    return ((run, place) for run in diagnoses for place in run["places"])


def place_name(place: Mapping[str, Any]) -> str:
    return f"layer {place['layer']} {place['direction']}"


def summary_rows(diagnoses: Diagnoses) -> list[dict[str, Any]]:
    """One row per run, layer and direction: what a terminal shows, too."""
    rows = []
    for run, place in places(diagnoses):
        gradient = place["gradient"]
        curve = gradient["states"]["whole"]["mean"][: reached(gradient)] if gradient["states"] else []
        gone = vanishes_within(gradient)
        rows.append(
            {
                "run": run["name"],
                "place": place_name(place),
                "cell": place["cell"],
                "at": {distance: curve[distance] if distance < len(curve) else None for distance in (1, 5, 10, 20)},
                "rate": _rate(curve),
                "gone": f"{gone}" if gone is not None else f"not in {len(curve) - 1}" if curve else wording.NONE,
                "singular": _median(place["jacobian"]["largest_singular_value"]),
                "radius": _median(place["jacobian"]["spectral_radius"]),
            }
        )
    return rows


def format_diagnostics(diagnoses: Diagnoses) -> list[Sequence[str]]:
    """Rows of text for a terminal, the first one their heads."""
    distances = ("1 step", "5 steps", "10 steps", "20 steps", "a step", "below 1/1000")
    rows: list[Sequence[str]] = [("run", "layer", "cell", *distances, "singular", "radius")]
    for row in summary_rows(diagnoses):
        numbers = [*row["at"].values(), row["rate"]]
        medians = [row["singular"], row["radius"]]
        rows.append((row["run"], row["place"], row["cell"], *map(short, numbers), row["gone"], *map(short, medians)))
    return rows


def short(value: float | None) -> str:
    """
    >>> short(0.5), short(0.00012), short(None)
    ('0.5', '0.00012', '–')
    """
    return wording.NONE if value is None else f"{value:.2g}"


def token_name(token: int) -> str:
    """
    >>> token_name(-1), token_name(0), token_name(-3), token_name(4)
    ('the token read last', 'the token read first', 'the 3rd token from the end', 'the 5th token')
    """
    if token in (-1, 0):
        return "the token read last" if token else "the token read first"
    place = -token if token < 0 else token + 1
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"the {place}{ending} token{' from the end' if token < 0 else ''}"


def _rate(curve: Sequence[float]) -> float | None:
    """By what a curve is multiplied per step on average, the first step left out: it leaves the direct way."""
    return (curve[-1] / curve[1]) ** (1 / (len(curve) - 2)) if len(curve) > 2 else None


def _median(values: Sequence[float] | None) -> float | None:
    return float(np.median(values)) if values else None
