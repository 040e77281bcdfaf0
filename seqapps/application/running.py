"""A recipe from beginning to end: data, model, training, report."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import platform
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from seqapps.application.reporting import write_report
from seqapps.data.sources.source import Places
from seqapps.data.streams import batches_of
from seqapps.engine.assembly import OpenedData, freeze, open_data
from seqapps.engine.averaging import ExponentialAverage, to_be_averaged
from seqapps.engine.checkpoint import load_model_tensors
from seqapps.engine.fitting import Fit
from seqapps.engine.machine import Arithmetic, components, resolve_arithmetic, resolve_device, versions
from seqapps.engine.model import Model, build_model, kernels_in_use
from seqapps.engine.predictor import Predictor
from seqapps.engine.progress import Console
from seqapps.engine.run_folder import RunFolder
from seqapps.engine.training import Clipping, Loop, Position
from seqapps.engine.transfer import start_from
from seqapps.errors import RunError, UseError
from seqapps.recipe import dump_recipe, load_recipe
from seqapps.recipe.recipe import Recipe
from seqapps.recipe.spec import Spec

__all__ = ["load", "new_fit", "new_model", "run"]

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
        resume: go on with the run that is in `output`, on the trajectory on which it was; if it has finished, that is
            that.
        overwrite: replace the run that is in `output`, once the new one is ready to start.

    Raises:
        RecipeError, DataError, RunError and other UseErrors before anything is written; TrainingError while training.
    """
    path = Path(recipe)
    checked = load_recipe(path, settings)
    folder = RunFolder(output if output is not None else Path("runs") / checked.name)
    resuming = _resumes(folder, resume, overwrite)
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
        model, notes = new_model(checked, data, arithmetic, places, start=not resuming)
        model.head.check_training(data.splits["train"])
        with arithmetic.autocast():
            cells = kernels_in_use(model)
        fit = new_fit(checked, data, model, arithmetic, folder)
        with _locked(folder):
            _check_free(folder, taken_is_fine=resume or overwrite)  # nobody else began while data was read
            if resuming:
                fit.resume()
                folder.remove_report()
                folder.write_text("recipe.yaml", dump_recipe(checked))
                _note_changes(folder, checked, arithmetic)
            else:
                folder.clear()
                _write_beginning(folder, checked, data, model, cells, arithmetic, notes, places)
            _say_kernels(folder, cells)
            _train_and_report(checked, data, fit, arithmetic, folder)
    return folder


def _resumes(folder: RunFolder, resume: bool, overwrite: bool) -> bool:
    """Does a run go on with what is in its folder? RunError if what is there is in its way."""
    if resume and overwrite:
        raise UseError("--resume and --overwrite exclude each other; give one of them")
    _check_free(folder, taken_is_fine=resume or overwrite)
    resuming = resume and folder.has("state.safetensors")
    if resume and not resuming:
        Console().say(f"{folder.path}: nothing to resume; starting from the beginning")
    return resuming


def _say_kernels(folder: RunFolder, cells: Mapping[str, str]) -> None:
    for cell, number in Counter(cells.values()).items():
        Console().say(f"{folder.path}: {cell}" + (f", {number} times" if number > 1 else ""))


def _check_free(folder: RunFolder, *, taken_is_fine: bool) -> None:
    """RunError if the folder holds a run that was not asked for, or something that is no run."""
    if folder.exists and not taken_is_fine:
        raise RunError(f"{folder.path}: there is a run already; --resume goes on with it, --overwrite replaces it")
    folder.check_vacant()


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
            f"{folder.path}: its recipe differs from this one (here: {differing.strip()!r}); resume with the recipe "
            "it was started with, or give another --output"
        )


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


def new_model(
    recipe: Recipe, data: OpenedData, arithmetic: Arithmetic, places: Places, *, start: bool = True
) -> tuple[Model, list[str]]:
    """The model as training begins with it, on its device; everything random follows from the recipe's seed.

    Without `start`, pretrained weights are left out: a saved state will replace all weights.
    """
    torch.manual_seed(recipe.training.seed)
    known = data.resources
    model = build_model(recipe.model, known.vocabularies, recipe.training.kernels, known.sizes, known.tokenizers)
    notes = []
    for key, vectors in data.vectors.items() if start else ():
        for module in model.modules():
            load_vectors: Callable[..., int] | None = getattr(module, "load_vectors", None)
            if load_vectors is not None and getattr(module, "column", None) == key:
                found = load_vectors(data.resources.vocabularies[key], vectors)
                notes.append(
                    f"{found} of {len(data.resources.vocabularies[key])} words of {key} start from pretrained vectors"
                )
    if recipe.model.init_from is not None and start:
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


def new_fit(recipe: Recipe, data: OpenedData, model: Model, arithmetic: Arithmetic, folder: RunFolder) -> Fit:
    training = recipe.training
    batches, sampler = batches_of(data.splits["train"], recipe.data.batching, training.seed)
    planned = -(-len(sampler.epoch(0)) // training.accumulate) * training.epochs
    if training.max_steps is not None:
        planned = min(planned, training.max_steps)
    trainable = [p for p in model.parameters() if p.requires_grad]
    loop = Loop(
        model,
        training.optimizer.build(parameters=trainable),
        training.schedule.build(),
        batches,
        sampler,
        Position(),
        total_steps=planned,
        epochs=training.epochs,
        device=arithmetic.device,
        accumulate=training.accumulate,
        clipping=Clipping(training.clip_norm, training.clip_value),
        autocast=arithmetic.autocast,
        scaler=torch.amp.GradScaler(arithmetic.device.type) if arithmetic.precision == "fp16" else None,
        average=ExponentialAverage(to_be_averaged(model), training.average) if training.average is not None else None,
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
    data, training = recipe.data, recipe.training
    others = (data.source, data.tokenizer, *data.tokenizers.values(), training.optimizer, training.schedule)
    return [*recipe.model.specs(), *(inner for spec in others for inner in spec.walk())]


def _write_beginning(
    folder: RunFolder,
    recipe: Recipe,
    data: OpenedData,
    model: Model,
    cells: dict[str, str],
    arithmetic: Arithmetic,
    notes: list[str],
    places: Places,
) -> None:
    """What is known before training; the recipe last, since it is what makes a folder a run."""
    folder.write_json("resources.json", data.resources.to_json())
    folder.write_json(
        "environment.json",
        {
            "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            **_surroundings(recipe, arithmetic),
            "components": components(_specs(recipe)),
            "kernels": recipe.training.kernels,
            "cells": cells,
            "seed": recipe.training.seed,
            "fingerprints": data.fingerprints,
            "recognised": data.source.recognised,
            "places": {
                "recipe_folder": str(places.recipe_folder),
                "data_root": str(places.data_root.resolve()) if places.data_root else None,
            },
            "notes": [*data.notes, *notes],
        },
    )
    folder.write_text("recipe.yaml", dump_recipe(recipe))
    folder.append({"event": "start", "recipe": recipe.name, "parameters": sum(p.numel() for p in model.parameters())})


def _surroundings(recipe: Recipe, arithmetic: Arithmetic) -> dict[str, Any]:
    """What numbers may depend on beside recipe and data."""
    return {
        "versions": versions(_specs(recipe)),
        "platform": platform.platform(),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "device": str(arithmetic.device),
        "device_name": torch.cuda.get_device_name(arithmetic.device) if arithmetic.device.type == "cuda" else None,
        "precision": arithmetic.precision,
        "matmul_precision": arithmetic.matmul_precision,
        "threads": arithmetic.threads,
        "deterministic": arithmetic.deterministic,
    }


def _note_changes(folder: RunFolder, recipe: Recipe, arithmetic: Arithmetic) -> None:
    """Say in environment.json what is not as it was when the run began: its numbers may not be those of one piece."""
    environment = folder.read_json("environment.json")
    now = _surroundings(recipe, arithmetic)
    changed = [
        f"{name} was {environment[name]}, now {value}" for name, value in now.items() if environment[name] != value
    ]
    if changed:
        note = f"resumed under other conditions: {'; '.join(changed)}"
        Console().say(f"warning: {note}")
        folder.write_json("environment.json", {**environment, "notes": [*environment["notes"], note]})


def _train_and_report(recipe: Recipe, data: OpenedData, fit: Fit, arithmetic: Arithmetic, folder: RunFolder) -> None:
    if fit.watcher is not None:
        fit.watcher.begin(recipe, data, fit.loop, folder.path)
    try:
        stopped = fit.run()
    finally:
        if fit.watcher is not None:
            fit.watcher.end()
    folder.append({"event": "end", "stopped": stopped, "seconds": round(fit.progress.seconds, 3)})
    model = fit.loop.model
    tensors, _ = folder.read_tensors("model.safetensors")
    load_model_tensors(model, tensors, str(folder / "model.safetensors"))
    write_report(recipe, data, fit, arithmetic, folder)


def load(run: PathLike, *, device: str = "auto", others: Sequence[PathLike] = ()) -> Predictor:
    """The model of a run, ready to predict; together with those of `others`, by the mean of their probabilities."""
    return Predictor(run, device=device, others=others)
