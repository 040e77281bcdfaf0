"""What a user asks for, in one call each: run a recipe, load, evaluate, report, plan."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from seqapps.data.batching import BatchSampler
from seqapps.data.indexed import IndexedSplit, read_forms
from seqapps.data.sources.source import Places
from seqapps.engine.assembly import OpenedData, freeze, load_splits, open_data, requests_of
from seqapps.engine.checkpoint import load_model_tensors
from seqapps.engine.evaluation import bootstrap_of, compare_baselines, predict_split
from seqapps.engine.fitting import Fit
from seqapps.engine.machine import Arithmetic, components, resolve_arithmetic, resolve_device, versions
from seqapps.engine.model import Model, build_model, part_sizes
from seqapps.engine.predictor import Predictor
from seqapps.engine.progress import Console
from seqapps.engine.run_folder import RunFolder
from seqapps.engine.training import Clipping, Loop, Position
from seqapps.engine.transfer import start_from
from seqapps.errors import DataError, RunError, UseError
from seqapps.recipe import dump_recipe, load_recipe
from seqapps.recipe.recipe import Recipe
from seqapps.recipe.spec import Spec

__all__ = ["evaluate", "load", "missing_data", "report", "run"]

PathLike = str | os.PathLike[str]

# Fields that may differ when a run is resumed: how long it goes on, and how often it saves.
_RESUMABLE = ("epochs", "max_steps", "max_seconds", "save_every")


def run(
    recipe: PathLike,
    *,
    output: PathLike | None = None,
    settings: Sequence[str] = (),
    data_root: PathLike | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> RunFolder:
    """Train and evaluate the model of a recipe; everything ends up in the run folder.

    Args:
        recipe: a YAML file.
        output: the run folder; none = runs/<name of the recipe>.
        settings: "training.seed=2" and the like, on top of the file.
        data_root: where relative data files are looked for first.
        resume: go on with the run that is in `output`, on the trajectory on which it was; if it has finished, that is that.
        overwrite: replace the run that is in `output`, once the new one is ready to start.

    Raises:
        RecipeError, DataError, RunError and other UseErrors before anything is written; TrainingError while training.
    """
    path = Path(recipe)
    checked = load_recipe(path, settings)
    folder = RunFolder(output if output is not None else Path("runs") / checked.name)
    if folder.exists and not (resume or overwrite):
        raise RunError(f"{folder.path}: there is a run already; --resume goes on with it, --overwrite replaces it")
    if resume and overwrite:
        raise UseError("--resume and --overwrite exclude each other; give one of them")
    resuming = resume and folder.exists
    if resuming:
        _check_resumable(folder, checked)
        if folder.finished and not _goes_on(folder, checked):
            Console().say(f"{folder.path}: the run has finished; nothing to resume")
            return folder
    arithmetic = resolve_arithmetic(checked.training, resolve_device(checked.training.device))
    places = Places(path.resolve().parent, Path(data_root) if data_root is not None else None)
    with arithmetic.active():
        data = open_data(checked, places)
        if resuming:
            _check_fingerprints(folder, data)
        model, notes = _new_model(checked, data, arithmetic, places)
        fit = _fit(checked, data, model, arithmetic, folder)
        with _locked(folder):
            if resuming:
                fit.resume()
            else:
                folder.clear()
                _write_beginning(folder, checked, data, model, arithmetic, notes, path)
            _train_and_report(checked, data, fit, arithmetic, folder)
    return folder


def _check_resumable(folder: RunFolder, recipe: Recipe) -> None:
    """RunError if the recipe differs from the run's in more than how long it goes on."""
    before = load_recipe(folder / "recipe.yaml")
    same = dataclasses.replace(
        recipe,
        name=before.name,
        training=dataclasses.replace(recipe.training, **{f: getattr(before.training, f) for f in _RESUMABLE}),
    )
    if dump_recipe(same) != dump_recipe(before):
        ours, theirs = dump_recipe(same).splitlines(), dump_recipe(before).splitlines()
        differing = next((a for a, b in zip(ours, theirs, strict=False) if a != b), "")
        raise RunError(
            f"{folder.path}: its recipe differs from this one (here: {differing.strip()!r}); resume with the recipe it was "
            "started with, or give another --output"
        )
    if not folder.has("state.safetensors") and not folder.has("resources.json"):
        raise RunError(f"{folder.path}: stopped before it began; run it with --overwrite")


def _goes_on(folder: RunFolder, recipe: Recipe) -> bool:
    """Did the finished run end at a limit that the recipe now sets higher?"""
    stopped = folder.read_json("report.json")["training"]["stopped"]
    if stopped not in _RESUMABLE:
        return False
    before, now = (getattr(r.training, stopped) for r in (load_recipe(folder / "recipe.yaml"), recipe))
    return now is None or now > before


def _check_fingerprints(folder: RunFolder, data: OpenedData) -> None:
    before = folder.read_json("environment.json")["fingerprints"]
    changed = [name for name, print_ in data.fingerprints.items() if before.get(name) != print_]
    if changed:
        raise RunError(f"{folder.path}: the data changed since it was started (split {changed[0]!r}); start a new run")


def _new_model(recipe: Recipe, data: OpenedData, arithmetic: Arithmetic, places: Places) -> tuple[Model, list[str]]:
    """The model as training begins with it, on its device; everything random follows from the recipe's seed."""
    torch.manual_seed(recipe.training.seed)
    model = build_model(recipe.model, data.resources.vocabularies, recipe.training.kernels)
    notes = []
    for key, vectors in data.vectors.items():
        for module in model.modules():
            if hasattr(module, "load_vectors") and module.column == key:
                found = module.load_vectors(data.resources.vocabularies[key], vectors)
                notes.append(
                    f"{found} of {len(data.resources.vocabularies[key])} words of {key} start from pretrained vectors"
                )
    if recipe.model.init_from is not None:
        origin = RunFolder.open(_relative_run(recipe.model.init_from.run, places))
        notes += start_from(model, data.resources, origin, list(recipe.model.init_from.parts))
    frozen = freeze(model, recipe.model.freeze)
    if frozen:
        notes.append(f"{frozen} parameters are frozen")
    if not any(p.requires_grad for p in model.parameters()):
        raise UseError("model.freeze: nothing is left to train; freeze less")
    return model.to(arithmetic.device), notes


def _relative_run(name: str, places: Places) -> Path:
    """A run folder relative to the recipe, or to where the command is given."""
    beside = places.recipe_folder / name
    return beside if beside.exists() else Path(name)


def _fit(recipe: Recipe, data: OpenedData, model: Model, arithmetic: Arithmetic, folder: RunFolder) -> Fit:
    training = recipe.training
    train = data.splits["train"]
    sampler = BatchSampler(train.lengths, recipe.data.batching, training.seed)
    planned = -(-len(sampler.epoch(0)) // training.accumulate) * training.epochs
    if training.max_steps is not None:
        planned = min(planned, training.max_steps)
    trainable = [p for p in model.parameters() if p.requires_grad]
    loop = Loop(
        model,
        training.optimizer.build(parameters=trainable),
        training.schedule.build(),
        train,
        sampler,
        Position(),
        total_steps=planned,
        epochs=training.epochs,
        device=arithmetic.device,
        accumulate=training.accumulate,
        clipping=Clipping(training.clip_norm, training.clip_value),
        autocast=arithmetic.autocast,
        scaler=torch.amp.GradScaler(arithmetic.device.type) if arithmetic.precision == "fp16" else None,
    )
    return Fit(loop, folder, recipe, data.splits.get("validation"), Console())


@contextlib.contextmanager
def _locked(folder: RunFolder) -> Iterator[None]:
    folder.lock()
    try:
        yield
    finally:
        folder.unlock()


def _specs(recipe: Recipe) -> list[Spec]:
    others = (recipe.data.source, recipe.data.tokenizer, recipe.training.optimizer, recipe.training.schedule)
    return [*recipe.model.specs(), *(inner for spec in others for inner in spec.walk())]


def _write_beginning(
    folder: RunFolder,
    recipe: Recipe,
    data: OpenedData,
    model: Model,
    arithmetic: Arithmetic,
    notes: list[str],
    path: Path,
) -> None:
    """What is known before training; the recipe last, since it is what makes a folder a run."""
    folder.write_json("resources.json", data.resources.to_json())
    folder.write_json(
        "environment.json",
        {
            "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "versions": versions(_specs(recipe)),
            "components": components(_specs(recipe)),
            "platform": platform.platform(),
            "processor": torch.backends.cpu.get_cpu_capability(),
            "device": str(arithmetic.device),
            "device_name": torch.cuda.get_device_name(arithmetic.device) if arithmetic.device.type == "cuda" else None,
            "precision": arithmetic.precision,
            "matmul_precision": arithmetic.matmul_precision,
            "threads": arithmetic.threads,
            "deterministic": arithmetic.deterministic,
            "kernels": recipe.training.kernels,
            "seed": recipe.training.seed,
            "fingerprints": data.fingerprints,
            "notes": [*data.notes, *notes],
        },
    )
    folder.write_text("recipe.yaml", dump_recipe(recipe))
    folder.append({"event": "start", "recipe": path.name, "parameters": sum(p.numel() for p in model.parameters())})


def _train_and_report(recipe: Recipe, data: OpenedData, fit: Fit, arithmetic: Arithmetic, folder: RunFolder) -> None:
    if fit.watcher is not None and isinstance(fit.watcher, Console):
        fit.watcher.begin(recipe, data, fit.loop, folder.path)
    stopped = fit.run()
    if fit.watcher is not None and isinstance(fit.watcher, Console):
        fit.watcher.end()
    folder.append({"event": "end", "stopped": stopped, "seconds": round(fit.progress.seconds, 3)})
    model = fit.loop.model
    tensors, _ = folder.read_tensors("model.safetensors")
    load_model_tensors(model, tensors, str(folder / "model.safetensors"))
    _write_report(recipe, data, fit, arithmetic, folder)
    fit.save()


def _write_report(recipe: Recipe, data: OpenedData, fit: Fit, arithmetic: Arithmetic, folder: RunFolder) -> None:
    """Evaluate the kept model and write report.json, report.html, README.md and predictions.jsonl."""
    model, bootstrap = fit.loop.model, bootstrap_of(recipe.evaluation)
    first, *others = recipe.evaluation.splits
    split = data.splits[first]
    predictions = predict_split(model, split, recipe.data.batching, arithmetic.device, arithmetic.autocast)
    found = model.head.evaluate(split, predictions, bootstrap)
    page: dict[str, Any] = {
        "format": 1,
        "name": folder.path.name,
        "task": model.head.task,
        "headline": found.headline,
        "split": first,
        "metrics": found.metrics(),
        "baselines": {},
        "differences": {},
        "tables": dict(found.tables),
        "splits": {},
    }
    if recipe.evaluation.baselines:
        page.update(compare_baselines(model, data.splits["train"], split, found, bootstrap))
    for name in others:
        other = data.splits[name]
        predicted = predict_split(model, other, recipe.data.batching, arithmetic.device, arithmetic.autocast)
        page["splits"][name] = model.head.evaluate(other, predicted, bootstrap).metrics()
    page.update(_conditions(recipe, data, fit, folder))
    folder.write_lines("predictions.jsonl", (model.head.record(split, row, one) for row, one in enumerate(predictions)))
    folder.write_json("report.json", page)
    report(folder.path)


def _conditions(recipe: Recipe, data: OpenedData, fit: Fit, folder: RunFolder) -> dict[str, Any]:
    """The part of a report that says how its numbers came about."""
    environment = folder.read_json("environment.json")
    progress = fit.progress
    evaluations = [event for event in folder.journal() if event["event"] == "evaluation"]
    notes = list(environment["notes"])
    warnings = [data.source.warning] if data.source.warning else []
    if progress.stopped == "interrupt":
        warnings.append("training was interrupted: this is the best model until then")
    return {
        "created": environment["created"],
        "training": {
            "curves": evaluations,
            "best": {
                "metric": fit.metric,
                "value": progress.best,
                "step": progress.best_step,
                "epoch": progress.best_epoch,
            },
            "stopped": progress.stopped,
            "finished": progress.stopped != "interrupt",
            "seconds": round(progress.seconds, 3),
            "steps": fit.loop.position.step,
            "tokens_per_second": round(progress.tokens / progress.seconds, 1) if progress.seconds else None,
        },
        "data": {
            "source": recipe.data.source.name,
            "licence": data.source.licence,
            "warning": data.source.warning,
            "splits": {
                name: {"sentences": len(split), "tokens": int(split.lengths.sum())}
                for name, split in data.splits.items()
            },
            "fingerprints": data.fingerprints,
            "notes": notes,
        },
        "model": {
            "parameters": sum(p.numel() for p in fit.loop.model.parameters()),
            "parts": part_sizes(fit.loop.model),
        },
        "conditions": {
            name: value for name, value in environment.items() if name not in ("notes", "fingerprints", "created")
        },
        "recipe": (folder / "recipe.yaml").read_text(encoding="utf8"),
        "warnings": warnings,
    }


def report(run: PathLike) -> Path:
    """Write report.html and README.md of a run anew from its report.json; returns the page's path."""
    from seqapps.report import model_card, write_html

    folder = RunFolder.open(run)
    page = folder.read_json("report.json")
    folder.write("report.html", lambda path: write_html(page, path))
    folder.write_text("README.md", model_card(page))
    return folder / "report.html"


def load(run: PathLike, *, device: str = "auto") -> Predictor:
    """The model of a run, ready to predict."""
    return Predictor(run, device=device)


def evaluate(
    run: PathLike, *, split: str | None = None, file: PathLike | None = None, data_root: PathLike | None = None
) -> dict[str, Any]:
    """Measure a run's model on a split of its data, or on a file of the same kind.

    Args:
        split: name of a split; none and no file = the first of the recipe's evaluation splits.
        file: read as the recipe's source reads its files, or by its ending: .conllu, .jsonl, .json, .csv, .tsv, .parquet.

    Returns:
        {"name", "task", "headline", "split", "metrics"}, metrics as in report.json.
    """
    if split is not None and file is not None:
        raise UseError("evaluate: give a split or a file, not both")
    predictor = load(run)
    recipe, places = predictor.recipe, Places(Path.cwd(), Path(data_root) if data_root is not None else None)
    name = split or recipe.evaluation.splits[0]
    if file is not None:
        recipe, name = _recipe_for_file(recipe, Path(file)), "test"
    _, datasets = load_splits(recipe, places, [], [name])
    columns = list(dict.fromkeys(request.column for request in requests_of(recipe.model).values()))
    ready = IndexedSplit(read_forms(datasets[name], columns, name), predictor.resources, name)
    predictions = predict_split(predictor.model, ready, recipe.data.batching, predictor.device)
    found = predictor.model.head.evaluate(ready, predictions, bootstrap_of(recipe.evaluation))
    return {
        "name": predictor.folder.path.name,
        "task": predictor.model.head.task,
        "headline": found.headline,
        "split": str(file) if file is not None else name,
        "metrics": found.metrics(),
    }


_READERS = {
    ".conllu": "conllu",
    ".jsonl": "tables",
    ".json": "tables",
    ".csv": "tables",
    ".tsv": "tables",
    ".parquet": "tables",
}


def _recipe_for_file(recipe: Recipe, file: Path) -> Recipe:
    """The recipe with `file` as its only split, `test`."""
    if not file.is_file():
        raise DataError(f"{file}: no such file")
    source = recipe.data.source
    path = str(file.resolve())
    if "test" in source.fields:
        fields = {**source.fields, "train": None, "validation": None, "test": path}
        source = dataclasses.replace(source, fields=fields)
    else:
        suffix = file.with_suffix("").suffix if file.suffix in (".gz", ".xz", ".bz2") else file.suffix
        if suffix not in _READERS:
            raise UseError(
                f"{file}: source {source.name!r} reads no files of its own and the ending {suffix!r} is not known; "
                f"use one of {', '.join(_READERS)}"
            )
        source = Spec("sources", _READERS[suffix], {"test": path})
    return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, source=source, derive={}, limit=None))


def missing_data(recipe: Recipe, recipe_folder: Path, data_root: PathLike | None) -> list[str]:
    """What `check` warns of: files of the recipe's source that are not there, one line each."""
    places = Places(recipe_folder, Path(data_root) if data_root is not None else None)
    try:
        recipe.data.source.build().files(places)
    except DataError as error:
        return [str(error)]
    return []
