"""A source's splits, made ready: the columns that a task needs, under the names it uses, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seqapps.errors import DataError, close_match

if TYPE_CHECKING:
    import pyarrow
    from datasets import Dataset

__all__ = [
    "ALIASES",
    "check_aligned",
    "column_of_lists",
    "column_of_values",
    "derive_splits",
    "prepare_split",
    "tokenize_texts",
    "with_column",
]

# Other names under which the hub and the readers know a column.
ALIASES: dict[str, tuple[str, ...]] = {
    "tokens": ("words", "form", "text", "sentence"),
    "pos_tags": ("upos", "xpos", "pos"),
    "upos": ("pos_tags",),
    "chunk_tags": ("chunks",),
    "ner_tags": ("ner", "tags", "labels"),
    "label": ("labels", "sentiment", "category"),
    "labels": ("label", "categories", "topics"),
}


def derive_splits(splits: Mapping[str, Dataset], shares: Mapping[str, float], seed: int = 1) -> dict[str, Dataset]:
    """Cut the splits named in `shares` out of `train`: a permutation drawn from `seed`, rows kept in their order.

    Raises DataError if a split to be derived is there already, or nothing would be left to train on.
    """
    derived = dict(splits)
    if not shares:
        return derived
    for name in shares:
        if name in splits:
            raise DataError(f"data.derive: the source has a split {name!r} already; remove {name!r} from derive")
    if "train" not in splits:
        raise DataError(f"data.derive: the source has no split 'train' to cut from; it has {', '.join(splits)}")
    train = splits["train"]
    order = np.random.default_rng(seed).permutation(len(train))
    start = 0
    for name, share in shares.items():
        end = start + round(share * len(train))
        derived[name] = train.select(np.sort(order[start:end]))
        start = end
    if start >= len(train) or any(len(derived[name]) == 0 for name in shares):
        raise DataError(
            f"data.derive: {len(train)} training examples cannot be split into {dict(shares)}; use other shares"
        )
    derived["train"] = train.select(np.sort(order[start:]))
    return derived


def prepare_split(
    dataset: Dataset, name: str, columns: Sequence[str], renamed: Mapping[str, str], limit: int | None
) -> Dataset:
    """Columns under the names that the task uses; class numbers become class names.

    Args:
        columns: what the task needs.
        renamed: the recipe's `data.columns`, task's name -> source's name; otherwise a column of that name, or of one
            of its `ALIASES`, is taken. A name with dots that no column has leads into a column of objects:
            `translation.en` is the text under "en" in `translation: {en: ..., de: ...}`.
        limit: keep only the first so many rows.

    Raises:
        DataError: a column is not there, or the split is empty.
    """
    known = _named_columns(dataset)
    found: dict[str, str] = {}
    for wanted in columns:
        choices = [renamed[wanted]] if wanted in renamed else [wanted, *ALIASES.get(wanted, ())]
        present = [choice for choice in choices if choice in known]
        if not present:
            hint = close_match(choices[0], known)
            raise DataError(
                f"split {name!r}: no column {choices[0]!r}{hint}; map it with data.columns: {{{wanted}: NAME}}"
            )
        found[wanted] = present[0]
    for unknown in set(renamed) - set(columns):
        raise DataError(f"data.columns: the task reads no column {unknown!r}{close_match(unknown, columns)}")
    if len(dataset) == 0:
        raise DataError(f"split {name!r}: no examples")
    if limit is not None:
        dataset = dataset.select(range(min(limit, len(dataset))))
    dataset = _side_by_side(dataset, found)
    return _names_for_class_numbers(dataset, columns, name)


def _named_columns(dataset: Dataset) -> list[str]:
    """The names of columns; of a column of objects the names of what is inside, with dots."""
    from datasets import Translation

    def names(prefix: str, feature: Any) -> Iterator[str]:
        if isinstance(feature, Translation):
            yield from (f"{prefix}.{language}" for language in feature.languages)
        elif isinstance(feature, dict):
            for name, inner in feature.items():
                yield from names(f"{prefix}.{name}", inner)
        else:
            yield prefix

    return [name for column, feature in dataset.features.items() for name in names(column, feature)]


def _side_by_side(dataset: Dataset, found: Mapping[str, str]) -> Dataset:
    """The columns named in `found`, new name -> name, which may lead into objects with dots."""
    from datasets import concatenate_datasets

    names = list(found.values())
    if set(names) <= set(dataset.column_names) and len(set(names)) == len(names):
        dataset = dataset.select_columns(names)
        return dataset.rename_columns({theirs: ours for ours, theirs in found.items() if ours != theirs})
    parts = []
    for ours, theirs in found.items():
        column = theirs
        while column not in dataset.column_names:  # feats.Case may be the name of a column itself
            column = column.rpartition(".")[0]
        part = dataset.select_columns([column])
        part = part if column == theirs else part.flatten().select_columns([theirs])
        parts.append(part if ours == theirs else part.rename_column(theirs, ours))
    return concatenate_datasets(parts, axis=1)


def _names_for_class_numbers(dataset: Dataset, columns: Iterable[str], split: str) -> Dataset:
    from datasets import ClassLabel, List, Value

    order = dataset.column_names
    for column in columns:
        feature = dataset.features[column]
        labels = getattr(feature, "feature", feature)
        if not isinstance(labels, ClassLabel):
            continue
        listed = labels is not feature
        rows = dataset[column][:]
        unlabelled = next((i for i, row in enumerate(rows) if -1 in (row if listed else [row])), None)
        if unlabelled is not None:
            where = f"split {split!r}, row {unlabelled + 1}"
            raise DataError(f"{where}: column {column!r} holds -1, which is no label; leave such rows out")
        names = [[labels.int2str(v) for v in row] if listed else labels.int2str(row) for row in rows]
        new_feature = List(Value("string")) if listed else Value("string")
        dataset = with_column(dataset.remove_columns(column), column, names, new_feature)
    return dataset.select_columns(order)


def column_of_lists(dataset: Dataset, column: str, split: str) -> tuple[pyarrow.Array, np.ndarray]:
    """A column of string lists as one flat Arrow array of strings and (N + 1,) offsets.

    Raises DataError naming split and row if a value is missing, or the column does not hold lists of strings.
    """
    import pyarrow as pa

    table = dataset.with_format("arrow")[:]
    lists = table.column(column).combine_chunks()
    if isinstance(lists, pa.ChunkedArray):
        lists = pa.concat_arrays(lists.chunks) if lists.num_chunks else pa.array([], pa.list_(pa.string()))
    is_list = pa.types.is_list(lists.type) or pa.types.is_large_list(lists.type)
    if not is_list or not (
        pa.types.is_string(lists.type.value_type) or pa.types.is_large_string(lists.type.value_type)
    ):
        raise DataError(f"split {split!r}: column {column!r} holds {lists.type}, expected lists of strings")
    if lists.null_count:
        row = int(np.flatnonzero(lists.is_null().to_numpy(zero_copy_only=False))[0])
        raise DataError(f"split {split!r}, row {row + 1}: column {column!r} is empty (null)")
    offsets = np.asarray(lists.offsets, np.int64)
    flat = lists.flatten()
    if flat.null_count:
        position = int(np.flatnonzero(flat.is_null().to_numpy(zero_copy_only=False))[0])
        row = int(np.searchsorted(offsets - offsets[0], position, side="right") - 1)
        raise DataError(f"split {split!r}, row {row + 1}: column {column!r} has a missing value")
    return flat, offsets - offsets[0]


def column_of_values(dataset: Dataset, column: str, split: str) -> pyarrow.Array:
    """A column of one label per row as one Arrow array of strings; whole numbers and booleans as they are written.

    Raises DataError naming split and row if a value is missing, or the column holds something else.
    """
    import pyarrow as pa

    values = dataset.with_format("arrow")[:].column(column)
    kind = values.type
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_boolean)
    if not any(check(kind) for check in checks):
        raise DataError(f"split {split!r}: column {column!r} holds {kind}, expected one label a row")
    if values.null_count:
        row = int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0])
        raise DataError(f"split {split!r}, row {row + 1}: column {column!r} is empty (null)")
    return pa.array([str(value) for value in values.to_pylist()], pa.string())


def with_column(dataset: Dataset, name: str, values: Sequence[Any], feature: Any) -> Dataset:
    """The data set with one column more. A part of one is copied by this, which `datasets` would draw a bar of."""
    from seqapps.data.sources.builders import without_progress_bars

    with without_progress_bars():
        return dataset.add_column(name, values, feature=feature)


def tokenize_texts(dataset: Dataset, columns: Iterable[str], tokenize: Callable[[str], list[str]]) -> Dataset:
    """The columns that hold texts as lists of tokens; a text that is missing (null) stays so."""
    from datasets import List, Value

    order = dataset.column_names
    for column in columns:
        feature = dataset.features[column]
        if getattr(feature, "dtype", None) not in ("string", "large_string"):
            continue
        tokens = [None if text is None else tokenize(text) for text in dataset[column][:]]
        text = f"{column} as text"  # taken out last: without columns there are no rows
        dataset = with_column(dataset.rename_column(column, text), column, tokens, List(Value("string")))
        dataset = dataset.remove_columns(text)
    return dataset.select_columns(order)


def check_aligned(offsets: Mapping[str, np.ndarray], split: str) -> None:
    """DataError naming the first row whose columns differ in length, or that has no tokens at all."""
    (first, reference), *others = offsets.items()
    lengths = np.diff(reference)
    for column, other in others:
        differing = np.flatnonzero(np.diff(other) != lengths)
        if len(differing):
            row = int(differing[0])
            raise DataError(
                f"split {split!r}, row {row + 1}: {lengths[row]} {first}, {int(np.diff(other)[row])} {column}; "
                f"they must be equally many ({len(differing)} such rows)"
            )
    empty = np.flatnonzero(lengths == 0)
    if len(empty):
        raise DataError(
            f"split {split!r}, row {int(empty[0]) + 1}: no {first}; remove empty rows ({len(empty)} of them)"
        )
