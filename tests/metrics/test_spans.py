from __future__ import annotations

import doctest
import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report, f1_score, precision_score, recall_score

from seqapps.errors import DataError
from seqapps.metrics import spans as module
from seqapps.metrics.spans import precision_recall_f1, span_counts, stack_counts
from seqapps.schemes import Span, encode

IOB = ["O", *(f"{prefix}-{type_}" for prefix in "BI" for type_ in ("X", "Y", "X-Y"))]
MIXED = ["O", *(f"{prefix}{type_}" for prefix in "BIES" for type_ in ("-X", "-Y", "-X-Y", ""))]
Pair = tuple[list[str], list[str]]


def corpora(alphabet: list[str]) -> st.SearchStrategy[list[Pair]]:
    """Sentences of gold and predicted tags; where they differ, mostly by one tag, so that spans often nearly agree."""
    tags = st.lists(st.sampled_from(alphabet), min_size=1, max_size=12)
    edits = st.lists(st.tuples(st.integers(0, 11), st.sampled_from(alphabet)), max_size=3)

    def edited(pair: tuple[list[str], list[tuple[int, str]]]) -> Pair:
        gold, changes = pair
        predicted = list(gold)
        for position, tag in changes:
            predicted[position % len(gold)] = tag
        return gold, predicted

    unrelated = st.lists(st.tuples(*[st.sampled_from(alphabet)] * 2), min_size=1, max_size=12).map(
        lambda pairs: ([gold for gold, _ in pairs], [predicted for _, predicted in pairs])
    )
    return st.lists(st.tuples(tags, edits).map(edited) | unrelated, min_size=1, max_size=6)


def seqeval(score, corpus: list[Pair], **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is undefined
        return score([gold for gold, _ in corpus], [predicted for _, predicted in corpus], **options)


def scores_of(corpus: list[Pair]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Types, their [precision, recall, F1, gold], and the micro average's."""
    types, counts = stack_counts([span_counts(gold, predicted) for gold, predicted in corpus])
    by_type = counts.sum(0)
    total = by_type.sum(0)
    table = np.concatenate((precision_recall_f1(by_type), by_type[:, 2:]), axis=1)
    return types, table, np.append(precision_recall_f1(total), total[2])


def agree_with_seqeval(corpus: list[Pair]) -> None:
    types, table, micro = scores_of(corpus)
    expected = [seqeval(score, corpus) for score in (precision_score, recall_score, f1_score)]
    assert micro[:3].tolist() == expected
    if types:  # seqeval's report of no type at all is an error of numpy
        report = seqeval(classification_report, corpus, output_dict=True)
        columns = ("precision", "recall", "f1-score", "support")
        assert {type_: row.tolist() for type_, row in zip(types, table, strict=True)} == {
            type_: [float(row[column]) for column in columns]
            for type_, row in report.items()
            if type_ not in ("micro avg", "macro avg", "weighted avg")
        }


@given(corpora(IOB))
@example([(["O"], ["O"])])
@example([(["O", "O"], ["I-X", "O"]), (["B-Y"], ["O"])])
def test_scores_of_iob_tags_are_seqevals_to_the_last_digit(corpus):
    agree_with_seqeval(corpus)


@given(corpora(MIXED))
def test_scores_of_any_mixture_of_prefixes_are_seqevals_to_the_last_digit(corpus):
    agree_with_seqeval(corpus)


def conlleval(corpus: list[Pair]) -> dict[str, list[int]]:
    """Counts by conlleval's published rules, walking over gold and predicted tags at once.

    A chunk starts at B, at I after O, and where the type changes into something not O; it ends at the token before a B,
    before an O, and where the type changes. A guess is correct if both start together with one type, and end together.
    """

    def parts(tag: str) -> tuple[str, str]:
        prefix, _, type_ = tag.partition("-")
        return prefix, type_

    def starts(before: str, now: str) -> bool:
        (was, of), (is_, type_) = parts(before), parts(now)
        return is_ == "B" or (was == "O" and is_ == "I") or (is_ != "O" and of != type_)

    def ends(before: str, now: str) -> bool:
        (was, of), (is_, type_) = parts(before), parts(now)
        return was != "O" and (is_ in "BO" or of != type_)

    counts: dict[str, list[int]] = {}
    in_correct, last_gold, last_guess = False, "O", "O"
    for gold, guess in [pair for sentence in corpus for pair in [*zip(*sentence, strict=True), ("O", "O")]]:
        gold_ends, guess_ends = ends(last_gold, gold), ends(last_guess, guess)
        if in_correct and gold_ends and guess_ends and parts(last_gold)[1] == parts(last_guess)[1]:
            counts[parts(last_gold)[1]][0] += 1
            in_correct = False
        elif in_correct and (gold_ends != guess_ends or parts(gold)[1] != parts(guess)[1]):
            in_correct = False
        gold_starts, guess_starts = starts(last_gold, gold), starts(last_guess, guess)
        if gold_starts and guess_starts and parts(gold)[1] == parts(guess)[1]:
            in_correct = True
        if guess_starts:
            counts.setdefault(parts(guess)[1], [0, 0, 0])[1] += 1
        if gold_starts:
            counts.setdefault(parts(gold)[1], [0, 0, 0])[2] += 1
        last_gold, last_guess = gold, guess
    return counts


@settings(max_examples=300)
@given(corpora(IOB))
def test_counts_of_iob_tags_are_conllevals(corpus):
    types, counts = stack_counts([span_counts(gold, predicted) for gold, predicted in corpus])
    assert dict(zip(types, counts.sum(0).tolist(), strict=True)) == conlleval(corpus)


@pytest.mark.parametrize("scheme", ["iob1", "bio", "bioes", "bmes"])
def test_the_scheme_does_not_change_the_counts(scheme):
    gold, predicted = (
        [Span("X", 0, 3), Span("X", 3, 4), Span("Y", 5, 7)],
        [Span("X", 0, 3), Span("Y", 3, 4), Span("Y", 5, 7)],
    )
    counts = span_counts(encode(gold, 8, scheme), encode(predicted, 8, scheme))
    assert counts == {"X": [1, 1, 2], "Y": [1, 2, 1]}


def test_examples_of_the_docstrings_hold():
    assert doctest.testmod(module).failed == 0


def test_no_spans_at_all_score_zero_without_a_warning():
    types, counts = stack_counts([span_counts(["O"], ["O"])])
    assert types == []
    assert precision_recall_f1(counts.sum((0, 1))).tolist() == [0, 0, 0]


def test_sentences_of_unequal_length_are_refused():
    with pytest.raises(DataError, match="1 predicted tags for 2 gold tags"):
        span_counts(["O", "O"], ["O"])
