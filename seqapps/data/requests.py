"""What a component asks of the data before it is constructed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from seqapps.errors import ComponentError

__all__ = ["Request", "columns_of", "merge_requests", "single_columns", "text_columns"]


class Request(NamedTuple):
    """A column as numbers, under `key` in vocabularies and batches.

    Level `token`: each token a number, `<unk>` for unknown ones. Level `character`: each token a sequence of character
    numbers. Level `label`: each token a label, no specials. Level `class`: one label for the whole example, no
    specials. Labels of both levels are targets, so they are absent when predicting.

    Args:
        lowercase: fold case before looking up (the vocabulary then holds lower-cased symbols only).
        min_frequency, max_size: what enters the vocabulary, see `Vocabulary.from_counts`.
        max_length: characters kept of a token, the first half and the last half of them.
        vectors: a file of pretrained vectors; `all` in `vectors_words` adds its words to the vocabulary.
    """

    key: str
    column: str
    level: Literal["token", "character", "label", "class"] = "token"
    lowercase: bool = False
    min_frequency: int = 1
    max_size: int | None = None
    max_length: int | None = None
    vectors: str | None = None
    vectors_words: Literal["training", "all"] = "training"

    @property
    def is_target(self) -> bool:
        """Is it what a model predicts, rather than what it reads?"""
        return self.level in ("label", "class")


def merge_requests(requests: Iterable[Request]) -> dict[str, Request]:
    """Requests by key; ComponentError if two components ask for different things under one key."""
    merged: dict[str, Request] = {}
    for request in requests:
        known = merged.setdefault(request.key, request)
        if known != request:
            differing = [f"{a} and {b}" for a, b in zip(known, request, strict=True) if a != b]
            raise ComponentError(
                f"two parts of the model read column {request.column!r} differently ({'; '.join(differing)})"
            )
    return merged


def columns_of(requests: Mapping[str, Request]) -> list[str]:
    """The columns that requests read, each once, in their order."""
    return list(dict.fromkeys(request.column for request in requests.values()))


def single_columns(requests: Mapping[str, Request]) -> set[str]:
    """The columns that hold one value per example, not one per token."""
    return {request.column for request in requests.values() if request.level == "class"}


def text_columns(requests: Mapping[str, Request]) -> list[str]:
    """The columns that a model reads, which may come as text."""
    return list(dict.fromkeys(request.column for request in requests.values() if not request.is_target))
