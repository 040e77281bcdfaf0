"""What a model needs to know of its training data: saved with the run, and all that prediction reads of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seqapps.data.batch import Rows
from seqapps.data.features.standardised import StandardisedFeatures
from seqapps.data.requests import Request, sharing, text_columns
from seqapps.data.seen import SeenTexts
from seqapps.data.tokenizers.columns import ColumnTokenizers
from seqapps.data.vocabulary import BOS, Vocabulary
from seqapps.schemes import detect

__all__ = ["FormColumn", "Resources"]


@dataclass(frozen=True)
class FormColumn:
    """A column of string lists by its distinct forms: `numbers` are rows of indices into `forms`."""

    forms: list[str]
    numbers: Rows

    def frequencies(self) -> dict[str, int]:
        """How often each form occurs."""
        counts = np.bincount(self.numbers.values, minlength=len(self.forms))
        return dict(zip(self.forms, counts.tolist(), strict=True))

    def ngrams(self, order: int) -> FormColumn:
        """At every position the n-gram that ends there, its strings joined by blanks, `<bos>` before a row's first."""
        if order == 1:
            return self
        rows = self.numbers
        marked = np.append(rows.values[rows.offsets[0] : rows.offsets[-1]], len(self.forms))  # the mark is last
        starts = np.repeat(rows.offsets[:-1] - rows.offsets[0], rows.lengths)
        at = np.arange(len(starts))
        grams = [marked[np.where(at - back < starts, -1, at - back)] for back in reversed(range(order))]
        codes = grams[0]
        for gram in grams[1:]:
            codes = np.unique(codes * (len(self.forms) + 1) + gram, return_inverse=True)[1]
        _, first, numbers = np.unique(codes, return_index=True, return_inverse=True)
        spelled = [*self.forms, BOS]
        forms = [" ".join(spelled[gram[i]] for gram in grams) for i in first.tolist()]
        return FormColumn(forms, Rows(numbers, rows.offsets - rows.offsets[0]))

    @property
    def lengths(self) -> np.ndarray:
        """(N,) strings of every row."""
        return self.numbers.lengths

    def taken(self, rows: np.ndarray) -> FormColumn:
        """With these rows of it as rows."""
        return FormColumn(self.forms, self.numbers.taken(rows))


@dataclass(frozen=True)
class Resources:
    """What was learnt from the training split before training.

    Attributes:
        requests: key -> what a component asked for.
        vocabularies: key -> its symbols.
        frequencies: column of tokens -> training frequency of every form, as it is spelt, whatever a vocabulary leaves
            out.
        sizes: key of vectors -> how many numbers each of them has.
        tokenizers: column of text -> what turns its texts into tokens and tokens into texts.
        features: key of hand-made features -> what computes them.
        seen_texts: column of several texts to be written -> those of training, in lower case where the request says so.
    """

    requests: dict[str, Request]
    vocabularies: dict[str, Vocabulary]
    frequencies: dict[str, dict[str, int]]
    sizes: dict[str, int] = field(default_factory=dict)
    tokenizers: ColumnTokenizers = field(default_factory=lambda: ColumnTokenizers({}))
    seen_texts: dict[str, SeenTexts] = field(default_factory=dict)
    features: dict[str, StandardisedFeatures] = field(default_factory=dict)

    @property
    def token_column(self) -> str:
        """The column that holds the input's tokens; a model that reads no text has none."""
        return self.input_columns[0]

    @property
    def input_columns(self) -> list[str]:
        """The columns that the model reads, that of the tokens first; what it predicts is not among them."""
        return text_columns(self.requests)

    @classmethod
    def build(
        cls,
        requests: Mapping[str, Request],
        train: Mapping[str, Any],
        vector_words: Mapping[str, Sequence[str]] | None = None,
        tokenizers: ColumnTokenizers | None = None,
        features: Mapping[str, StandardisedFeatures] | None = None,
    ) -> Resources:
        """From the training split.

        Args:
            train: its columns, `FormColumn` and others.
            vector_words: key -> words of a file of pretrained vectors that join the vocabulary with count 0.
            tokenizers: what its texts went through.
            features: key -> hand-made features, their files read.
        """
        texts = {name: column for name, column in train.items() if isinstance(column, FormColumn)}
        frequencies = {name: column.frequencies() for name, column in texts.items()}
        features = dict(features or {})
        vocabularies, sizes = {}, {}
        for key, request in requests.items():
            if request.level == "vector":
                sizes[key] = train[request.column].size
            if request.level == "features":
                features[key].fit(_rows_of_forms(texts[request.column]))
                sizes[key] = len(features[key].names)
            if not request.has_vocabulary:
                continue
            symbols = frequencies[request.column]
            if request.order > 1:
                symbols = texts[request.column].ngrams(request.order).frequencies()
            counts = _counts(symbols, request)
            if request.declared:
                vocabularies[key] = Vocabulary(request.declared, [counts.get(label, 0) for label in request.declared])
                continue
            if request.is_label:
                scheme = detect(_rows_of_forms(texts[request.column])) if request.level == "label" else None
                vocabularies[key] = Vocabulary.from_counts(counts, specials=(), scheme=scheme)
                continue
            vocabulary = Vocabulary.from_counts(
                counts, specials=request.specials, min_frequency=request.min_frequency, max_size=request.max_size
            )
            vocabularies[key] = vocabulary.extended((vector_words or {}).get(key, ()))
        vocabularies.update(_shared(requests, frequencies, vector_words or {}))
        tokens = {column: frequencies[column] for column in text_columns(requests)}
        seen = {r.column: _seen(texts[r.column], r) for r in requests.values() if r.several}
        return cls(dict(requests), vocabularies, tokens, sizes, tokenizers or ColumnTokenizers({}), seen, features)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads, by file name."""
        return {
            "requests": {key: request._asdict() for key, request in self.requests.items()},
            "vocabularies": {key: vocabulary.to_json() for key, vocabulary in self.vocabularies.items()},
            "frequencies": self.frequencies,
            "sizes": self.sizes,
            "tokenizers": self.tokenizers.to_json(),
            "features": {key: features.to_json() for key, features in self.features.items()},
            "seen_texts": {column: seen.to_json() for column, seen in self.seen_texts.items()},
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Resources:
        """The resources that `to_json` described."""
        return cls(
            {key: Request(**request) for key, request in saved["requests"].items()},
            {key: Vocabulary.from_json(vocabulary) for key, vocabulary in saved["vocabularies"].items()},
            saved["frequencies"],
            saved.get("sizes", {}),
            ColumnTokenizers.from_json(saved.get("tokenizers", {})),
            {column: SeenTexts(digests) for column, digests in saved.get("seen_texts", {}).items()},
            {key: StandardisedFeatures.from_json(one) for key, one in saved.get("features", {}).items()},
        )


def _counts(frequencies: Mapping[str, int], request: Request) -> Mapping[str, int]:
    """Frequencies of the symbols of a request: forms as they are or lower-cased, or their characters."""
    if request.level != "character" and not request.lowercase:
        return frequencies
    counts: dict[str, int] = {}
    for form, n in frequencies.items():
        folded = form.lower() if request.lowercase else form
        for symbol in folded if request.level == "character" else (folded,):
            counts[symbol] = counts.get(symbol, 0) + n
    return counts


def _shared(
    requests: Mapping[str, Request],
    frequencies: Mapping[str, Mapping[str, int]],
    vector_words: Mapping[str, Sequence[str]],
) -> dict[str, Vocabulary]:
    """Key -> the vocabulary that it has in common with others, as the first of them asks for it."""
    keys = sharing(requests)
    if not keys:
        return {}
    first, counts = requests[keys[0]], Counter[str]()
    for request in {requests[key].column: requests[key] for key in keys}.values():
        counts.update(_counts(frequencies[request.column], request))
    made = Vocabulary.from_counts(
        counts, specials=first.specials, min_frequency=first.min_frequency, max_size=first.max_size
    )
    words = (word for key in keys for word in vector_words.get(key, ()))
    return dict.fromkeys(keys, made.extended(words))


def _seen(column: FormColumn, request: Request) -> SeenTexts:
    forms = [form.lower() for form in column.forms] if request.lowercase else column.forms
    return SeenTexts.of(_rows_of_forms(FormColumn(forms, column.numbers)))


def _rows_of_forms(column: FormColumn) -> list[list[str]]:
    forms = column.forms
    return [[forms[i] for i in column.numbers[row]] for row in range(len(column.numbers))]
