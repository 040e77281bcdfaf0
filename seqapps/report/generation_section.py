"""What the page shows of written texts: examples, lengths and words, attention, and how sacreBLEU was set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seqapps.report import wording
from seqapps.report.generation_plots import attention_map, length_histogram
from seqapps.report.section import Section

__all__ = ["attention", "examples", "signatures", "written"]

_PARTS = {"even": "Throughout the split", "best": "Best", "worst": "Worst"}


def signatures(report: Mapping[str, Any]) -> Section | None:
    """What other scores must share with these before the two are compared."""
    found = {name: text for name, text in (_table(report, "signatures") or {}).items() if text}
    return Section("signatures", "Signatures", {"signatures": found}) if found else None


def examples(report: Mapping[str, Any]) -> Section | None:
    """Texts from throughout the split, the best and the worst ones, with what was read and what was expected."""
    table = _table(report, "examples")
    if not table or not any(table.get(name) for name in _PARTS):
        return None
    unit = report["metrics"].get(table["metric"], {}).get("unit", "fraction")
    parts = [
        {"title": title, "rows": [{**row, "shown": _score(row["score"], unit)} for row in table[name]]}
        for name, title in _PARTS.items()
        if table.get(name)
    ]
    return Section("examples", "Examples", {"metric": wording.title(table["metric"]), "parts": parts})


def written(report: Mapping[str, Any]) -> Section | None:
    """How long texts are beside their references, and which words come too often and too seldom."""
    rows, words = _table(report, "lengths"), _table(report, "words")
    texts = sum(row["written"] for row in rows or [])
    plot = None
    if rows and texts:
        edges = [row["low"] for row in rows] + [rows[-1]["high"] + 1]
        counts = {name: [row[name] for row in rows] for name in ("written", "references")}
        plot = length_histogram(edges, counts, "length in tokens")
    kinds = {"over": "Written too often", "under": "Written too seldom"}
    shown = [{"title": title, "rows": words[name]} for name, title in kinds.items() if words and words.get(name)]
    if plot is None and not shown:
        return None
    return Section("written", "Lengths and words", {"plot": plot, "words": shown})


def attention(report: Mapping[str, Any]) -> Section | None:
    """Which tokens were looked at while each was written."""
    found = _table(report, "attention")
    if not found:
        return None
    plots = [
        {
            "number": one["number"],
            "plot": attention_map(one["source"], one["target"], one["weights"], one.get("p_gen")),
        }
        for one in found
    ]
    return Section("attention", "Attention", {"plots": plots, "points": any("p_gen" in one for one in found)})


def _score(value: float, unit: str) -> str:
    return wording.score({"value": value, "unit": unit})


def _table(report: Mapping[str, Any], name: str) -> Any:
    return (report.get("tables") or {}).get(name)
