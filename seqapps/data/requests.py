"""What a component asks of the data before it is constructed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from seqapps.data.vocabulary import BOS, EOS, PAD, UNK
from seqapps.errors import ComponentError

__all__ = [
    "Frame",
    "Request",
    "array_requests",
    "columns_of",
    "framed",
    "label_list_columns",
    "merge_requests",
    "several_columns",
    "sharing",
    "single_columns",
    "source_of",
    "text_columns",
    "written_columns",
]

Frame = Literal["none", "sentence", "stream"]


class Request(NamedTuple):
    """A column as numbers, under `key` in vocabularies and batches.

    Level `token`: each token a number, `<unk>` for unknown ones. Level `character`: each token a sequence of character
    numbers. Level `label`: each token a label, no specials. Level `class`: one label for the whole example, no
    specials; level `classes`: any number of them. Level `target`: a text to be written, each token a number; its length
    is its own. Labels and texts to be written are targets, so they are absent when predicting. Level `vector`: a vector
    of numbers, or a list of vectors. Level `image`: an image, as `seqapps.data.image_files` reads it. Level `features`:
    numbers that follow from the tokens of a text.

    A text that a model writes has a frame, marks that tell where it begins and ends: `sentence`, `<bos>` before and
    `<eos>` after every one; `stream`, `<eos>` after every one, which the next one follows.

    Args:
        order: tokens of which each symbol is made, the last of them at the position itself; 1 = the token alone.
        lowercase: fold case before looking up (the vocabulary then holds lower-cased symbols only).
        min_frequency, max_size: what enters the vocabulary, see `Vocabulary.from_counts`.
        max_length: characters kept of a token, the first half and the last half of them.
        vectors: a file of pretrained vectors; `all` in `vectors_words` adds its words to the vocabulary.
        several: a row is a list of texts to be written, any of which would do, and not one text in tokens; see
            `seqapps.data.several`.
        size: pixels of the side to which images are brought.
        pointed: tokens of the text that is read may be written though the vocabulary lacks them; a batch then has that
            text in numbers of this vocabulary, too, see `source_of` and `seqapps.data.pointers`.
        shared: its vocabulary is that of the tokens that are read as well, made from both columns; see `sharing`.
        sets: the feature sets, as in a list of a recipe: "length, {type: lexicon, path: words.tsv}".
        declared: of labels of whole examples, all that there may be, in their order; () = those that training has.
    """

    key: str
    column: str
    level: Literal["token", "character", "label", "class", "classes", "target", "vector", "image", "features"] = "token"
    order: int = 1
    lowercase: bool = False
    min_frequency: int = 1
    max_size: int | None = None
    max_length: int | None = None
    vectors: str | None = None
    vectors_words: Literal["training", "all"] = "training"
    frame: Frame = "none"
    several: bool = False
    size: int | None = None
    declared: tuple[str, ...] = ()
    sets: str = ""
    pointed: bool = False
    shared: bool = False

    @property
    def is_array(self) -> bool:
        """Does the column hold numbers already, so that there is no vocabulary?"""
        return self.level in ("vector", "image")

    @property
    def has_vocabulary(self) -> bool:
        """Is it made of symbols that have numbers?"""
        return not self.is_array and self.level != "features"

    @property
    def is_target(self) -> bool:
        """Is it what a model predicts, rather than what it reads?"""
        return self.is_label or self.level == "target"

    @property
    def is_label(self) -> bool:
        """Is it a label, or labels, of which there is a closed list?"""
        return self.level in ("label", "class", "classes")

    @property
    def specials(self) -> tuple[str, ...]:
        """Symbols that its vocabulary begins with."""
        if self.is_label or not self.has_vocabulary:
            return ()
        marks = {"none": (), "sentence": (BOS, EOS), "stream": (EOS,)}
        return (PAD, UNK, *marks[self.frame])


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


def framed(requests: Iterable[Request], frame: Frame) -> list[Request]:
    """The requests of a model that writes what it reads: all that it reads gets its frame."""
    return [r if r.is_target or r.is_array else r._replace(frame=frame) for r in requests]


def sharing(requests: Mapping[str, Request]) -> list[str]:
    """Keys of the requests that have one vocabulary: a text to be written that asks for it first, and tokens read."""
    written = [key for key, request in requests.items() if request.shared]
    if not written:
        return []
    column = text_columns(requests)[0]
    read = [key for key, r in requests.items() if r.column == column and r.level == "token" and r.order == 1]
    return [*written, *read]


def source_of(key: str) -> str:
    """Under what a batch holds the text that is read, in numbers of the vocabulary of a text to be written."""
    return f"source of {key}"


def columns_of(requests: Mapping[str, Request]) -> list[str]:
    """The columns that requests read, each once, in their order."""
    return list(dict.fromkeys(request.column for request in requests.values()))


def single_columns(requests: Mapping[str, Request]) -> set[str]:
    """The columns that hold one value per example, not one per token."""
    return {request.column for request in requests.values() if request.level == "class"}


def label_list_columns(requests: Mapping[str, Request]) -> list[str]:
    """The columns that hold a list of labels per example, of any length."""
    return list(dict.fromkeys(request.column for request in requests.values() if request.level == "classes"))


def text_columns(requests: Mapping[str, Request]) -> list[str]:
    """The columns that a model reads, which may come as text."""
    return list(dict.fromkeys(r.column for r in requests.values() if not r.is_target and not r.is_array))


def written_columns(requests: Mapping[str, Request]) -> list[str]:
    """The columns that a model writes, which may come as text, too; their rows have lengths of their own."""
    return list(dict.fromkeys(request.column for request in requests.values() if request.level == "target"))


def several_columns(requests: Mapping[str, Request]) -> set[str]:
    """The columns whose rows are lists of texts to be written."""
    return {request.column for request in requests.values() if request.several}


def array_requests(requests: Mapping[str, Request]) -> dict[str, Request]:
    """Column -> the request that reads it, for vectors and images.

    Raises ComponentError if two of different size or level read one column.
    """
    found: dict[str, Request] = {}
    for request in requests.values():
        if request.is_array and found.setdefault(request.column, request)[2:] != request[2:]:
            raise ComponentError(f"two parts of the model read column {request.column!r} differently; set one size")
    return found
