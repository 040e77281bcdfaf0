"""Looking into the memory of trained models."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seqapps.application.measuring import open_split, places_of
from seqapps.application.reporting import report
from seqapps.diagnostics.clipping import clipped_share
from seqapps.diagnostics.diagnosis import diagnose_model
from seqapps.diagnostics.recording import recurrent_cells
from seqapps.engine.assembly import fingerprint
from seqapps.engine.predictor import Predictor
from seqapps.engine.run_folder import RunFolder
from seqapps.errors import ComponentError, RunError, UseError

__all__ = ["check_recurrent", "diagnose"]

PathLike = str | os.PathLike[str]
COMPARED = 4  # runs, at most, in one chart


def diagnose(
    runs: Sequence[PathLike],
    *,
    split: str | None = None,
    sequences: int = 100,
    token: int = -1,
    data_root: PathLike | None = None,
    output: PathLike | None = None,
) -> list[dict[str, Any]]:
    """Gradients through time, Jacobians and gates of each run's model; see `seqapps.diagnostics`.

    Each run gets `diagnostics.json` and, where it has a report, a section in it.

    Args:
        split: of the runs' data; none = validation, or the recipe's first evaluation split where there is no such.
        sequences: how many are looked at.
        token: whose loss is looked at, as each direction reads: -1 the last token, 0 the first.
        output: one page that compares all of them.

    Returns:
        What was written to each diagnostics.json: name, split, fingerprint, clipping, and what
        `seqapps.diagnostics.diagnosis` says.
    """
    folders = [RunFolder.open(run) for run in runs]
    if len(folders) > COMPARED:
        raise UseError(f"diagnose: {len(folders)} runs, but a chart shows {COMPARED} at most; give fewer")
    twice = [path for path, count in Counter(folder.path.resolve() for folder in folders).items() if count > 1]
    if twice:
        raise UseError(f"{twice[0]}: given twice; name each run once")
    if output is not None and not Path(output).parent.is_dir():
        raise UseError(f"{output}: there is no folder {str(Path(output).parent)!r}; make it or give another --output")
    found = [_diagnosis(folder, split, sequences, token, data_root) for folder in folders]
    for folder, diagnosis in zip(folders, found, strict=True):
        folder.write_json("diagnostics.json", diagnosis)
        if folder.has("report.json"):
            report(folder.path)
    if output is not None:
        from seqapps.report.comparison import write_comparison

        if len({diagnosis["name"] for diagnosis in found}) < len(found):
            found = [{**d, "name": str(folder.path)} for folder, d in zip(folders, found, strict=True)]
        write_comparison(found, Path(output))
    return found


def check_recurrent(predictor: Predictor) -> None:
    """RunError naming the run if its encoder has no recurrent cells."""
    try:
        recurrent_cells(predictor.model.encoder)
    except ComponentError as error:
        raise RunError(f"{predictor.folder.path}: {error}") from error


def _diagnosis(
    folder: RunFolder, split: str | None, sequences: int, token: int, data_root: PathLike | None
) -> dict[str, Any]:
    predictor = Predictor(folder.path, device="cpu")
    recipe = predictor.recipe
    check_recurrent(predictor)
    if split is None:
        known = folder.read_json("environment.json")["fingerprints"]
        split = "validation" if "validation" in known else recipe.evaluation.splits[0]
    ready = open_split(predictor, recipe, split, places_of(predictor, data_root))
    diagnosed = diagnose_model(predictor.model, ready, sequences=sequences, token=token)
    return {
        "name": folder.path.name,
        "split": ready.name,
        "fingerprint": fingerprint(ready.columns),
        "clipping": clipped_share(folder.journal(), recipe.training.clip_norm),
        **diagnosed,
    }
