from __future__ import annotations

import doctest
import itertools
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from seqapps import schemes
from seqapps.errors import DataError
from seqapps.schemes import SCHEMES, Span, allowed, check, convert, detect, encode, spans, split

# The table of Ratinov & Roth 2009 and the header of seqapps/schemes.py: one sentence in every scheme.
SENTENCE = [Span("LOC", 2, 5), Span("LOC", 5, 6), Span("PER", 6, 8), Span("PER", 9, 10)]
WRITTEN = {
    "iob1": "O O I-LOC I-LOC I-LOC B-LOC I-PER I-PER O I-PER",
    "bio": "O O B-LOC I-LOC I-LOC B-LOC B-PER I-PER O B-PER",
    "bioes": "O O B-LOC I-LOC E-LOC S-LOC B-PER E-PER O S-PER",
    "bmes": "O O B-LOC M-LOC E-LOC S-LOC B-PER E-PER O S-PER",
}
PREFIXED = [f"{prefix}{type_}" for prefix in "BIES" for type_ in ("-X", "-Y", "-X-Y", "-O", "-", "")]


def segmentations(length: int, types: str = "XY") -> list[list[Span]]:
    """Every way to place disjoint spans of these types in a sentence."""
    if length == 0:
        return [[]]
    found = list(segmentations(length - 1, types))
    for size, type_ in itertools.product(range(1, length + 1), types):
        found += [[*rest, Span(type_, length - size, length)] for rest in segmentations(length - size, types)]
    return found


@st.composite
def sentences(draw) -> tuple[list[Span], int]:
    found, position = [], 0
    for gap, size, type_ in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(["X", "Y-Z", "_"])))
    ):
        found.append(Span(type_, position + gap, position + gap + size))
        position += gap + size
    return found, position + draw(st.integers(0, 2))


def test_examples_of_the_docstrings_hold():
    assert doctest.testmod(schemes).failed == 0


@pytest.mark.parametrize("scheme", SCHEMES)
def test_spans_are_written_as_published(scheme):
    assert encode(SENTENCE, 10, scheme) == WRITTEN[scheme].split()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_spans_are_read_as_published(scheme):
    assert spans(WRITTEN[scheme].split()) == SENTENCE


@pytest.mark.parametrize(("source", "target"), list(itertools.product(SCHEMES, SCHEMES)))
def test_conversion_gives_the_published_tags(source, target):
    assert convert(WRITTEN[source].split(), source, target) == WRITTEN[target].split()


@pytest.mark.parametrize("scheme", SCHEMES)
@given(sentence=sentences())
def test_reading_inverts_writing(scheme, sentence):
    found, length = sentence
    tags = encode(found, length, scheme)
    assert spans(tags) == found
    assert check(tags, scheme) is None


@given(st.lists(st.sampled_from([*PREFIXED, "O"]), max_size=12))
def test_spans_of_any_mixture_are_seqevals(tags):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [Span(type_, start, last + 1) for type_, start, last in get_entities(tags)]
    assert spans(tags) == expected


def test_bilou_is_another_spelling_of_bioes():
    tags = ["B-X", "I-X", "L-X", "U-Y", "O", "U-Y", "U-Y"]
    assert spans(tags) == [Span("X", 0, 3), Span("Y", 3, 4), Span("Y", 5, 6), Span("Y", 6, 7)]
    assert check(tags, "bioes") is None
    assert convert(tags, "bioes", "bio") == ["B-X", "I-X", "I-X", "B-Y", "O", "B-Y", "B-Y"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_step_is_allowed_exactly_if_some_sentence_contains_it(scheme):
    letters = dict.fromkeys(SCHEMES[scheme])
    tags = [None, "O", *(f"{letter}-{type_}" for letter in letters for type_ in "XY")]
    occurring = set()
    for length in range(1, 5):
        for found in segmentations(length):
            written = encode(found, length, scheme)
            occurring |= set(zip([None, *written], [*written, None], strict=True))
    steps = set(itertools.product(tags, tags)) - {(None, None)}  # an empty sentence is no evidence
    assert {step for step in steps if allowed(*step, scheme)} == occurring


@pytest.mark.parametrize("scheme", SCHEMES)
def test_sentences_that_pass_the_check_are_those_that_spans_can_give(scheme):
    tags = ["O", *(f"{letter}-{type_}" for letter in dict.fromkeys(SCHEMES[scheme]) for type_ in "XY")]
    written = {tuple(encode(found, 3, scheme)) for found in segmentations(3)}
    assert {sentence for sentence in itertools.product(tags, repeat=3) if check(sentence, scheme) is None} == written


@pytest.mark.parametrize(
    ("tags", "scheme", "position", "words"),
    [
        ("O I-X", "bio", 1, "'I-X' after 'O'"),
        ("I-X", "bio", 0, "at the start of a sentence"),
        ("O B-X", "iob1", 1, "'B-X' after 'O'"),
        ("O B-X", "bioes", 1, "'B-X' ends the sentence"),
        ("B-X O", "bioes", 1, "'O' after 'B-X'"),
        ("O S-X", "bio", 1, "'S-X' is none of scheme bio (B-, I-, O)"),
        ("O NN", "bioes", 1, "'NN' is none of scheme bioes (B-, I-, E-, S-, O)"),
        ("B-X I-X E-X", "bmes", 1, "'I-X' is none of scheme bmes"),
    ],
)
def test_the_check_says_where_and_what(tags, scheme, position, words):
    found = check(tags.split(), scheme)
    assert found is not None
    assert found[0] == position
    assert words in found[1]


def test_conversion_never_repairs():
    with pytest.raises(DataError, match="token 2: 'I-X' after 'O' violates scheme bio"):
        convert(["O", "I-X"], "bio", "bioes")


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        *((written, scheme) for scheme, written in WRITTEN.items()),
        ("O B-X", "bio"),
        ("O I-X", "iob1"),
        ("O S-X", "bioes"),
        ("O U-X", "bioes"),
        ("B-X L-X", "bioes"),
        ("B I O O B", "bio"),
        ("B M E S B E", "bmes"),
        ("B-X I-X B-Y I-Y", "bio"),
        ("O O O", None),
        ("", None),
        ("DT NN VB .", None),
        ("B-movie I-beam S-hook", None),  # no O and nothing continued: words that happen to have a dash
        ("B-X O NN", None),
        ("B_X I_X O", None),
        ("b-x i-x o", None),
        ("O E-X O I-X E-X E-X", None),  # IOE2 is none of the four
    ],
)
def test_schemes_are_recognised(tags, scheme):
    assert detect([tags.split()]) == scheme


def test_the_scheme_is_recognised_over_all_sentences():
    assert detect([["O"], ["B-X"], ["O", "B-X", "I-X"]]) == "bio"
    assert detect([["O"], ["I-X"], ["O", "I-X", "B-X"]]) == "iob1"


def test_a_rare_violation_leaves_the_scheme_recognised_and_is_found_by_the_check():
    sentences = [["B-X", "I-X", "O", "B-X"]] * 20 + [["O", "I-X"]]
    assert detect(sentences) == "bio"
    assert check(sentences[-1], "bio") is not None
    assert detect([["O", "I-X"], ["B-X", "O", "B-X"]]) is None


@pytest.mark.parametrize(
    ("tag", "parts"),
    [
        ("O", ("O", "")),
        ("B-NP", ("B", "NP")),
        ("B-NP-SBJ", ("B", "NP-SBJ")),
        ("I", ("I", "_")),
        ("L-X", ("E", "X")),
        ("U-X", ("S", "X")),
        ("", None),
        ("NN", None),
        ("O-X", None),
        ("BX", None),
        ("-X", None),
    ],
)
def test_tags_are_taken_apart(tag, parts):
    assert split(tag) == parts


def test_a_tag_of_no_scheme_is_refused_with_its_position():
    with pytest.raises(DataError, match="token 2: tag 'NN'"):
        spans(["O", "NN"])


@pytest.mark.parametrize(
    "wrong", [[Span("X", 0, 2), Span("Y", 1, 3)], [Span("X", 2, 2)], [Span("X", 2, 4)], [Span("X", -1, 1)]]
)
def test_spans_that_cannot_be_written_are_refused(wrong):
    with pytest.raises(DataError, match="span"):
        encode(wrong, 3, "bio")


def test_an_unknown_scheme_is_refused_with_a_suggestion():
    with pytest.raises(DataError, match="did you mean 'bioes'"):
        encode([], 1, "bioees")
