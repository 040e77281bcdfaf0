"""Gradients through time, Jacobians and gates of one run or of several, as a section of a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seqapps.diagnostics.alarms import VANISHED, reached
from seqapps.report import diagnostic_plots as plots
from seqapps.report.diagnostic_table import Diagnoses, place_name, places, summary_rows, token_name
from seqapps.report.section import Section

__all__ = ["diagnostics_section"]


def diagnostics_section(diagnoses: Diagnoses) -> Section:
    """Of `diagnostics.json` of one run, or of several in the same pictures."""
    first = diagnoses[0]
    panels = _panels(diagnoses)
    content = {
        "diagnoses": diagnoses,
        "several": len(diagnoses) > 1,
        "token": token_name(first["token"]),
        "differing": _differing(diagnoses),
        "decay_plot": _decay_plot(diagnoses, panels),
        "spread_plots": [plot for plot in (_spread_plot(panels, key) for key in _SPREADS) if plot],
        "gate_plot": _gate_plot(panels),
        "rows": summary_rows(diagnoses),
        "gate_rows": [
            {"run": run["name"], "place": place_name(place), "gate": name, **gate}
            for run, place in places(diagnoses)
            for name, gate in place["gates"].items()
        ],
        "matrix_rows": [
            {"run": run["name"], "place": place_name(place), "several": _has_blocks(place, matrix), **matrix}
            for run, place in places(diagnoses)
            for matrix in place["matrices"]
        ],
        "lanczos": any(place["jacobian"]["method"] == "lanczos" for _, place in places(diagnoses)),
        "left_out": sum(place["gradient"]["left_out"] for _, place in places(diagnoses)),
    }
    return Section("diagnostics", "Memory and gradients", content)


_SPREADS = {
    "largest_singular_value": "largest singular value of a step's Jacobian",
    "spectral_radius": "spectral radius of a step's Jacobian",
}


def _panels(diagnoses: Diagnoses) -> dict[str, list[tuple[int, str, Mapping[str, Any]]]]:
    """Title of a layer and direction -> (number of the run, its name, its entry) of the runs that have it."""
    panels: dict[str, list[tuple[int, str, Mapping[str, Any]]]] = {}
    numbers = {id(run): n for n, run in enumerate(diagnoses)}
    for run, place in sorted(places(diagnoses), key=lambda pair: (pair[1]["layer"], pair[1]["direction"] != "forward")):
        panels.setdefault(place_name(place), []).append((numbers[id(run)], run["name"], place))
    return panels


def _decay_plot(diagnoses: Diagnoses, panels: Mapping[str, Any]) -> str | None:
    """A curve per run for all states together; of a single run a curve per state."""
    drawn = []
    for title, entries in panels.items():
        curves = []
        for n, name, place in entries:
            gradient, length = place["gradient"], reached(place["gradient"])
            states = [state for state in gradient["states"] if state != "whole"]
            for number, state in enumerate(["whole"] if len(diagnoses) > 1 and states else states):
                found = {curve: values[:length] for curve, values in gradient["states"][state].items()}
                label = name if state == "whole" else f"state {state}"
                run = n if state == "whole" else number  # states of one run are told apart by colour, as runs are
                curves.append(plots.Decay(label, run, number, **found))
        if curves:
            drawn.append((title, curves))
    medians = [run["median_steps"] for run in diagnoses]
    return plots.decays(drawn, "steps before the token", VANISHED, medians) if drawn else None


def _spread_plot(panels: Mapping[str, Any], key: str) -> str | None:
    drawn = []
    for title, entries in panels.items():
        spreads = [
            plots.Spread(name, n, [max(1e-6, value) for value in place["jacobian"][key]])
            for n, name, place in entries
            if place["jacobian"][key]
        ]
        if spreads:
            drawn.append((title, spreads))
    return plots.spreads(drawn, _SPREADS[key]) if drawn else None


def _gate_plot(panels: Mapping[str, Any]) -> str | None:
    drawn: dict[str, list[plots.Histogram]] = {}
    for title, entries in panels.items():
        for n, name, place in entries:
            for gate, found in place["gates"].items():
                drawn.setdefault(f"{title}: {gate}", []).append(plots.Histogram(name, n, found["histogram"]))
    return plots.histograms(list(drawn.items()), "value of the gate") if drawn else None


def _has_blocks(place: Mapping[str, Any], matrix: Mapping[str, Any]) -> bool:
    return sum(other["matrix"] == matrix["matrix"] for other in place["matrices"]) > 1


def _differing(diagnoses: Diagnoses) -> str | None:
    """That runs were looked at on different sequences, which makes their curves hard to compare."""
    if len({(run["fingerprint"], run["sequences"]) for run in diagnoses}) > 1:
        return "The runs were looked at on different sequences; differences may be those of the data."
    return None
