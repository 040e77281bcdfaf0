"""A finished run as something that predicts."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import IO, Any

from seqapps.data.arrays import ArrayColumn, array_column
from seqapps.data.batch import Rows
from seqapps.data.batching import sorted_batches
from seqapps.data.indexed import IndexedSplit
from seqapps.data.requests import Request, array_requests
from seqapps.data.resources import FormColumn, Resources
from seqapps.data.several import Column
from seqapps.engine.assembly import length_notes, shortened
from seqapps.engine.checkpoint import load_model_tensors
from seqapps.engine.demands import Wish, check_demand, check_options
from seqapps.engine.evaluation import evaluating, predict_batches
from seqapps.engine.formats import Example, Format, Formats
from seqapps.engine.machine import resolve_device
from seqapps.engine.model import Model, build_model
from seqapps.engine.run_folder import RunFolder
from seqapps.errors import DataError, RunError, UseError
from seqapps.heads.generation import GeneratingHead, Written
from seqapps.heads.predictions import Prediction
from seqapps.recipe import load_recipe
from seqapps.recipe.recipe import Batching, Recipe
from seqapps.registry import registry

__all__ = ["Predictor"]

_WINDOW = 2048  # sentences that are read ahead and sorted by length
_TOKENS = 8192  # positions of a batch


class Predictor:
    """Predicts with the model of a run folder; reads nothing but that folder.

    >>> tagger = seqapps.load("runs/pos_bilstm")                      # doctest: +SKIP
    >>> tagger.predict(["我 想 去 旅行"])[0].labels                      # doctest: +SKIP
    ['r', 'vu', 'v', 'vn']

    Attributes:
        recipe: of the run.
        model: in evaluation mode.
        resources: vocabularies and training frequencies.
        longer: texts so far that were longer than what the model reads of them (`data.max_length`).
        written, cut: texts so far that the model wrote, and how many of them were cut at the limit of their length.
        others: further runs whose models predict together with this one: the mean of their probabilities counts. Each
            reads an example with its own tokenizer and vocabulary; what is predicted must be the same.
    """

    def __init__(
        self,
        run: str | os.PathLike[str],
        *,
        device: str = "auto",
        others: Sequence[str | os.PathLike[str]] = (),
    ):
        self.folder = RunFolder.open(run)
        _check_components(self.folder)
        self.recipe: Recipe = load_recipe(self.folder / "recipe.yaml")
        self.resources = Resources.from_json(self.folder.read_json("resources.json"))
        self.device = resolve_device(device, "device")
        self.model: Model = build_model(
            self.recipe.model,
            self.resources.vocabularies,
            self.recipe.training.kernels,
            self.resources.sizes,
            self.resources.tokenizers,
        )
        tensors, _ = self.folder.read_tensors("model.safetensors")
        load_model_tensors(self.model, tensors, str(self.folder / "model.safetensors"))
        self.model.to(self.device).eval()
        self.tokenizer = self.resources.tokenizers.first
        self.longer = self.written = self.cut = 0
        self.formats = Formats(self.recipe, self.resources, self.tokenizer)
        self.others = [Predictor(other, device=device) for other in others]
        for other in self.others:
            _check_together(self, other)

    @property
    def together(self) -> list[Predictor]:
        """This one and the others."""
        return [self, *self.others]

    def search(self, fields: Mapping[str, Any]) -> None:
        """Search the texts that are written with these fields of `SearchOptions` instead of the recipe's.

        Raises UseError where nothing is written, or naming the command's options where they have faults.
        """
        head = self.model.head
        if not isinstance(head, GeneratingHead):
            names = ", ".join(f"--{name.replace('_', '-')}" for name in fields)
            raise UseError(f"{names}: for models that write texts, and this one is of task {head.task!r}; leave it out")
        head.search = check_options(head.search.changed(fields))

    def ask(self, *, prefix: str = "", require: Sequence[str] = (), ban: Sequence[str] = ()) -> None:
        """Ask of every text that is written from now on that it begins with a text, has phrases and has not others.

        Raises UseError where nothing is written, DataError naming a word that is not in the vocabulary.
        """
        self.formats.demands.ask(Wish(prefix, tuple(require), tuple(ban)))

    def predict(self, examples: Iterable[Any]) -> list[Prediction]:
        """Predictions in the order of `examples`.

        An example is a text, which the recipe's tokenizer splits, or a list of tokens, or, for a model that reads
        further columns, a mapping from column to list. For a model that reads images it is the name of a file or its
        bytes, for one that reads vectors a vector or a list of vectors.
        """
        if isinstance(examples, str):
            raise TypeError("predict takes a list of texts; write predict([text])")
        return list(self.stream(self._example(example, f"example {n}") for n, example in enumerate(examples, 1)))

    def _example(self, example: Any, where: str) -> Example:
        arrays = array_requests(self.resources.requests)
        if arrays:
            others = example if isinstance(example, Mapping) else {next(iter(arrays)): example}
            return Example([where], None, others, where, demand=self.formats.demands.common)
        if isinstance(example, Mapping):
            first, *names = self.resources.input_columns
            others = {name: example[name] for name in names if name in example}
            return Example(list(example[first]), None, others, where, demand=self.formats.demands.common)
        if isinstance(example, str):
            return self.formats.of_text(example, example, where)
        return Example(list(example), where=where, demand=self.formats.demands.common)

    def stream(self, examples: Iterable[Example], *, window: int = _WINDOW) -> Iterator[Prediction]:
        """Predictions in the order of `examples`, with memory for `window` of them at a time.

        An example without tokens gets an empty prediction where the task has such; otherwise it raises DataError.
        """
        examples = iter(examples)
        while chunk := list(itertools.islice(examples, window)):
            yield from self._predict_chunk(chunk)

    def _predict_chunk(self, chunk: list[Example]) -> list[Prediction]:
        found: list[Any] = [None] * len(chunk)
        empty_texts = self.model.head.empty_texts
        read = [chunk, *(other.reading(chunk) for other in self.others)]
        filled = [i for i, of_one in enumerate(zip(*read, strict=True)) if all(one.tokens for one in of_one)]
        if empty_texts == "read":
            filled = list(range(len(chunk)))
        elif len(filled) < len(chunk) and empty_texts == "refused":
            empty = chunk[next(i for i in range(len(chunk)) if i not in filled)]
            raise DataError(f"{empty.where or 'input'}: a text of 0 tokens, nothing to predict from; leave it out")
        if filled:
            self._predict_filled([[examples[i] for i in filled] for examples in read], filled, found)
        texts = [one for one in found if isinstance(one, Written)]
        self.written, self.cut = self.written + len(texts), self.cut + sum(not one.ended for one in texts)
        pairs = zip(chunk, found, strict=True)
        return [self.model.head.answer(example.tokens, one, example.original) for example, one in pairs]

    def _predict_filled(self, read: list[list[Example]], places: list[int], found: list[Any]) -> None:
        """Put the predictions for examples, as each run reads them, into these places of `found`."""
        demands = [example.demand for example in read[0]]
        if any(map(any, demands)):
            assert isinstance(self.model.head, GeneratingHead), "others are asked nothing"
            for example in read[0]:
                check_demand(example.demand, self.model.head.search, example.where or "input")
        models = [predictor.model for predictor in self.together]
        splits = [predictor.indexed(examples) for predictor, examples in zip(self.together, read, strict=True)]
        with ExitStack() as stack:
            for model in models:
                stack.enter_context(evaluating(model))
            for rows in sorted_batches(splits[0].lengths, Batching(tokens=_TOKENS)):
                batches = [split.batch(rows).to(self.device) for split in splits]
                batches[0] = replace(batches[0], demands=[demands[row] for row in rows])
                for row, one in zip(rows, predict_batches(models, batches), strict=True):
                    found[places[row]] = one

    def reading(self, examples: list[Example]) -> list[Example]:
        """Examples that another run has read, as this one does: texts are cut by its own tokenizer."""
        cut = self.tokenizer.tokenize
        return [one if one.text is None else one._replace(tokens=cut(one.text)) for one in examples]

    def indexed(self, examples: Sequence[Example]) -> IndexedSplit:
        """Examples as the model's input; each has at least one token, if the model needs that."""
        columns: dict[str, Column] = {}
        for number, name in enumerate(self.resources.input_columns):
            texts = [_column(example, name) if number else example.tokens for example in examples]
            columns[name] = _form_column(texts)
        for name, request in array_requests(self.resources.requests).items():
            things = [_thing(example, name) for example in examples]
            columns[name] = self._array_column(request, things, [example.where or "input" for example in examples])
        columns, longer = shortened(self.recipe, columns)
        self.longer += longer
        return IndexedSplit(columns, self.resources, "input")

    def _array_column(self, request: Request, things: list[Any], where: list[str]) -> ArrayColumn:
        column, size = array_column(request, things, where.__getitem__), self.resources.sizes.get(request.key)
        if size is not None and column.size != size:
            found = f"{request.column!r} holds vectors of {column.size} numbers, the model reads vectors of {size}"
            raise DataError(f"{where[0]}: {found}; is it the network that made those of training?")
        return column

    @property
    def notes(self) -> list[str]:
        """What a reader of the predictions so far should know."""
        notes = length_notes(self.recipe, {"the input": self.longer})
        if self.cut:
            limit = "raise --max-length, or search.max_length and max_length_ratio in the recipe, if they should go on"
            notes.append(f"{self.cut} of {self.written} texts were cut before an end mark came; {limit}")
        return notes

    def read(self, stream: IO[bytes], format: Format = "text", name: str = "-") -> Iterator[Example]:
        """Examples from bytes, one at a time; see `seqapps.engine.formats`."""
        return self.formats.read(stream, format, name)

    def write(self, prediction: Prediction, format: Format = "text") -> str:
        """A prediction as text that ends with a line break; see `seqapps.engine.formats`."""
        return self.formats.write(prediction, format)


def _check_together(first: Predictor, other: Predictor) -> None:
    """UseError naming the run that cannot predict together with the first, and what differs."""
    one, two = first.model.head, other.model.head
    if one.task != two.task:
        why: str | None = f"a model of task {two.task!r}, and {first.folder.path} is of task {one.task!r}"
    else:
        why = one.differs(two)
    missing = {*other.resources.input_columns[1:], *array_requests(other.resources.requests)}
    missing -= {*first.resources.input_columns, *array_requests(first.resources.requests)}
    if why is None and missing:
        why = f"the model reads {sorted(missing)[0]!r}, which that of {first.folder.path} does not"
    if why is None and bool(other.resources.input_columns) != bool(first.resources.input_columns):
        why = f"one model reads texts and one does not, this and that of {first.folder.path}"
    if why is not None:
        raise UseError(f"--with {other.folder.path}: {why}; leave it out")


def _check_components(folder: RunFolder) -> None:
    """RunError naming the distribution of a component that is not installed."""
    for component in folder.read_json("environment.json")["components"]:
        if component["name"] not in registry(component["kind"]):
            owner = f"{component['distribution']} {component['version']}".strip()
            pinned = f"{component['distribution']}=={component['version']}"
            raise RunError(
                f"{folder.path}: {registry(component['kind']).noun} {component['name']!r} comes from {owner}, "
                f"which is not installed; pip install {pinned}"
            )


def _thing(example: Example, name: str) -> Any:
    """The image or vector of an example; DataError if it is not there."""
    if name not in example.others:
        raise DataError(f"{example.where or 'input'}: the model reads {name!r}, which is not there")
    return example.others[name]


def _column(example: Example, name: str) -> list[str]:
    """A further input column of an example; DataError if it is not there or not as long as the tokens."""
    found = example.others.get(name)
    if found is None:
        raise DataError(
            f"the model reads {name!r} beside the tokens; give it in json lines (--format jsonl), "
            "or in CoNLL-U if that has it"
        )
    if len(found) != len(example.tokens):
        raise DataError(
            f"{len(example.tokens)} tokens, {len(found)} {name} in {' '.join(example.tokens[:8])!r}; give one each"
        )
    return found


def _form_column(sentences: list[list[str]]) -> FormColumn:
    numbers: dict[str, int] = {}
    rows = [[numbers.setdefault(token, len(numbers)) for token in tokens] for tokens in sentences]
    return FormColumn(list(numbers), Rows.from_lists(rows))
