"""seqapps: a recipe in a file, through the functions that `seqapps run` calls. The others get their data here, too."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.speed.contestant import Done
from benchmarks.speed.made_up import WRITERS
from benchmarks.speed.recipes import recipe
from benchmarks.speed.shapes import Shape
from seqapps.application.running import new_fit, new_model
from seqapps.data.batch import Batch
from seqapps.data.sources.source import Places
from seqapps.data.streams import Window
from seqapps.engine.assembly import open_data
from seqapps.engine.evaluation import evaluating
from seqapps.engine.machine import resolve_arithmetic, resolve_device
from seqapps.engine.run_folder import RunFolder
from seqapps.engine.training import train
from seqapps.recipe import load_recipe

__all__ = ["Search", "Training", "TrainingInBf16", "prepare"]


class Training:
    """The real engine: its own data, batches, model, loop, gradient norm and checks for what is not finite."""

    settings: Sequence[str] = ()

    def __init__(self, folder: Path):
        checked, places = load_recipe(folder / "recipe.yaml", self.settings), Places(folder, None)
        self.arithmetic = resolve_arithmetic(checked.training, resolve_device(checked.training.device))
        with self.arithmetic.active():
            self.data = open_data(checked, places)
            self.model, _ = new_model(checked, self.data, self.arithmetic, places)
            self.loop = new_fit(checked, self.data, self.model, self.arithmetic, RunFolder(folder / "run")).loop
        self.model.train()

    def steps(self) -> Generator[Done, None, None]:
        with self.arithmetic.active():
            for step in train(self.loop):
                yield Done(step.tokens, step.loss)


class TrainingInBf16(Training):
    settings = ("training.precision=bf16",)


class Search(Training):
    """Texts as `seqapps predict` answers them, batch by batch, from weights that were trained a little."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.model.load_state_dict(torch.load(folder / "state.pt"))

    def steps(self) -> Generator[Done, None, None]:
        split, rows = self.data.splits["train"], self.loop.sampler.epoch(0)
        with self.arithmetic.active(), evaluating(self.model):
            for chosen in itertools.cycle(rows):
                batch = split.batch(chosen)
                only_read = Batch({"tokens": batch.fields["tokens"]}, batch.examples)
                found = self.model.predict(only_read)
                yield Done(len(found), float(np.mean([one.log_prob for one in found])))


def prepare(shape: Shape, folder: Path, threads: int) -> None:
    """Write data, recipe, and all that the others are given; see `Given`."""
    folder.mkdir(exist_ok=True)
    (folder / "sizes.json").write_text(json.dumps(dict(shape.sizes)), encoding="utf8")
    (folder / "recipe.yaml").write_text(recipe(shape.task, shape.sizes, threads), encoding="utf8")
    WRITERS[shape.task](folder, shape.sizes)
    made = Training(folder)
    for _ in itertools.islice(made.steps(), shape.sizes.get("steps", 0)):
        pass
    torch.save(made.model.state_dict(), folder / "state.pt")
    weights = {_torch_name(name): p.detach() for name, p in made.model.named_parameters()}
    if shape.task == "language_model":
        weights["output.bias"] = weights["output.bias"] + made.model.head.closed
    torch.save(weights, folder / "weights.pt")
    np.savez(folder / "data.npz", **_arrays(shape, made))


def _arrays(shape: Shape, made: Training) -> dict[str, np.ndarray]:
    split = made.data.splits["train"]
    if shape.task == "language_model":
        columns = made.loop.sampler.columns  # type: ignore[attr-defined]
        field = made.loop.batches.batch(Window(0, columns)).fields["tokens"]
        assert field.following is not None
        return {"read": field.values.numpy(), "following": field.following.numpy()}
    batches = made.loop.sampler.epoch(0)
    arrays = {"batches": np.concatenate(batches), "batches_offsets": _ends([len(batch) for batch in batches])}
    names = {"tokens": "texts", "target": "targets"}
    for key in split.resources.requests:
        rows = split.numbers(key)
        if key in names:
            arrays |= {names[key]: rows.values, f"{names[key]}_offsets": rows.offsets}
        else:
            arrays["labels"] = rows.values
    return {name: np.asarray(values, np.int64) for name, values in arrays.items()}


def _ends(lengths: Sequence[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)])


# Names of parameters here, and in the plain programs.
_RENAMED = (
    (r"embedder\.table\.", "embedding."),
    (r"head\.decoder\.embedding\.", "written."),
    (r"head\.decoder\.bridge\.layers\.0\.0\.", "bridge."),
    (r"head\.decoder\.attention\.score", "score.weight"),
    (r"head\.decoder\.attention\.", ""),
    (r"head\.(decoder\.)?", ""),
)


def _torch_name(name: str) -> str:
    """The name that a plain program gives a parameter."""
    found = re.fullmatch(r"(encoder\.layers\.|head\.decoder\.cells\.)(\d+)(?:\.(\d))?\.(\w+)\.(\w+)", name)
    if found:
        start, layer, direction, part, kind = found.groups()
        of = {"input_projection": "ih", "recurrent": "hh"}[part]
        where = "writer" if start.startswith("head") else ("reader", "reversed_reader")[int(direction or 0)]
        return f"{where}.{kind}_{of}_l{layer}"
    for pattern, plain in _RENAMED:
        name = re.sub(f"^{pattern}", plain, name)
    return name
