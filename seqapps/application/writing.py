"""What a language model is asked for: log-probabilities, pairs of sentences, texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO, Any

from seqapps.data.sources.reading import decoded_lines
from seqapps.engine.demands import check_options
from seqapps.engine.evaluation import bootstrap_of
from seqapps.engine.formats import Example, Format
from seqapps.engine.generating import language_model
from seqapps.engine.predictor import Predictor
from seqapps.errors import DataError
from seqapps.heads.predictions import Prediction, ScoredText
from seqapps.modules.search import SearchOptions

__all__ = ["score_pairs", "scores", "search_options"]


def search_options(beam: int | None, texts: int, max_length: int, sampling: Mapping[str, Any]) -> SearchOptions:
    """How `seqapps generate` searches: with a beam if one is given, otherwise by sampling.

    Raises UseError naming the command's options.
    """
    if beam is None:
        chosen = SearchOptions(method="sampling", n_best=texts, max_length=max_length, **sampling)
    else:
        chosen = SearchOptions(method="beam", beam=beam, n_best=texts, max_length=max_length, **sampling)
    return check_options(chosen, {"n_best": "samples"})


def scores(predictor: Predictor, stream: IO[bytes], format: Format, name: str) -> Iterator[Prediction]:
    """Each sentence of a file with its log-probabilities, in order. UseError if the run is no language model."""
    language_model(predictor)
    return predictor.stream(predictor.read(stream, format, name))


def score_pairs(predictor: Predictor, stream: IO[bytes], name: str) -> dict[str, Any]:
    """How often the first sentence of a line is more probable than the second, in all and for each group.

    Lines are `good TAB bad`, or `good TAB bad TAB group`.

    Returns {"headline", "metrics", "tables"} as in report.json.

    Raises DataError with name:line for a line of another form.
    """
    from seqapps.metrics.language_model import evaluate_pairs

    language_model(predictor)
    good: list[Example] = []
    bad: list[Example] = []
    groups: list[str | None] = []
    for number, line in decoded_lines(stream, name):
        fields = line.split("\t")
        if len(fields) not in (2, 3):
            raise DataError(f"{name}:{number}: {len(fields)} fields, expected GOOD TAB BAD or GOOD TAB BAD TAB GROUP")
        for sentences, text in zip((good, bad), fields, strict=False):
            sentences.append(Example(predictor.tokenizer.tokenize(text), text, where=f"{name}:{number}"))
        groups.append(fields[2] if len(fields) == 3 else None)
    if not good:
        raise DataError(f"{name}: no pairs; give a line GOOD TAB BAD for each")
    found = [_log_probs(predictor, sentences) for sentences in (good, bad)]
    evaluation = evaluate_pairs(found[0], found[1], groups, bootstrap=bootstrap_of(predictor.recipe.evaluation))
    return {"headline": evaluation.headline, "metrics": evaluation.metrics(), "tables": dict(evaluation.tables)}


def _log_probs(predictor: Predictor, sentences: list[Example]) -> list[float]:
    found = predictor.stream(sentences)
    return [one.log_prob for one in found if isinstance(one, ScoredText)]
