"""Symbols, their numbers, and what is left out."""

import pytest

from seqapps.data.vocabulary import PAD, UNK, Vocabulary

COUNTS = {"b": 3, "a": 3, "c": 1, "d": 7}


def test_symbols_go_by_falling_frequency_then_spelling():
    vocabulary = Vocabulary.from_counts(COUNTS)
    assert vocabulary.symbols == [PAD, UNK, "d", "a", "b", "c"]
    assert vocabulary.counts == [0, 0, 7, 3, 3, 1]


def test_the_order_of_the_counts_does_not_matter():
    assert Vocabulary.from_counts(dict(reversed(COUNTS.items()))).symbols == Vocabulary.from_counts(COUNTS).symbols


def test_rare_symbols_and_those_beyond_the_cap_are_left_out():
    assert Vocabulary.from_counts(COUNTS, min_frequency=2).symbols == [PAD, UNK, "d", "a", "b"]
    assert Vocabulary.from_counts(COUNTS, max_size=1).symbols == [PAD, UNK, "d"]


def test_an_unknown_symbol_is_unk_unless_told_otherwise():
    vocabulary = Vocabulary.from_counts(COUNTS)
    assert vocabulary.numbers(["a", "zzz", "d"]).tolist() == [3, 1, 2]
    assert vocabulary.numbers(["a", "zzz"], missing=-1).tolist() == [3, -1]
    assert vocabulary["zzz"] == 1


def test_a_label_vocabulary_has_no_specials_and_refuses_unknown_labels():
    labels = Vocabulary.from_counts(COUNTS, specials=())
    assert labels.numbers(["d", "c"], missing=-1).tolist() == [0, 3]
    with pytest.raises(KeyError):
        labels["zzz"]


def test_a_special_spelt_out_in_the_data_is_the_special():
    vocabulary = Vocabulary.from_counts({UNK: 5, "a": 1})
    assert vocabulary.symbols == [PAD, UNK, "a"]


def test_json_brings_back_the_same():
    vocabulary = Vocabulary.from_counts(COUNTS, scheme="bio")
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again.to_json() == vocabulary.to_json()


def test_extending_adds_only_what_is_new():
    vocabulary = Vocabulary.from_counts(COUNTS).extended(["a", "x", "x"])
    assert vocabulary.symbols[-1] == "x"
    assert len(vocabulary) == 7
    assert vocabulary.counts[-1] == 0
