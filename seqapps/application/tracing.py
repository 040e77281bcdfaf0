"""Writing down what a model's gates and states do along given sentences."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqapps.application.diagnosing import check_recurrent
from seqapps.data.batching import sorted_batches
from seqapps.data.indexed import IndexedSplit
from seqapps.diagnostics.traces import Trace, index_entry, trace_batch, varying_units
from seqapps.engine.formats import Example
from seqapps.engine.predictor import Predictor
from seqapps.engine.run_folder import RunFolder
from seqapps.errors import DataError, UseError
from seqapps.recipe.recipe import Batching

__all__ = ["trace"]

PathLike = str | os.PathLike[str]
_POSITIONS = 2048  # of a batch
_UNITS = 8  # shown unless others are asked for
FORMAT = 1


def trace(
    predictor: Predictor,
    examples: Iterable[Example],
    *,
    units: Sequence[int] | None = None,
    limit: int = 100,
    output: PathLike | None = None,
    name: str = "input",
) -> dict[str, Any]:
    """Write `traces.safetensors`, `traces.json` (the index) and `traces.html` (heat maps).

    Args:
        examples: as `predictor.read` gives them; those without tokens are left out.
        units: shown in the heat maps; none = the ones whose first state varies most.
        limit: how many sequences are traced; what comes after them is not read.
        output: folder; none = the run's.
        name: of the input, for messages.

    Returns:
        The index: format, run, limit, more (was there anything after the last one?), sequences: [{tokens}], tensors:
        key -> {sequence, layer, direction, kind, name, shape}. A key is `<sequence>/layer<n>/<direction>/<name>`; a
        tensor's first dimension is the token, in reading order for both directions; float32.
    """
    check_recurrent(predictor)
    filled = (example for example in examples if example.tokens)
    chosen = list(itertools.islice(filled, limit))
    if not chosen:
        raise DataError(f"{name}: there is no token in it; give at least one sentence")
    more = next(filled, None) is not None
    split = predictor.indexed(chosen)
    columns = predictor.resources.input_columns[:1]
    texts = [split.strings(column, row) for column in columns for row in range(len(split))]
    traced = _traced(predictor, split)
    folder = _folder(predictor, output)
    shown = _shown_units(traced, units)
    index = {
        "format": FORMAT,
        "run": predictor.folder.path.name,
        "limit": limit,
        "more": more,
        "sequences": [{"tokens": tokens} for tokens in texts or [example.tokens for example in chosen]],
        "tensors": {f"{n}/{one.key}": index_entry(n, one) for n, traces in enumerate(traced) for one in traces},
    }
    folder.write_tensors("traces.safetensors", {f"{n}/{t.key}": t.values for n, ts in enumerate(traced) for t in ts})
    folder.write_json("traces.json", index)
    from seqapps.report.traces import write_traces

    maps = [[(one, one.values.flatten(1)) for one in traces] for traces in traced]
    folder.write("traces.html", lambda path: write_traces(index, maps, shown, path))
    return index


def _traced(predictor: Predictor, split: IndexedSplit) -> list[list[Trace]]:
    traced: list[list[Trace]] = [[] for _ in range(len(split))]
    for rows in sorted_batches(split.lengths, Batching(tokens=_POSITIONS)):
        found = trace_batch(predictor.model, split.batch(rows).to(predictor.device))
        for row, traces in zip(rows.tolist(), found, strict=True):
            traced[row] = traces
    return traced


def _folder(predictor: Predictor, output: PathLike | None) -> RunFolder:
    if output is None:
        return predictor.folder
    path = Path(output)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UseError(f"{path}: the folder cannot be made ({error.strerror}); give another --output") from None
    return RunFolder(path)


def _shown_units(traced: list[list[Trace]], units: Sequence[int] | None) -> dict[tuple[int, str], list[int]]:
    """(layer, direction) -> units. UseError if a cell has no unit of that number."""
    first: dict[tuple[int, str], list[Any]] = {}
    for traces in traced:
        for one in traces:
            if one.kind == "state" and one.name == "h":
                first.setdefault((one.layer, one.direction), []).append(one.values)
    if units is None:
        return {place: varying_units(values, _UNITS) for place, values in first.items()}
    smallest = min(int(np.prod(values[0].shape[1:])) for values in first.values())
    wrong = [unit for unit in units if not 0 <= unit < smallest]
    if wrong:
        raise UseError(f"--units: there is no unit {wrong[0]}; they are numbered 0 to {smallest - 1}")
    return {place: list(dict.fromkeys(units)) for place in first}
