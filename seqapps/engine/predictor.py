"""A finished run as something that predicts."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import IO, Any, Literal, NamedTuple

from seqapps.data.batch import Rows
from seqapps.data.batching import sorted_batches
from seqapps.data.indexed import IndexedSplit
from seqapps.data.resources import FormColumn, Resources
from seqapps.engine.checkpoint import load_model_tensors
from seqapps.engine.evaluation import evaluating
from seqapps.engine.machine import resolve_device
from seqapps.engine.model import Model, build_model
from seqapps.engine.run_folder import RunFolder
from seqapps.errors import DataError, RunError
from seqapps.recipe import load_recipe
from seqapps.recipe.recipe import Batching, Recipe
from seqapps.registry import registry

__all__ = ["Example", "Prediction", "Predictor"]

Format = Literal["text", "jsonl", "conllu"]

_WINDOW = 2048  # sentences that are read ahead and sorted by length
_TOKENS = 8192  # positions of a batch


class Example(NamedTuple):
    """Something to predict for.

    Attributes:
        tokens: what is labelled.
        original: what its line or block held, for writing it back.
        others: further columns that the model reads, each as long as `tokens`.
    """

    tokens: list[str]
    original: Any = None
    others: Mapping[str, list[str]] = MappingProxyType({})


class Prediction(NamedTuple):
    """Tokens, a label for each, and the model's probability of that label."""

    tokens: list[str]
    labels: list[str]
    probabilities: list[float]
    original: Any = None


class Predictor:
    """Predicts with the model of a run folder; reads nothing but that folder.

    >>> tagger = seqapps.load("runs/pos_bilstm")                      # doctest: +SKIP
    >>> tagger.predict(["我 想 去 旅行"])[0].labels                      # doctest: +SKIP
    ['r', 'vu', 'v', 'vn']

    Attributes:
        recipe: of the run.
        model: in evaluation mode.
        resources: vocabularies and training frequencies.
    """

    def __init__(self, run: str | os.PathLike[str], *, device: str = "auto"):
        self.folder = RunFolder.open(run)
        _check_components(self.folder)
        self.recipe: Recipe = load_recipe(self.folder / "recipe.yaml")
        self.resources = Resources.from_json(self.folder.read_json("resources.json"))
        self.device = resolve_device(device, "device")
        self.model: Model = build_model(self.recipe.model, self.resources.vocabularies, self.recipe.training.kernels)
        tensors, _ = self.folder.read_tensors("model.safetensors")
        load_model_tensors(self.model, tensors, str(self.folder / "model.safetensors"))
        self.model.to(self.device).eval()
        self.tokenizer = self.recipe.data.tokenizer.build()

    def predict(self, examples: Iterable[str | Sequence[str] | Mapping[str, list[str]]]) -> list[Prediction]:
        """Predictions in the order of `examples`.

        An example is a text, which the recipe's tokenizer splits, or a list of tokens, or, for a model that reads
        further columns, a mapping from column to list.
        """
        if isinstance(examples, str):
            raise TypeError("predict takes a list of texts; write predict([text])")
        return list(self.stream(self._example(example) for example in examples))

    def _example(self, example: str | Sequence[str] | Mapping[str, list[str]]) -> Example:
        if isinstance(example, Mapping):
            first, *others = self.resources.input_columns
            return Example(list(example[first]), None, {name: example[name] for name in others if name in example})
        return Example(self.tokenizer.tokenize(example) if isinstance(example, str) else list(example))

    def stream(self, examples: Iterable[Example], *, window: int = _WINDOW) -> Iterator[Prediction]:
        """Predictions in the order of `examples`, with memory for `window` of them at a time.

        An example without tokens gets an empty prediction.
        """
        examples = iter(examples)
        while chunk := list(itertools.islice(examples, window)):
            yield from self._predict_chunk(chunk)

    def _predict_chunk(self, chunk: list[Example]) -> list[Prediction]:
        predictions = [Prediction([], [], [], example.original) for example in chunk]
        filled = [i for i, example in enumerate(chunk) if example.tokens]
        if not filled:
            return predictions
        first, *others = self.resources.input_columns
        columns = {first: _form_column([chunk[i].tokens for i in filled])}
        for name in others:
            columns[name] = _form_column([_column(chunk[i], name) for i in filled])
        split = IndexedSplit(columns, self.resources, "input")
        with evaluating(self.model):
            for rows in sorted_batches(split.lengths, Batching(tokens=_TOKENS)):
                found = self.model.predict(split.batch(rows).to(self.device))
                for row, tagged in zip(rows.tolist(), found, strict=True):
                    i = filled[row]
                    predictions[i] = Prediction(chunk[i].tokens, tagged.labels, tagged.probabilities, chunk[i].original)
        return predictions

    def read(self, stream: IO[bytes], format: Format = "text", name: str = "-") -> Iterator[Example]:
        """Examples from bytes, one at a time.

        text: a sentence a line, split by the recipe's tokenizer. jsonl: {"tokens": [...]} or {"text": "..."} a line.
        conllu: CoNLL-U sentences.

        Raises DataError with name:line for bytes that are not UTF-8 and for lines that do not fit the format.
        """
        lines = _decoded(stream, name)
        if format == "text":
            return (Example(self.tokenizer.tokenize(line)) for _, line in lines)
        if format == "jsonl":
            return (self._from_json(line, f"{name}:{number}") for number, line in lines if line.strip())
        source = self.recipe.data.source
        if source.name == "conllu" and source.fields["units"] == "surface":
            raise DataError(
                f"{name}: the model labels surface tokens, CoNLL-U holds a label a word; use --format jsonl"
            )
        names = [*self.resources.input_columns, self.recipe.model.head.fields["column"]]
        return _read_conllu(lines, name, {column: self._conllu_column(column) for column in names})

    def _conllu_column(self, column: str) -> int | None:
        """Which field of a CoNLL-U line a column of the recipe is; None for one that only MISC can hold."""
        return _CONLLU_COLUMN.get(self.recipe.data.columns.get(column, column))

    def _from_json(self, line: str, where: str) -> Example:
        try:
            value = json.loads(line)
            json.dumps(value, ensure_ascii=False).encode("utf8")  # half of a surrogate pair is no text
        except ValueError as error:
            raise DataError(f"{where}: not JSON ({error}); give one JSON object a line") from None
        tokens = value.get("tokens") if isinstance(value, dict) else None
        if isinstance(tokens, list) and all(isinstance(token, str) for token in tokens):
            others = {name: value[name] for name in self.resources.input_columns[1:] if name in value}
            for name, column in others.items():
                if not isinstance(column, list) or not all(isinstance(item, str) for item in column):
                    raise DataError(f'{where}: {name!r} is {column!r}, expected a list of strings like "tokens"')
            return Example(tokens, value, others)
        if isinstance(value, dict) and isinstance(value.get("text"), str):
            return Example(self.tokenizer.tokenize(value["text"]), value)
        raise DataError(f'{where}: expected {{"tokens": ["...", ...]}} or {{"text": "..."}}')

    def write(self, prediction: Prediction, format: Format = "text") -> str:
        """A prediction as text that ends with a line break.

        text: `token/label token/label ...`. jsonl: the object that was read, with tokens, labels under the name of the
        labels' column, and probabilities. conllu: the sentence that was read with its labels in UPOS (XPOS for a column
        `xpos`); labels of other columns go to MISC as `column=label`.
        """
        column = self.recipe.model.head.fields["column"]
        if format == "text":
            return " ".join(f"{t}/{x}" for t, x in zip(prediction.tokens, prediction.labels, strict=True)) + "\n"
        if format == "jsonl":
            original = prediction.original if isinstance(prediction.original, dict) else {}
            certain = [round(p, 4) for p in prediction.probabilities]
            value = {**original, "tokens": prediction.tokens, column: prediction.labels, "probabilities": certain}
            return json.dumps(value, ensure_ascii=False) + "\n"
        return _write_conllu(prediction, column, self._conllu_column(column))


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


def _decoded(stream: IO[bytes], name: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(stream, 1):
        try:
            text = line.decode("utf8")
        except UnicodeDecodeError as error:
            byte = line[error.start]
            raise DataError(
                f"{name}:{number}: byte {error.start + 1} is 0x{byte:02x}, not UTF-8; convert the file"
            ) from None
        yield number, text.removeprefix("\ufeff").rstrip("\r\n") if number == 1 else text.rstrip("\r\n")


def _read_conllu(lines: Iterator[tuple[int, str]], name: str, places: Mapping[str, int | None]) -> Iterator[Example]:
    block: list[str] = []
    words: list[list[str]] = []

    def example() -> Example:
        others = {column: [word[at] for word in words] for column, at in places.items() if at is not None}
        return Example([word[1] for word in words], block, others)

    for number, line in lines:
        if not line.strip():
            if block:
                yield example()
            block, words = [], []
            continue
        block.append(line)
        if line.startswith("#"):
            continue
        columns = line.split("\t")
        if len(columns) != 10:
            raise DataError(f"{name}:{number}: {len(columns)} columns, expected 10; is a tab missing?")
        if columns[0].isdigit():
            words.append(columns)
    if block:
        yield example()


_CONLLU_COLUMN = {"pos_tags": 3, "upos": 3, "xpos": 4}


def _write_conllu(prediction: Prediction, column: str, place: int | None) -> str:
    block = prediction.original
    if not isinstance(block, list):
        block = ["\t".join([str(i), token] + ["_"] * 8) for i, token in enumerate(prediction.tokens, 1)]
    labels = iter(prediction.labels)
    written = []
    for line in block:
        columns = line.split("\t")
        if not line.startswith("#") and columns[0].isdigit():
            label = next(labels)
            if place is not None:
                columns[place] = label
            else:
                columns[9] = f"{column}={label}" if columns[9] == "_" else f"{columns[9]}|{column}={label}"
        written.append("\t".join(columns))
    return "\n".join(written) + "\n\n"
