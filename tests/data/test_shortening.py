"""Texts cut to a number of tokens: against slices of lists."""

import numpy as np
import pytest

from seqapps.data.batch import Rows
from seqapps.data.resources import FormColumn
from seqapps.data.shortening import Shortening

TEXTS = [list("abcdefg"), list("ab"), list("abcde"), list("a"), list("abcdef")]


def column(texts=TEXTS):
    forms = sorted({token for text in texts for token in text})
    return FormColumn(forms, Rows.from_lists([[forms.index(token) for token in text] for text in texts]))


def read(found):
    return [[found.forms[i] for i in found.numbers[row]] for row in range(len(found.numbers))]


def expected(text, length, kept):
    if len(text) <= length:
        return text
    tail = {"first": 0, "last": length, "both": length // 2}[kept]
    return text[: length - tail] + text[len(text) - tail :]


@pytest.mark.parametrize("kept", ["first", "last", "both"])
@pytest.mark.parametrize("length", [1, 2, 4, 5, 7, 9])
def test_the_chosen_tokens_of_longer_texts_are_kept_in_order(length, kept):
    cut, longer = Shortening(length, kept).of({"tokens": column(), "label": "untouched"}, ["tokens"])
    assert read(cut["tokens"]) == [expected(text, length, kept) for text in TEXTS]
    assert longer == sum(len(text) > length for text in TEXTS)
    assert cut["label"] == "untouched"
    assert cut["tokens"].lengths.tolist() == np.minimum([7, 2, 5, 1, 6], length).tolist()


def test_a_column_that_begins_within_its_array_is_cut_as_well():
    whole = column().numbers
    part = FormColumn(column().forms, Rows(whole.values, whole.offsets[2:]))
    cut, _ = Shortening(4, "both").of({"tokens": part}, ["tokens"])
    assert read(cut["tokens"]) == [list("abde"), ["a"], list("abef")]


def test_the_note_says_how_many_and_what_is_read():
    assert Shortening(5, "last").note(3, "train") == (
        "3 texts of train are longer than 5 tokens, of which the 5 last are read"
    )
    assert Shortening(5, "both").note(1, "test").endswith("of which the 3 first and 2 last are read")
