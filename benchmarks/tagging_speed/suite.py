"""seqapps: a recipe in a file, through the functions that `seqapps run` calls. The others get their data here, too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tagging_speed.task import POOL, Batches, Corpus, Done, Options, Weights
from seqapps.application.running import new_fit, new_model
from seqapps.data.dataset import column_of_lists
from seqapps.data.sources.source import Places
from seqapps.engine.assembly import load_splits, open_data
from seqapps.engine.machine import resolve_arithmetic, resolve_device
from seqapps.engine.run_folder import RunFolder
from seqapps.engine.training import train
from seqapps.recipe import load_recipe

__all__ = ["Seqapps", "read_corpus", "write_recipe"]

RECIPE = """\
data:
  source: {source}
  batching: {{sentences: {options.sentences}, pool: {pool}}}
model:
  embedder: {{type: tokens, size: {options.embedding}}}
  encoder:
    type: recurrent
    cell: lstm
    hidden_size: {options.hidden}
    num_layers: {options.layers}
    bidirectional: true
    dropout: {options.dropout}
  head: {{type: tagging, column: pos_tags, spans: no}}
training:
  optimizer: {{type: adam, lr: {options.lr}}}
  clip_norm: {options.clip_norm}
  epochs: 1000000
  seed: {options.seed}
  precision: fp32
  device: cpu
  threads: {threads}
evaluation: {{splits: [train]}}
"""


def write_recipe(path: Path, source: str, options: Options, threads: int) -> None:
    """The recipe of the benchmark; `source` is YAML."""
    path.write_text(RECIPE.format(source=source, options=options, pool=POOL, threads=threads), encoding="utf8")


def read_corpus(recipe: Path, data_root: Path) -> tuple[str, Corpus]:
    """The type of a recipe's source, and its training split as numbers, words and labels by falling frequency."""
    checked = load_recipe(recipe)
    _, splits = load_splits(checked, Places(recipe.parent, data_root), [], ["train"])
    words, offsets = column_of_lists(splits["train"], "tokens", "train")
    labels, _ = column_of_lists(splits["train"], "pos_tags", "train")
    word_numbers, num_words = _numbers(words.to_pylist(), first=2)
    label_numbers, num_labels = _numbers(labels.to_pylist(), first=0)
    corpus = Corpus(word_numbers, label_numbers, np.asarray(offsets, np.int64), num_words, num_labels)
    return checked.data.source.name, corpus


def _numbers(symbols: list[str], first: int) -> tuple[np.ndarray, int]:
    counts = Counter(symbols)
    order: Iterable[str] = sorted(counts, key=lambda symbol: (-counts[symbol], symbol))
    table = {symbol: number for number, symbol in enumerate(order, first)}
    return np.fromiter((table[symbol] for symbol in symbols), np.int64, len(symbols)), first + len(table)


class Seqapps:
    """The real engine: its own data, batches, model, loop, gradient norm and checks for what is not finite."""

    def __init__(self, recipe: Path, data_root: Path):
        checked, places = load_recipe(recipe), Places(recipe.parent, data_root)
        self.arithmetic = resolve_arithmetic(checked.training, resolve_device(checked.training.device))
        with self.arithmetic.active():
            data = open_data(checked, places)
            model, _ = new_model(checked, data, self.arithmetic, places)
            self.loop = new_fit(checked, data, model, self.arithmetic, RunFolder(recipe.parent / "run")).loop
        model.train()

    @property
    def batches(self) -> Batches:
        return self.loop.sampler

    @batches.setter
    def batches(self, batches: Batches) -> None:
        self.loop.sampler = batches  # type: ignore[assignment]

    def weights(self) -> Weights:
        model: Any = self.loop.model
        named = {"embedding.weight": model.embedder.table.weight}
        for layer, directions in enumerate(model.encoder.layers):
            for cell, suffix in zip(directions, ("", "_reverse"), strict=True):
                for part, of in ((cell.input_projection, "ih"), (cell.recurrent, "hh")):
                    for name, parameter in part.named_parameters():
                        named[f"lstm.{name}_{of}_l{layer}{suffix}"] = parameter
        return named | {f"output.{name}": p for name, p in model.head.output.named_parameters()}

    def steps(self) -> Generator[Done, None, None]:
        with self.arithmetic.active():
            for step in train(self.loop):
                yield Done(step.tokens, step.loss)
