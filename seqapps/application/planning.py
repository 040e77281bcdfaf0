"""What a recipe would do: its values and where they come from, tensor shapes, parameter counts, memory."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from seqapps.data.batch import Batch
from seqapps.data.batching import sorted_batches
from seqapps.data.features.standardised import feature_names
from seqapps.data.indexed import IndexedSplit
from seqapps.data.requests import Request
from seqapps.data.sources.source import Places
from seqapps.data.streams import Batches, Stream, Window, batches_of
from seqapps.data.vocabulary import Vocabulary
from seqapps.engine.assembly import OpenedData, freeze, open_data, read_features, requests_of, tokenizers_of
from seqapps.engine.averaging import to_be_averaged
from seqapps.engine.model import Model, build_model
from seqapps.errors import DataError
from seqapps.recipe import dump_recipe, load_recipe
from seqapps.recipe.recipe import Recipe

__all__ = ["format_plan", "missing_data", "plan"]

PathLike = str | os.PathLike[str]

# Stand-ins for vocabulary sizes that are not known; a dimension of this size is printed as |name|.
_STAND_INS = (1009, 1013, 1019, 1021, 1031, 1033, 1039, 1049, 1051, 1061, 1063, 1069, 1087, 1091, 1093, 1097)


def missing_data(recipe: Recipe, recipe_folder: Path, data_root: PathLike | None) -> list[str]:
    """What `check` warns of: files that the recipe names and that are not there, one line each.

    Raises ComponentError if parts of the model ask for things that do not go together.
    """
    places = Places(recipe_folder, Path(data_root) if data_root is not None else None)
    missing = []
    try:
        recipe.data.source.build().files(places)
    except DataError as error:
        missing.append(str(error))
    for request in requests_of(recipe.model).values():
        if request.vectors is not None:
            try:
                places.find(request.vectors)
            except DataError as error:
                missing.append(str(error))
    try:
        read_features(requests_of(recipe.model), places)
    except DataError as error:
        missing.append(str(error))
    start = recipe.model.init_from
    if start is not None and not any((folder / start.run).is_dir() for folder in (recipe_folder, Path())):
        missing.append(f"{start.run}: no such run; model.init_from needs it")
    return missing


def plan(recipe: PathLike, *, settings: Sequence[str] = (), data_root: PathLike | None = None) -> dict[str, Any]:
    """What `run` would train.

    With the data at hand sizes are real, otherwise vocabulary sizes are symbols such as |tokens|.

    Returns:
        {"recipe": complete YAML, "origins": {field: where it was given}, "data": {split: sizes} or None, "missing":
        [...], "parameters": [{"name", "shape", "count"}], "total": int or text, "steps_per_epoch", "memory": bytes by
        purpose}.
    """
    path = Path(recipe)
    checked = load_recipe(path, settings)
    places = Places(path.resolve().parent, Path(data_root) if data_root is not None else None)
    page: dict[str, Any] = {
        "recipe": dump_recipe(checked),
        "origins": {name: str(mark) for name, mark in checked.origins.items()},
        "data": None,
        "missing": missing_data(checked, places.recipe_folder, data_root),
    }
    data = None
    if not page["missing"]:
        try:
            data = open_data(checked, places)
        except DataError as error:
            page["missing"] = [str(error)]
    return {**page, **(_symbolic(checked) if data is None else _measured(checked, data))}


def _measured(recipe: Recipe, data: OpenedData) -> dict[str, Any]:
    known = data.resources
    model = build_model(recipe.model, known.vocabularies, recipe.training.kernels, known.sizes, known.tokenizers)
    freeze(model, recipe.model.freeze)
    listed = [{"name": name, "shape": list(p.shape), "count": p.numel()} for name, p in model.named_parameters()]
    train = data.splits["train"]
    batches, sampler = batches_of(train, recipe.data.batching, 1)
    return {
        "data": {
            name: {"sentences": len(split), "tokens": int(split.lengths.sum()), "longest": int(split.lengths.max())}
            for name, split in data.splits.items()
        },
        "parameters": listed,
        "total": sum(p["count"] for p in listed),
        "steps_per_epoch": -(-len(sampler.epoch(0)) // recipe.training.accumulate),
        "memory": _memory(recipe, model, _largest_batch(recipe, train, batches)),
    }


def _largest_batch(recipe: Recipe, train: IndexedSplit, batches: Batches) -> Batch:
    if isinstance(batches, Stream):
        return batches.batch(Window(0, min(recipe.data.batching.window, batches.columns)))
    rows = sorted_batches(train.lengths, recipe.data.batching)
    return train.batch(max(rows, key=lambda rows: len(rows) * int(train.lengths[rows].max())))


def _memory(recipe: Recipe, model: Model, batch: Batch) -> dict[str, int]:
    """Bytes: weights, gradients, optimizer state, and what the largest batch keeps for the backward pass, measured."""
    weights = _bytes(model.parameters())
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = recipe.training.optimizer.build(parameters=trained)
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss, _ = model.loss(batch)
    activations = sum(size for pointer, size in kept.items() if pointer not in own)
    loss.total.backward()
    optimizer.step()
    state = [v for values in optimizer.state.values() for v in values.values() if isinstance(v, torch.Tensor)]
    average = to_be_averaged(model) if recipe.training.average is not None else []
    return {
        "weights": weights,
        "gradients": _bytes(trained),
        "optimizer": _bytes(state),
        **({"average": _bytes(average)} if average else {}),
        "largest_batch": activations,
    }


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _symbolic(recipe: Recipe) -> dict[str, Any]:
    requests = requests_of(recipe.model)
    used = set(_numbers(dataclasses.asdict(recipe.model)))
    stand_ins = [n for n in _STAND_INS if n not in used]
    names = {size: f"|{key}|" for key, size in zip(requests, stand_ins, strict=False)}
    stood = {key: (request, size) for (key, request), size in zip(requests.items(), names, strict=True)}
    vocabularies = {key: _stand_in(request, size) for key, (request, size) in stood.items() if request.has_vocabulary}
    sizes = {key: size for key, (request, size) in stood.items() if request.level == "vector"}
    sizes |= {key: len(feature_names(request.sets)) for key, request in requests.items() if request.sets}
    with torch.device("meta"):
        model = build_model(recipe.model, vocabularies, recipe.training.kernels, sizes, tokenizers_of(recipe))
    listed, fixed = [], 0
    terms: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        symbols = [names[n] for n in parameter.shape if n in names]
        count = 1
        for n in parameter.shape:
            count *= 1 if n in names else n
        text = " x ".join([f"{count:,}", *symbols]) if symbols else f"{count:,}"
        listed.append({"name": name, "shape": [names.get(n, n) for n in parameter.shape], "count": text})
        if symbols:
            terms[" x ".join(symbols)] = terms.get(" x ".join(symbols), 0) + count
        else:
            fixed += count
    total = " + ".join([f"{fixed:,}", *(f"{n:,} x {symbols}" for symbols, n in terms.items())])
    return {"parameters": listed, "total": total, "steps_per_epoch": None, "memory": None}


def _numbers(value: Any) -> list[int]:
    if isinstance(value, dict):
        return [n for inner in value.values() for n in _numbers(inner)]
    if isinstance(value, (list, tuple)):
        return [n for inner in value for n in _numbers(inner)]
    return [value] if isinstance(value, int) else []


def _stand_in(request: Request, size: int) -> Vocabulary:
    specials = list(request.specials)
    symbols = [*specials, *(f"{request.key} {i}" for i in range(size - len(specials)))]
    return Vocabulary(symbols, [0] * size, specials=len(specials))


def format_plan(page: dict[str, Any]) -> str:
    """A plan as text for the terminal."""
    lines = [page["recipe"].rstrip(), ""]
    given = {name: where for name, where in page["origins"].items() if where != "default"}
    width = max(map(len, given), default=0)
    lines += [
        "given (everything else is a default):",
        *(f"  {name:<{width}}  {where}" for name, where in given.items()),
        "",
    ]
    for name, split in (page["data"] or {}).items():
        lines.append(
            f"{name:<12} {split['sentences']:>9,} sentences {split['tokens']:>11,} tokens, longest {split['longest']:,}"
        )
    lines += [f"not there: {line}" for line in page["missing"]]
    lines.append("")
    width = max(len(p["name"]) for p in page["parameters"])
    for parameter in page["parameters"]:
        shape = " x ".join(map(str, parameter["shape"]))
        count = f"{parameter['count']:,}" if isinstance(parameter["count"], int) else parameter["count"]
        lines.append(f"{parameter['name']:<{width}}  {shape:>18}  {count}")
    total = f"{page['total']:,}" if isinstance(page["total"], int) else page["total"]
    lines.append(f"{'parameters':<{width}}  {'':>18}  {total}")
    if page["memory"]:
        lines += ["", f"{page['steps_per_epoch']:,} steps per epoch"]
        parts = ", ".join(f"{name.replace('_', ' ')} {size / 2**20:.1f}" for name, size in page["memory"].items())
        lines.append(f"memory of a training step in MiB: {parts}")
    return "\n".join(lines) + "\n"
