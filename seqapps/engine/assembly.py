"""From a checked recipe to data as numbers and a model: the order of a run's beginning.

recipe -> source opened -> components asked what they need -> resources built on `train` -> model constructed
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from seqapps.data.arrays import ArrayColumn, read_arrays
from seqapps.data.dataset import derive_splits, prepare_split, tokenize_texts
from seqapps.data.features.standardised import StandardisedFeatures
from seqapps.data.indexed import IndexedSplit, read_forms
from seqapps.data.requests import (
    Request,
    array_requests,
    columns_of,
    framed,
    label_list_columns,
    merge_requests,
    several_columns,
    single_columns,
    text_columns,
    written_columns,
)
from seqapps.data.resources import FormColumn, Resources
from seqapps.data.several import REFERENCES, Column, is_text, lists_texts, unfolded, with_references
from seqapps.data.shortening import Shortening
from seqapps.data.sources.source import Places, Source
from seqapps.data.tokenizers.columns import ColumnTokenizers
from seqapps.engine.model import Model
from seqapps.engine.schedules import Schedule
from seqapps.errors import DataError, UseError, close_match
from seqapps.recipe import recipe as sections
from seqapps.recipe.recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset

    from seqapps.data.vectors import Vectors

_NAME = "name"  # what an image is called
_FURTHER = (_NAME, REFERENCES)

__all__ = [
    "OpenedData",
    "fingerprint",
    "forms_of",
    "freeze",
    "length_notes",
    "open_data",
    "read_features",
    "requests_of",
    "shortened",
    "tokenized",
    "tokenizers_of",
]


@dataclass
class OpenedData:
    """The splits of a recipe as numbers.

    Attributes:
        licence, warning: what the source says of its data, or None.
        notes: what a reader of the report should know.
        vectors: key -> pretrained vectors that were found for its vocabulary.
    """

    source: Source
    resources: Resources
    splits: dict[str, IndexedSplit]
    fingerprints: dict[str, str]
    notes: list[str]
    vectors: dict[str, Vectors]


def requests_of(model: sections.Model) -> dict[str, Request]:
    """What the components of a model ask of the data."""
    asked = [spec.target.requests(spec.fields) for spec in model.specs() if hasattr(spec.target, "requests")]
    frame = model.head.target.frame(model.head.fields)
    return merge_requests(framed((request for requests in asked for request in requests), frame))


def forms_of(
    dataset: Dataset, requests: Mapping[str, Request], split: str, *, every: bool = False
) -> dict[str, Column]:
    """The columns of a split that requests read: texts and labels by their forms, vectors and images as arrays.

    Where a row has several texts to be written, each is a row if `every`, and only the first otherwise.
    """
    arrays = array_requests(requests)
    several = [name for name in written_columns(requests) if lists_texts(dataset, name)]
    kept = [name for name in _FURTHER if name in dataset.column_names]
    columns = [name for name in columns_of(requests) if name not in arrays and name not in several]
    single = {*single_columns(requests), _NAME}
    written = [*written_columns(requests), *label_list_columns(requests), REFERENCES]
    if len(columns) == 1 and all(request.frame != "none" for request in requests.values()):
        written += columns  # between its marks a text may be empty
    read: dict[str, Column] = dict(read_forms(dataset, [*columns, *kept], split, single, written))
    read.update({name: read_arrays(dataset, request, split) for name, request in arrays.items()})
    for column in several:
        read = unfolded(read, dataset, column, every=every)
    return read


def _further(dataset: Dataset, requests: Mapping[str, Request]) -> list[str]:
    """Columns that nobody asked for, and that reports and scores take up where they are there."""
    wanted = [_NAME] * bool(array_requests(requests)) + [REFERENCES] * bool(written_columns(requests))
    return [name for name in wanted if name in dataset.column_names and name not in columns_of(requests)]


def needed_splits(recipe: Recipe) -> list[str]:
    """Splits without which the recipe cannot be run."""
    needed = ["train", *recipe.evaluation.splits]
    watches = recipe.training.schedule.target.observe is not Schedule.observe
    watches |= hasattr(recipe.training.optimizer.target, "observe")
    if recipe.training.stop is not None or watches:
        needed.append("validation")
    return list(dict.fromkeys(needed))


def load_splits(
    recipe: Recipe, places: Places, wanted: Iterable[str], required: Collection[str]
) -> tuple[Source, dict[str, Dataset]]:
    """Open the source and take the columns that are needed from its splits. DataError if a required one is missing."""
    source: Source = recipe.data.source.build()
    found = derive_splits(source.load(places), recipe.data.derive)
    for name in required:
        if name not in found:
            hint = close_match(name, found)
            derive = f", or cut it from train with data.derive: {{{name}: 0.1}}" if "train" in required else ""
            raise DataError(
                f"{recipe.data.source.mark}: source {recipe.data.source.name!r} has no split {name!r}{hint}; "
                f"name another{derive}"
            )
    requests, ready = requests_of(recipe.model), {}
    for name in dict.fromkeys([*required, *wanted]):
        if name in found:
            columns = [*columns_of(requests), *_further(found[name], requests)]
            ready[name] = prepare_split(found[name], name, columns, recipe.data.columns, recipe.data.limit)
    return source, ready


def tokenizers_of(recipe: Recipe) -> ColumnTokenizers:
    """Those of the columns of text that a recipe's model reads and writes, not trained yet."""
    requests = requests_of(recipe.model)
    columns = [*text_columns(requests), *written_columns(requests)]
    return ColumnTokenizers.of(recipe.data.tokenizer, recipe.data.tokenizers, columns)


def tokenized(dataset: Dataset, requests: Mapping[str, Request], split: str, tokenizers: ColumnTokenizers) -> Dataset:
    """A split with its texts in tokens; of texts to be written the data's own wording is kept as references."""
    several, written = several_columns(requests), written_columns(requests)
    for column in tokenizers:
        has_texts = column in written and (is_text(dataset, column) or lists_texts(dataset, column))
        if column in several or has_texts:
            dataset = with_references(dataset, [column], split, tokenizers[column].tokenize)
        else:
            dataset = tokenize_texts(dataset, [column], tokenizers[column].tokenize)
    return dataset


def open_data(recipe: Recipe, places: Places) -> OpenedData:
    """Read all splits that a run uses, and build the resources on `train`."""
    required, requests = needed_splits(recipe), requests_of(recipe.model)
    _check_max_length(recipe, requests)
    tokenizers = tokenizers_of(recipe)
    source, datasets = load_splits(recipe, places, ["validation"], required)
    tokenizers.fit(datasets["train"], several_columns(requests))
    datasets = {name: tokenized(dataset, requests, name, tokenizers) for name, dataset in datasets.items()}
    forms = {name: forms_of(dataset, requests, name, every=name == "train") for name, dataset in datasets.items()}
    prints = {name: fingerprint(read) for name, read in forms.items()}
    cut = {name: shortened(recipe, read) for name, read in forms.items()}
    forms = {name: read for name, (read, _) in cut.items()}
    vectors = read_pretrained(requests, forms["train"], places)
    words = {key: found.words for key, found in vectors.items() if requests[key].vectors_words == "all"}
    features = read_features(requests, places)
    resources = Resources.build(requests, forms["train"], words, tokenizers, features)
    splits = {name: IndexedSplit(read, resources, name) for name, read in forms.items()}
    notes = [
        *source.notes,
        *length_notes(recipe, {name: longer for name, (_, longer) in cut.items()}),
        *(note for split in splits.values() for note in _notes(split)),
    ]
    return OpenedData(source, resources, splits, prints, notes, vectors)


def _check_max_length(recipe: Recipe, requests: Mapping[str, Request]) -> None:
    """DataError if texts are to be cut, but something is said of single tokens or a text is written."""
    if recipe.data.max_length is None:
        return
    if any(r.level in ("label", "target") or r.frame != "none" for r in requests.values()):
        raise DataError(
            f"{recipe.origins.get('data.max_length', 'recipe')}: max_length cuts texts, and head "
            f"{recipe.model.head.name!r} needs every token; remove it"
        )


def shortened(recipe: Recipe, columns: Mapping[str, Column]) -> tuple[dict[str, Column], int]:
    """Columns with the texts that a model reads cut to `data.max_length`, and how many were longer."""
    section, requests = recipe.data, requests_of(recipe.model)
    if section.max_length is None:
        return dict(columns), 0
    texts = [name for name in text_columns(requests) if name in columns]
    return Shortening(section.max_length, section.kept).of(columns, texts)


def length_notes(recipe: Recipe, longer: Mapping[str, int]) -> list[str]:
    """What to tell of texts that were cut: name of a split -> how many."""
    if recipe.data.max_length is None:
        return []
    shortening = Shortening(recipe.data.max_length, recipe.data.kept)
    return [shortening.note(count, name) for name, count in longer.items() if count]


def read_pretrained(requests: Mapping[str, Request], train: Mapping[str, Column], places: Places) -> dict[str, Vectors]:
    """The vectors that requests name: of words in training, or of all words."""
    read = {}
    for key, request in requests.items():
        if request.vectors is not None:
            from seqapps.data.vectors import read_vectors

            column = train[request.column]
            assert isinstance(column, FormColumn)
            forms = column.forms
            wanted = {form.lower() for form in forms} if request.lowercase else set(forms)
            read[key] = read_vectors(places.find(request.vectors), None if request.vectors_words == "all" else wanted)
    return read


def read_features(requests: Mapping[str, Request], places: Places) -> dict[str, StandardisedFeatures]:
    """The hand-made features that requests name, the files of their sets read."""
    found = {key: StandardisedFeatures(request.sets) for key, request in requests.items() if request.sets}
    for features in found.values():
        features.read(places)
    return found


def _notes(split: IndexedSplit) -> list[str]:
    notes = []
    for key, unseen in split.unknown_labels.items():
        names = ", ".join(sorted(unseen)[:5]) + (", ..." if len(unseen) > 5 else "")
        units = "tokens" if split.resources.requests[key].level == "label" else "texts"
        what = f"{len(unseen)} label{'s' if len(unseen) > 1 else ''} of {key} in {split.name}"
        notes.append(f"{what} never seen in training ({names}; {sum(unseen.values())} {units}): they count as errors")
    return notes


def fingerprint(columns: Mapping[str, Column]) -> str:
    """SHA-256 of what a split holds, independent of how it was stored."""
    digest = hashlib.sha256()
    for name in sorted(columns):
        column = columns[name]
        if isinstance(column, ArrayColumn):
            digest.update(f"{name}\0{column.fingerprint()}".encode())
        if not isinstance(column, FormColumn):  # texts of several are among the references, as they were written
            continue
        digest.update(f"{name}\0{len(column.numbers)}\0".encode())
        digest.update("\0".join(column.forms).encode("utf8", "surrogatepass"))
        digest.update(np.ascontiguousarray(column.numbers.values, np.int64).tobytes())
        digest.update(np.ascontiguousarray(column.numbers.offsets, np.int64).tobytes())
    return digest.hexdigest()


def freeze(model: Model, patterns: Iterable[str]) -> int:
    """Stop training the parameters whose names match; returns how many numbers that is.

    Raises UseError if a pattern matches none.
    """
    frozen = 0
    parameters = dict(model.named_parameters())
    for pattern in patterns:
        matching = fnmatch.filter(parameters, pattern)
        if not matching:
            raise UseError(f"model.freeze: {pattern!r} matches no parameter{close_match(pattern, parameters)}")
        for name in matching:
            frozen += parameters[name].numel() if parameters[name].requires_grad else 0
            parameters[name].requires_grad_(False)
    return frozen
