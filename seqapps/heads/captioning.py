"""One-to-many: a text about an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from seqapps.data.arrays import ArrayColumn
from seqapps.data.indexed import IndexedSplit
from seqapps.data.requests import Request, array_requests
from seqapps.data.tokenizers.columns import ColumnTokenizers
from seqapps.data.vocabulary import Vocabulary
from seqapps.heads.generation import GeneratingHead, Written, check_generation, points, target_request
from seqapps.modules.search import SearchOptions
from seqapps.recipe.spec import Spec

if TYPE_CHECKING:
    from seqapps.metrics.evaluation import Evaluation
    from seqapps.metrics.intervals import Bootstrap

__all__ = ["Captioning"]


class Captioning(GeneratingHead):
    """A caption for an image, or for vectors of it: a decoder that attends over its regions, or starts from their mean.

    With `attention: none` in the decoder and the embedder `vector` it is the model of Vinyals et al. 2015 (arXiv
    1411.4555), whose decoder reads the image as its first token, where ours starts from it. With `attention: additive`
    and the embedder `regions` or `cnn` it is soft attention as in Xu et al. 2015 (arXiv 1502.03044), but without a gate
    on the context and without their doubly stochastic penalty.

    A row has one caption or several. Training takes each of them as an example; evaluation counts an image once and
    compares with all, in tokens. Perplexity is that of the first caption of each image.

    Fields:
        column: which column holds the captions.
        decoder: what writes them.
        search: how they are searched.
        lowercase: write in lower case, and compare in lower case.
        min_frequency, max_size: words that are rarer in training, or beyond the most frequent `max_size`, are `<unk>`.
        label_smoothing: s, 0 <= s < 1; the word that should be written gets the share 1 - s + s/V, any other s/V.
        unknown: avoid = `<unk>` is never written; write = it may be.
    """

    task = "captioning"
    written_as = "caption"
    empty_texts = "refused"

    def __init__(
        self,
        encoder: nn.Module,
        embedder: nn.Module,
        vocabularies: Mapping[str, Vocabulary],
        tokenizers: ColumnTokenizers,
        /,
        *,
        column: str = "captions",
        decoder: Annotated[Spec, "decoders"] = Spec("decoders", "recurrent"),  # noqa: B008
        search: SearchOptions = SearchOptions(max_length=50),  # noqa: B008
        lowercase: bool = False,
        min_frequency: int = 1,
        max_size: int | None = None,
        label_smoothing: float = 0.0,
        unknown: Literal["avoid", "write"] = "avoid",
    ):
        super().__init__(
            encoder,
            embedder,
            vocabularies,
            tokenizers,
            column=column,
            decoder=decoder,
            search=search,
            max_length_ratio=None,
            label_smoothing=label_smoothing,
            avoid_unknown=unknown == "avoid",
        )
        self.lowercase = lowercase

    @classmethod
    def requests(cls, fields: Mapping[str, Any]) -> list[Request]:
        """The captions as numbers."""
        return [target_request(fields, lowercase=fields["lowercase"], several=True)]

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Frequencies and sizes are at least 1, label_smoothing lies in [0, 1)."""
        faults = check_generation(fields)
        if points(fields):
            faults.append(("decoder", "its pointer takes words from a text that is read; an image has none, remove it"))
        if fields["decoder"].fields.get("shared_embedding"):
            faults.append(("decoder", "shared_embedding: an image has no words to share a table with; remove it"))
        return faults

    @property
    def headline(self) -> str:
        return "cider_d"

    @property
    def scores(self) -> tuple[str, ...]:
        bleu = tuple(f"bleu_{n}" for n in range(1, 5))
        shared = ("rouge_l", "length_ratio", "exact_match", "novel", "vocabulary_used", "cut", "perplexity")
        return ("cider_d", *bleu, *shared)

    def read(self, split: IndexedSplit, row: int) -> dict[str, Any]:
        return {"image": _name(split, row)}

    def _folded(self, tokens: Sequence[str]) -> list[str]:
        return [token.lower() for token in tokens] if self.lowercase else list(tokens)

    def references(self, split: IndexedSplit, row: int) -> tuple[list[str], list[list[str]]]:
        """The captions of a row as texts and in tokens, in lower case if the model writes so."""
        texts, tokens = split.references(self.column, row)
        return self._folded(texts), [self._folded(one) for one in tokens]

    def evaluate(self, split: IndexedSplit, predictions: Sequence[Written], bootstrap: Bootstrap | None) -> Evaluation:
        from seqapps.metrics.generation import WrittenExample, evaluate_captions

        examples = [
            WrittenExample(
                _name(split, row),
                self.text(written.tokens),
                written.tokens,
                *self.references(split, row),
                log_prob=written.log_prob,
                nll=written.nll,
                count=written.count,
                ended=written.ended,
            )
            for row, written in enumerate(predictions)
        ]
        seen = split.resources.seen_texts[self.column]
        known = [written.tokens for written in predictions if seen.holds(written.tokens)]
        return evaluate_captions(examples, training_captions=known, bootstrap=bootstrap)

    def baselines(self, train: IndexedSplit, split: IndexedSplit) -> Iterator[tuple[str, list[Written]]]:
        from seqapps.baselines import CAPTIONING

        rows, vectors = _images(train)
        captions = [self.references(train, row)[1] for row in rows]
        _, asked = _images(split, every=True)
        for name, baseline in CAPTIONING.items():
            yield name, [Written(tokens) for tokens in baseline().fit(vectors, captions).predict(asked)]


def _name(split: IndexedSplit, row: int) -> str:
    """What a row's image is called, or its number."""
    return split.strings("name", row)[0] if "name" in split.columns else f"row {row + 1}"


def _images(split: IndexedSplit, *, every: bool = False) -> tuple[NDArray[np.int64], NDArray[np.floating]]:
    """Rows, and one vector (N, D) for each: rows with distinct images, or `every` row."""
    columns = [split.columns[name] for name in array_requests(split.resources.requests)]
    found = next((column for column in columns if isinstance(column, ArrayColumn)), None)
    if found is None:
        return np.arange(len(split)), np.zeros((len(split), 1))
    vectors = found.vectors()
    if every:
        return np.arange(len(split)), vectors[found.rows]
    things, rows = np.unique(found.rows, return_index=True)
    return rows, vectors[things]
