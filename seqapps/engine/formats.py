"""What is predicted for, and what was predicted, as lines of text, JSON lines or CoNLL-U."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from types import MappingProxyType
from typing import IO, Any, Literal, NamedTuple

from seqapps.data.demands import Demand
from seqapps.data.image_files import IMAGE_SUFFIXES
from seqapps.data.requests import array_requests
from seqapps.data.resources import Resources
from seqapps.data.sources.reading import decoded_lines
from seqapps.data.tokenizers import Tokenizer
from seqapps.engine.demands import Demands
from seqapps.errors import DataError, UseError
from seqapps.heads.predictions import LabelledTokens, Prediction
from seqapps.recipe.recipe import Recipe

__all__ = ["Example", "Format", "Formats"]

Format = Literal["text", "jsonl", "conllu"]

# Names of columns that CoNLL-U has a field for; others go to MISC.
_CONLLU_COLUMN = {"pos_tags": 3, "upos": 3, "xpos": 4}


class Example(NamedTuple):
    """Something to predict for.

    Attributes:
        tokens: what is labelled; of an image or a vector what it is called.
        original: what its line or block held, for writing it back.
        others: further columns that the model reads, each as long as `tokens`; or its images and vectors.
        where: file and line that it came from, for messages.
        text: what `tokens` were cut from; None if they came as tokens.
        demand: what is asked of the text that is written for it.
    """

    tokens: list[str]
    original: Any = None
    others: Mapping[str, Any] = MappingProxyType({})
    where: str | None = None
    text: str | None = None
    demand: Demand = Demand()


class Formats:
    """Reads examples and writes predictions as the recipe of a run understands its columns."""

    def __init__(self, recipe: Recipe, resources: Resources, tokenizer: Tokenizer):
        self.recipe, self.resources, self.tokenizer = recipe, resources, tokenizer
        self.arrays = array_requests(resources.requests)
        self.demands = Demands(recipe, resources)

    def read(self, stream: IO[bytes], format: Format = "text", name: str = "-") -> Iterator[Example]:
        """Examples from bytes, one at a time.

        text: a sentence a line, split by the recipe's tokenizer; or an image a line, the name of its file. jsonl:
        {"tokens": [...]}, {"text": "..."}, {"image": "name of its file"} or {"vector": [...]} a line, the latter under
        the name of the column that the model reads; "prefix", "require" and "ban" beside them are asked of a text that
        is written. conllu: CoNLL-U sentences. Where images are read and `name` ends as that of an image does, the bytes
        are that image.

        Raises DataError with name:line for bytes that are not UTF-8 and for lines that do not fit the format, UseError
        for a format that the model's task does not have.
        """
        self._check(format)
        if PurePath(name).suffix.lower() in IMAGE_SUFFIXES and [one.level for one in self.arrays.values()] == ["image"]:
            (column,) = self.arrays
            content = {column: stream.read()}
            return iter([Example([name], {column: name}, content, name, demand=self.demands.common)])
        lines = decoded_lines(stream, name)
        if self.arrays:
            return self._read_arrays(lines, format, name)
        if format == "text":
            return (self.of_text(line, line, f"{name}:{number}") for number, line in lines)
        if format == "jsonl":
            return (self._from_json(line, f"{name}:{number}") for number, line in lines if line.strip())
        source = self.recipe.data.source
        if source.name == "conllu" and source.fields["units"] == "surface":
            raise DataError(
                f"{name}: the model labels surface tokens, CoNLL-U holds a label a word; use --format jsonl"
            )
        names = [*self.resources.input_columns, self.recipe.model.head.fields["column"]]
        return _read_conllu(lines, name, {column: self._conllu_column(column) for column in names})

    def of_text(self, text: str, original: Any, where: str) -> Example:
        """A text as an example."""
        tokens = self.tokenizer.tokenize(text)
        return Example(tokens, original, where=where, text=text, demand=self.demands.common)

    def _read_arrays(self, lines: Iterator[tuple[int, str]], format: Format, name: str) -> Iterator[Example]:
        """Images or vectors. UseError where they cannot be written as text."""
        (column, request), *others = self.arrays.items()
        if format == "jsonl":
            return (self._array_from_json(line, f"{name}:{number}") for number, line in lines if line.strip())
        if request.level == "vector" or others:
            wanted = ", ".join(f'"{read}": ...' for read in self.arrays)
            raise UseError(f"--format text: the model reads vectors, which are no text; use jsonl, {{{wanted}}} a line")
        return (
            Example(
                [line] if line.strip() else [],
                line,
                {column: line.strip()},
                f"{name}:{number}",
                demand=self.demands.common,
            )
            for number, line in lines
        )

    def _array_from_json(self, line: str, where: str) -> Example:
        value = _json(line, where)
        missing = [column for column in self.arrays if not isinstance(value, dict) or column not in value]
        if missing:
            raise DataError(f"{where}: no {missing[0]!r}, which the model reads; give an object with it on each line")
        for column, request in self.arrays.items():
            if request.level == "image" and not isinstance(value[column], str):
                raise DataError(f"{where}: {column!r} is no text; expected the name of a file")
        return Example([where], value, value, where, demand=self.demands.of_json(value, where))

    def _conllu_column(self, column: str) -> int | None:
        """Which field of a CoNLL-U line a column of the recipe is; None for one that only MISC can hold."""
        return _CONLLU_COLUMN.get(self.recipe.data.columns.get(column, column))

    def _check(self, format: Format) -> None:
        head = self.recipe.model.head
        if format not in head.target.formats:
            known = " or ".join(head.target.formats)
            raise UseError(f"--format {format}: a model of task {head.name!r} has no such format; use {known}")

    def _from_json(self, line: str, where: str) -> Example:
        value = _json(line, where)
        tokens = value.get("tokens") if isinstance(value, dict) else None
        if isinstance(tokens, list) and all(isinstance(token, str) for token in tokens):
            others = {name: value[name] for name in self.resources.input_columns[1:] if name in value}
            for name, column in others.items():
                if not isinstance(column, list) or not all(isinstance(item, str) for item in column):
                    raise DataError(f'{where}: {name!r} is {column!r}, expected a list of strings like "tokens"')
            return Example(tokens, value, others, where, demand=self.demands.of_json(value, where))
        if isinstance(value, dict) and isinstance(value.get("text"), str):
            return self.of_text(value["text"], value, where)._replace(demand=self.demands.of_json(value, where))
        raise DataError(f'{where}: expected {{"tokens": ["...", ...]}} or {{"text": "..."}}')

    def write(self, prediction: Prediction, format: Format = "text") -> str:
        """A prediction as text that ends with a line break.

        text: for a tagger `token/label token/label ...`, for a classifier `text TAB label TAB probability`, or
        `text TAB label, label, ...` if it gives several, for what writes texts the text. jsonl: the object that was
        read, with its tokens if it was a text, and what the task adds: labels under the name of their column,
        probabilities. conllu: the sentence that was read with its labels
        in UPOS (XPOS for a column `xpos`); labels of other columns go to MISC as `column=label`.
        """
        if format == "text":
            return prediction.line() + "\n"
        if format == "jsonl":
            original = prediction.original if isinstance(prediction.original, dict) else {}
            tokens = {} if self.arrays else {"tokens": prediction.tokens}
            value = {**original, **tokens, **prediction.fields()}
            return json.dumps(value, ensure_ascii=False) + "\n"
        self._check(format)
        assert isinstance(prediction, LabelledTokens)
        return _write_conllu(prediction, self._conllu_column(prediction.column))


def _json(line: str, where: str) -> Any:
    try:
        value = json.loads(line)
        json.dumps(value, ensure_ascii=False).encode("utf8")  # half of a surrogate pair is no text
    except ValueError as error:
        raise DataError(f"{where}: not JSON ({error}); give one JSON object a line") from None
    return value


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


def _write_conllu(prediction: LabelledTokens, place: int | None) -> str:
    block, column = prediction.original, prediction.column
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
