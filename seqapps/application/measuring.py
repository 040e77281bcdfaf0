"""Measuring a model that is there: on another split, or on a file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqapps.data.indexed import IndexedSplit
from seqapps.data.requests import columns_of, label_list_columns, text_columns, written_columns
from seqapps.data.sources.reading import bare_suffix
from seqapps.data.sources.source import Places
from seqapps.engine.assembly import forms_of, length_notes, load_splits, requests_of, shortened, tokenized
from seqapps.engine.evaluation import bootstrap_of, predict_splits
from seqapps.engine.machine import resolve_arithmetic
from seqapps.engine.predictor import Predictor
from seqapps.engine.progress import Console
from seqapps.errors import DataError, UseError
from seqapps.recipe.recipe import Recipe
from seqapps.recipe.spec import Spec

__all__ = ["evaluate", "open_split", "places_of"]

PathLike = str | os.PathLike[str]


def evaluate(
    run: PathLike,
    *,
    split: str | None = None,
    file: PathLike | Sequence[PathLike] | None = None,
    data_root: PathLike | None = None,
    others: Sequence[PathLike] = (),
) -> dict[str, Any]:
    """Measure a run's model on a split of its data, or on a file of the same kind.

    Args:
        split: name of a split; none and no file = the first of the recipe's evaluation splits.
        file: read as the recipe's source reads its files, or by its ending: .conllu, .jsonl, .json, .csv, .tsv,
            .parquet. Of a model that writes a text for a text, two: what is read and what should be written, line by
            line.
        others: runs whose models predict together with this one, each with its own tokenizers and vocabularies; data
            and scores are those of the first.

    Returns:
        {"name", "task", "headline", "split", "metrics"}, metrics as in report.json.
    """
    if split is not None and file is not None:
        raise UseError("evaluate: give a split or a file, not both")
    predictor = Predictor(run, others=others)
    recipe, environment = predictor.recipe, predictor.folder.read_json("environment.json")
    name = split or recipe.evaluation.splits[0]
    files = [Path(one) for one in ([file] if isinstance(file, str | os.PathLike) else file or [])]
    if files:
        recipe, name = _recipe_for_files(recipe, files, environment["recognised"]), "test"
    splits = _splits(predictor, recipe, name, places_of(predictor, data_root))
    arithmetic = resolve_arithmetic(recipe.training, predictor.device)
    models = [one.model for one in predictor.together]
    with arithmetic.active():
        predictions = predict_splits(models, splits, recipe.data.batching, predictor.device, arithmetic.autocast)
    found = predictor.model.head.evaluate(splits[0], predictions, bootstrap_of(recipe.evaluation))
    return {
        "name": predictor.folder.path.name,
        "task": predictor.model.head.task,
        "headline": found.headline,
        "split": ", ".join(map(str, files)) or name,
        "metrics": found.metrics(),
    }


def _splits(predictor: Predictor, recipe: Recipe, name: str, places: Places) -> list[IndexedSplit]:
    """A split as each model reads it that predicts together with this one, itself first; all from the same data."""
    found = []
    for one in predictor.together:
        own = one.recipe.data
        data = dataclasses.replace(recipe.data, max_length=own.max_length, kept=own.kept)
        found.append(open_split(one, dataclasses.replace(recipe, model=one.recipe.model, data=data), name, places))
    return found


def open_split(predictor: Predictor, recipe: Recipe, name: str, places: Places) -> IndexedSplit:
    """A split of a recipe's data as the model of a run reads it."""
    _, datasets = load_splits(recipe, places, [], [name])
    requests, resources = requests_of(recipe.model), predictor.resources
    texts = tokenized(datasets[name], requests, name, resources.tokenizers)
    columns, longer = shortened(recipe, forms_of(texts, requests, name))
    for note in length_notes(recipe, {name: longer}):
        Console().say(f"warning: {note}")
    return IndexedSplit(columns, resources, name)


_READERS = {
    ".conllu": "conllu",
    ".jsonl": "tables",
    ".json": "tables",
    ".csv": "tables",
    ".tsv": "tables",
    ".parquet": "tables",
}


def places_of(predictor: Predictor, data_root: PathLike | None) -> Places:
    """Where the run looked for its data, unless told otherwise."""
    recorded = predictor.folder.read_json("environment.json")["places"]
    root = data_root if data_root is not None else recorded["data_root"]
    return Places(Path(recorded["recipe_folder"] or "."), Path(root) if root is not None else None)


def _recipe_for_files(recipe: Recipe, files: Sequence[Path], recognised: Mapping[str, str]) -> Recipe:
    """The recipe with `files` as its only split, `test`; tag schemes as they were `recognised` in the training data."""
    for file in files:
        if not file.is_file():
            raise DataError(f"{file}: no such file")
    source = _aligned(recipe, files) if len(files) > 1 else _of_file(recipe, files[0], recognised)
    return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, source=source, derive={}, limit=None))


def _aligned(recipe: Recipe, files: Sequence[Path]) -> Spec:
    """Two files as a source: what is read and what should be written, line by line."""
    requests, given = requests_of(recipe.model), recipe.data.source
    written = written_columns(requests)
    read = [column for column in text_columns(requests) if column not in written]
    if len(read) != 1 or len(written) != 1 or len(files) != 2:
        raise UseError(
            f"--file: {len(files)} files; two are for a model that writes a text for a text, what is read and then "
            "what should be written; for others give one"
        )
    names = [recipe.data.columns.get(column, column) for column in (*read, *written)]
    fields = {"test": [str(file.resolve()) for file in files], "names": names}
    if given.name == "parallel":
        fields["empty"] = given.fields["empty"]
    return Spec("sources", "parallel", fields)


def _of_file(recipe: Recipe, file: Path, recognised: Mapping[str, str]) -> Spec:
    """A file as a source: as the recipe's reads its files, or by its ending."""
    source = recipe.data.source
    path = str(file.resolve())
    if "test" in source.fields and not isinstance(source.fields["test"], int):  # a number of sequences is no file
        fields = {**source.fields, "train": None, "validation": None, "test": path}
        if source.fields.get("scheme") == "auto" and len(set(recognised.values())) == 1:
            fields |= {"scheme": next(iter(recognised.values())), "span_columns": list(recognised)}
        return dataclasses.replace(source, fields=fields)
    suffix = bare_suffix(file)
    if suffix not in _READERS:
        raise UseError(
            f"{file}: source {source.name!r} reads no files of its own and the ending {suffix!r} is not known; "
            f"use one of {', '.join(_READERS)}"
        )
    requests = requests_of(recipe.model)
    of_tokens = any(request.level == "label" for request in requests.values())  # else a text is text
    listed = columns_of(requests) if of_tokens else label_list_columns(requests)
    lists = {"lists": listed} if listed and suffix in (".csv", ".tsv") else {}
    return Spec("sources", _READERS[suffix], {"test": path, **lists})
