"""Who takes part, and what each of them is given."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

from benchmarks.tagging_speed.task import Contestant, Corpus, Options

__all__ = ["COMMON", "NAMES", "TIGHT", "Setting", "make", "prepare"]

COMMON, TIGHT, SEQAPPS = "common_practice", "tight_loop", "seqapps"
NAMES = (COMMON, TIGHT, SEQAPPS)


class Setting(NamedTuple):
    """Data and options. The plain programs read `corpus`, seqapps reads `recipe`, which says the same.

    `source` is the recipe's data.source as YAML, `source_name` its type.
    """

    source: str
    source_name: str
    corpus: Corpus
    options: Options
    recipe: Path
    data_root: Path
    threads: int

    def with_options(self, **changes: float) -> Setting:
        """The same data with other options, said in another recipe."""
        from benchmarks.tagging_speed.suite import write_recipe

        options = dataclasses.replace(self.options, **changes)  # type: ignore[arg-type]
        recipe = self.recipe.with_stem(f"{self.recipe.stem}_changed")
        write_recipe(recipe, self.source, options, self.threads)
        return self._replace(options=options, recipe=recipe)


def prepare(recipe: Path, source: str, data_root: Path, options: Options, threads: int) -> Setting:
    """Write the recipe and read its data."""
    from benchmarks.tagging_speed.suite import read_corpus, write_recipe

    write_recipe(recipe, source, options, threads)
    source_name, corpus = read_corpus(recipe, data_root)
    return Setting(source, source_name, corpus, options, recipe, data_root, threads)


def make(name: str, setting: Setting) -> Contestant:
    """Construct a contestant. Only what it needs is imported: nothing of seqapps where another one runs."""
    if name == SEQAPPS:
        from benchmarks.tagging_speed.suite import Seqapps

        return Seqapps(setting.recipe, setting.data_root)
    from benchmarks.tagging_speed import plain

    if name == TIGHT:
        return plain.TightLoop(setting.corpus, setting.options)
    return plain.CommonPractice(setting.corpus, setting.options)
