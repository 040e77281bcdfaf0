"""What `report.json` holds.

    format         1
    name, task     of the run: "pos_bilstm", "tagging"
    created        ISO 8601
    split          the split that the report is about: "test"
    headline       the name of the score that sums up the task: "accuracy"
    metrics        name of a score -> Score.to_json()
    baselines      name -> {metrics}: the same scores of trivial models of the same data
    differences    name of a baseline -> Difference.to_json(): this model minus that baseline, paired
    tables         per_label, per_span_type, confusion, by_length, by_frequency, worst: see metrics.tagging_tables;
                   calibration, certain_errors: see metrics.classification; predicted, by_position, word_surprise,
                   sentence_surprise, pairs: see metrics.language_model; signatures, examples, lengths, words,
                   attention: see metrics.generation
    splits         further splits that were evaluated: name -> metrics
    training       curves: [{step, epoch, seconds, loss, learning_rate, metrics}], one per evaluation on the validation
                   split; best: the one that was kept; stopped: why training ended; seconds, steps, tokens_per_second
    data           source, licence, warning, notes, splits: {name: {sentences, tokens, ...}}, fingerprints
    model          parameters, parts: {name: parameters}
    conditions     of measurement: seed, device, precision, threads, versions, ...
    diagnostics    diagnostics.json of the run, added when the page is made: see diagnostics.diagnosis
    recipe         the complete recipe as YAML text
    warnings       what the reader should know before believing a number

Only format, name, task, split, headline and metrics must be there; what is missing is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from seqapps.errors import RunError

__all__ = ["FORMAT", "Strongest", "check_report", "strongest_baseline"]

FORMAT = 1

_REQUIRED: dict[str, type] = {"name": str, "task": str, "split": str, "headline": str, "metrics": Mapping}
_OPTIONAL: dict[str, type] = {
    "baselines": Mapping,
    "differences": Mapping,
    "tables": Mapping,
    "splits": Mapping,
    "training": Mapping,
    "data": Mapping,
    "model": Mapping,
    "conditions": Mapping,
    "diagnostics": Mapping,
    "recipe": str,
    "warnings": list,
}


class Strongest(NamedTuple):
    """The baseline with the best headline score, and this model's difference to it if that was measured."""

    name: str
    score: Mapping[str, Any]
    difference: Mapping[str, Any] | None


def check_report(report: Mapping[str, Any]) -> None:
    """Raises RunError, naming every part that is missing or of another type, unless `report` can be shown."""
    found = report.get("format")
    if found != FORMAT:
        raise RunError(
            f"report.json: format {found!r}, expected {FORMAT}; it was written by another version of seqapps"
        )
    faults = [f"{key!r} is missing" for key in _REQUIRED if report.get(key) is None]
    for key, kind in (_REQUIRED | _OPTIONAL).items():
        if report.get(key) is not None and not isinstance(report[key], kind):
            faults.append(f"{key!r} is {type(report[key]).__name__}, expected {kind.__name__}")
    if not faults and report["headline"] not in report["metrics"]:
        faults.append(f"the headline {report['headline']!r} is not among its metrics")
    if faults:
        raise RunError(f"report.json: {'; '.join(faults)}; evaluate the run again to rewrite it")


def strongest_baseline(report: Mapping[str, Any]) -> Strongest | None:
    """The baseline to compare with, or None if none has the headline score."""
    headline = report["headline"]
    sign = 1 if report["metrics"][headline].get("higher_is_better", True) else -1
    scores = {
        name: baseline["metrics"][headline]
        for name, baseline in (report.get("baselines") or {}).items()
        if baseline.get("metrics", {}).get(headline, {}).get("value") is not None
    }
    if not scores:
        return None
    name = max(scores, key=lambda name: sign * scores[name]["value"])
    difference = (report.get("differences") or {}).get(name)
    if difference is not None and (difference.get("metric") != headline or difference.get("value") is None):
        difference = None
    return Strongest(name, scores[name], difference)
