"""Encoder-decoder: a text for a text. Translation, spelling out, transliteration, commands to actions, sums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from torch import nn

from seqapps.data.indexed import IndexedSplit
from seqapps.data.requests import Request
from seqapps.data.tokenizers.columns import ColumnTokenizers
from seqapps.data.vocabulary import UNK, Vocabulary
from seqapps.heads.generation import GeneratingHead, Written, check_generation, points, read_columns, target_request
from seqapps.heads.sharing import check_shared
from seqapps.modules.search import SearchOptions
from seqapps.recipe.spec import Spec

if TYPE_CHECKING:
    from seqapps.metrics.evaluation import Evaluation
    from seqapps.metrics.intervals import Bootstrap

__all__ = ["Translation"]


class Translation(GeneratingHead):
    """Writes a text for a text, of any length (Sutskever, Vinyals and Le 2014; Cho et al. 2014; Bahdanau et al. 2015).

        p(y | x) = product over t of p(y_t | y_1 .. y_(t-1), x),   y_n+1 = <eos>

    Training minimises the cross-entropy of every target token and of the end mark, given the right tokens before
    (teacher forcing), with label smoothing, plus what the decoder adds. Reported perplexity contains neither. `<pad>`
    and `<bos>` are never written.

    A decoder with a `pointer` may write tokens of the source that the vocabulary lacks; they are compared with those of
    the target as strings, each as its column's tokenizer cut it. Perplexity is then that of the very tokens, where
    others predict `<unk>`. `copied` is the share of written tokens that the vocabulary lacks.

    Evaluations during training search greedily, those after it as `search` says.

    Fields:
        column: which column holds the texts to be written.
        decoder: what writes them.
        search: how the text to be written is searched; a sample's seed is the number of its example.
        max_length_ratio: at most so many tokens are written for a token read, and 10 more; none = `search.max_length`
            is the only limit.
        label_smoothing: s; the target has probability 1 - s + s / V, each other token s / V (Szegedy et al. 2016,
            section 7).
        min_frequency, max_size: rarer tokens, and tokens beyond the most frequent `max_size`, become `<unk>`.
        shared_vocabulary: whether what is read and what is written have one vocabulary, counted over both in training.
        unknown: what becomes of `<unk>` in a text: write = it stands there; avoid = it is never written; copy = the
            source token with the greatest attention stands in its place (Jean et al. 2015, arXiv 1412.2007), for a
            decoder with attention. That is a repair after the search, of which the model knows nothing: a decoder with
            a `pointer` learns when to take a source token, and gives it a probability.
        bleu_tokenize: how BLEU takes texts apart, as sacreBLEU names it: 13a, intl, zh, char, none, ...
        headline: the score by which models are compared, and the best epoch is chosen.
    """

    task = "translation"

    def __init__(
        self,
        encoder: nn.Module,
        embedder: nn.Module,
        vocabularies: Mapping[str, Vocabulary],
        tokenizers: ColumnTokenizers,
        /,
        *,
        column: str = "target",
        decoder: Annotated[Spec, "decoders"] = Spec("decoders", "recurrent"),  # noqa: B008
        search: SearchOptions = SearchOptions(),  # noqa: B008
        max_length_ratio: float | None = None,
        label_smoothing: float = 0.0,
        min_frequency: int = 1,
        max_size: int | None = None,
        shared_vocabulary: bool = False,
        unknown: Literal["write", "avoid", "copy"] = "write",
        bleu_tokenize: str = "13a",
        headline: Literal["bleu", "chrf", "exact_match", "character_error_rate", "perplexity"] = "bleu",
    ):
        super().__init__(
            encoder,
            embedder,
            vocabularies,
            tokenizers,
            column=column,
            decoder=decoder,
            search=search,
            max_length_ratio=max_length_ratio,
            label_smoothing=label_smoothing,
            avoid_unknown=unknown == "avoid",
        )
        self.bleu_tokenize, self.replaces = bleu_tokenize, unknown == "copy"
        self._headline = headline

    @classmethod
    def requests(cls, fields: Mapping[str, Any]) -> list[Request]:
        """The texts to be written as numbers, between marks."""
        return [target_request(fields, shared=fields["shared_vocabulary"])]

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Sizes are at least 1, BLEU knows its tokenizer, copying has attention to go by."""
        from seqapps.metrics.generation import check_tokenize

        faults = check_generation(fields)
        fault = check_tokenize(fields["bleu_tokenize"])
        if fault:
            faults.append(("bleu_tokenize", f"bleu_{fault}"))
        if fields["unknown"] == "copy" and fields["decoder"].fields.get("attention") == "none":
            faults.append(("unknown", "'copy' goes by attention, and the decoder has none; use write or avoid"))
        return faults

    @classmethod
    def check_recipe(cls, fields: Mapping[str, Any], recipe: Any) -> list[tuple[str, str]]:
        """What is pointed at is a text; what is shared can be."""
        faults = []
        if points(fields) and not read_columns(recipe.model):
            message = "its pointer takes words from a text that is read; the embedder reads none, remove it"
            faults.append(("model.head.decoder", message))
        return faults + check_shared(fields, recipe)

    @property
    def headline(self) -> str:
        return self._headline

    @property
    def scores(self) -> tuple[str, ...]:
        names = ["bleu", "chrf", "ter", "exact_match", "length_ratio", "character_error_rate", "cut", "perplexity"]
        if self._copies:
            names.insert(5, "copied")
        return (self._headline, *(name for name in names if name != self._headline))

    @property
    def _copies(self) -> bool:
        """Can it write tokens that its vocabulary lacks?"""
        return self.decoder.points or self.replaces

    def read(self, split: IndexedSplit, row: int) -> dict[str, Any]:
        return {"source": split.source(row)}

    def shown(self, found: Written, source: Sequence[str]) -> list[str]:
        """The tokens that were written, unknown ones replaced if they are to be."""
        if not self.replaces or found.attention is None:
            return found.tokens
        best = found.attention.argmax(1).tolist()
        return [source[at] if token == UNK else token for token, at in zip(found.tokens, best, strict=False)]

    def evaluate(self, split: IndexedSplit, predictions: Sequence[Written], bootstrap: Bootstrap | None) -> Evaluation:
        from seqapps.metrics.generation import WrittenExample, evaluate_translation

        examples = []
        for row, found in enumerate(predictions):
            source = split.source(row)
            tokens = self.shown(found, source)
            texts = self.references(split, row)
            forced = (found.log_prob, found.nll, found.count, found.attention)
            copied = sum(token not in self.vocabulary for token in tokens) if self._copies else None
            ending = (copied, found.ended, found.p_gen)
            examples.append(WrittenExample(source, self.text(tokens), tokens, *texts, *forced, *ending))  # type: ignore[arg-type]
        return evaluate_translation(
            examples,
            bootstrap=bootstrap,
            tokenize=self.bleu_tokenize,
            characters=self.bleu_tokenize in ("zh", "char", "ja-mecab"),
            headline=self._headline,
        )

    def baselines(self, train: IndexedSplit, split: IndexedSplit) -> Iterator[tuple[str, list[Written]]]:
        from seqapps.baselines import TRANSLATION

        sources = [train.source(row) for row in range(len(train))]
        targets = [train.strings(self.column, row) for row in range(len(train))]
        others = [split.source(row) for row in range(len(split))]
        for name, baseline in TRANSLATION.items():
            yield name, [Written(tokens) for tokens in baseline().fit(sources, targets).predict(others)]
