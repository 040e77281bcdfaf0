"""One run: started, gone on with, or left as it is."""

from __future__ import annotations

import dataclasses
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.quality.measurements import SETTINGS, Measurement
from seqapps.engine.run_folder import RunFolder
from seqapps.errors import RecipeError
from seqapps.recipe import Recipe, dump_recipe, load_recipe

__all__ = ["RECIPES", "perform", "recipe_of", "same_recipe", "shown_command"]

RECIPES = Path(__file__).parents[2] / "recipes"


def recipe_of(measurement: Measurement, recipes: Path) -> str:
    """The complete recipe, as text, with seed 1."""
    return _text(load_recipe(recipes / measurement.recipe, [*SETTINGS, *measurement.settings]))


def same_recipe(recorded: str, current: str) -> bool:
    """Does a complete recipe that was written down earlier still say the same? New fields stand at their defaults."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "recipe.yaml")
        path.write_text(recorded, encoding="utf8")
        try:
            return _text(load_recipe(path)) == current
        except RecipeError:
            return False


def _text(recipe: Recipe) -> str:
    return dump_recipe(dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, seed=1)))


def _arguments(measurement: Measurement, recipe: str, seed: int, folder: str, data_root: str | None) -> list[str]:
    settings = [
        part for setting in (*SETTINGS, *measurement.settings, f"training.seed={seed}") for part in ("--set", setting)
    ]
    root = ["--data-root", data_root] if data_root is not None else []
    return ["run", recipe, *root, "--output", folder, *settings]


def shown_command(name: str, measurement: Measurement, seed: int, *, data_root: bool) -> str:
    """The command of a run, for people: DIR stands for the folder of the data."""
    arguments = _arguments(
        measurement, f"recipes/{measurement.recipe}", seed, f"runs/{name}-{seed}", "DIR" if data_root else None
    )
    return shlex.join(["seqapps", *arguments])


def perform(
    measurement: Measurement, recipes: Path, seed: int, folder: Path, data_root: Path | None, *, again: bool = False
) -> bool:
    """Train and evaluate, or go on with what is in `folder`; false if the run did not get to its end.

    A run of another recipe that is in `folder` is replaced if `again` says so; else it stays, and nothing is done.
    """
    arguments = _arguments(
        measurement,
        str(recipes / measurement.recipe),
        seed,
        str(folder),
        str(data_root.resolve()) if data_root is not None else None,
    )
    run = RunFolder(folder)
    other = run.exists and not same_recipe(
        (run / "recipe.yaml").read_text(encoding="utf8"), recipe_of(measurement, recipes)
    )
    mode = "--overwrite" if again and other else "--resume"
    return _call([sys.executable, "-m", "seqapps", *arguments, mode]) == 0 and run.finished


def _call(command: Sequence[str]) -> int:
    # Not subprocess.run, which kills a process that is just saving its state when Ctrl-C reaches both.
    with subprocess.Popen(command) as process:
        try:
            return process.wait()
        except SystemExit:  # told to end by a signal that reaches this process only
            process.terminate()
            raise
