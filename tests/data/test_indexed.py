"""A split as numbers."""

import numpy as np
import pytest
from datasets import Dataset

from seqapps.data.batch import Rows
from seqapps.data.indexed import IndexedSplit, read_forms
from seqapps.data.requests import Request, merge_requests
from seqapps.data.resources import FormColumn, Resources
from seqapps.errors import ComponentError

TRAIN = Dataset.from_dict(
    {"tokens": [["The", "cat"], ["the", "cats", "sat"], ["Sat"]], "tags": [["D", "N"], ["D", "N", "V"], ["V"]]}
)
TEST = Dataset.from_dict({"tokens": [["the", "dog"]], "tags": [["D", "X"]]})
REQUESTS = merge_requests(
    [
        Request("tokens", "tokens", lowercase=True),
        Request("tokens.characters", "tokens", "character", max_length=3),
        Request("tags", "tags", "label"),
    ]
)


def _column(rows):
    return read_forms(Dataset.from_dict({"tokens": rows}), ["tokens"], "train")["tokens"]


def naive_ngrams(row, order):
    marked = ["<bos>"] * (order - 1) + row
    return [" ".join(marked[at : at + order]) for at in range(len(row))]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_ngrams_are_those_that_a_loop_finds(order):
    draw = np.random.default_rng(0)
    rows = [[str(n) for n in draw.integers(0, 4, size=length)] for length in (1, 7, 3, 1, 40)]
    column = _column(rows)
    found = column.ngrams(order)
    assert [[found.forms[i] for i in found.numbers[at]] for at in range(len(rows))] == [
        naive_ngrams(row, order) for row in rows
    ]


def test_ngrams_of_some_rows_are_those_of_the_rows():
    column = _column([["a", "b"], ["c"], ["b", "a"]])
    part = FormColumn(column.forms, Rows(column.numbers.values, column.numbers.offsets[1:]))  # a view of the last two
    found = part.ngrams(2)
    assert [[found.forms[i] for i in found.numbers[at]] for at in range(2)] == [["<bos> c"], ["<bos> b", "b a"]]


@pytest.fixture
def resources():
    return Resources.build(REQUESTS, read_forms(TRAIN, ["tokens", "tags"], "train"))


def test_batches_hold_the_numbers_of_their_rows(resources):
    split = IndexedSplit(read_forms(TRAIN, ["tokens", "tags"], "train"), resources, "train")
    batch = split.batch(np.array([1, 0]))
    vocabulary = resources.vocabularies["tokens"]
    tokens = batch.fields["tokens"]
    assert tokens.lengths.tolist() == [3, 2]
    assert [vocabulary.symbols[i] for i in tokens.values[0]] == ["the", "cats", "sat"]
    assert [vocabulary.symbols[i] for i in tokens.values[1]] == ["the", "cat", "<pad>"]
    labels = resources.vocabularies["tags"].symbols
    assert [labels[i] for i in batch.fields["tags"].values[0]] == ["D", "N", "V"]


def test_characters_are_those_of_each_position(resources):
    split = IndexedSplit(read_forms(TRAIN, ["tokens", "tags"], "train"), resources, "train")
    field = split.batch(np.array([2, 1])).fields["tokens.characters"]
    symbols = resources.vocabularies["tokens.characters"].symbols

    def spelt(row, position):
        form = field.values[row, position]
        length = field.forms.lengths[form]
        return "".join(symbols[i] for i in field.forms.values[form, :length])

    assert spelt(0, 0) == "Sat"  # case is kept for characters
    assert [spelt(1, t) for t in range(3)] == [
        "the",
        "cas",
        "sat",
    ]  # of "cats" two characters from the left, one from the right
    assert len(field.forms.values) == 4  # each distinct token once


def test_frequencies_count_forms_as_they_are_spelt(resources):
    assert resources.frequencies == {"tokens": {"The": 1, "cat": 1, "the": 1, "cats": 1, "sat": 1, "Sat": 1}}
    assert resources.vocabularies["tokens"].counts[2:] == [2, 2, 1, 1]  # sat, the; cat, cats


def test_labels_that_training_never_saw_are_counted(resources):
    split = IndexedSplit(read_forms(TEST, ["tokens", "tags"], "test"), resources, "test")
    assert split.unknown_labels == {"tags": {"X": 1}}
    batch = split.batch(np.array([0]))
    assert batch.fields["tags"].values[0, 1] == -1
    assert batch.fields["tokens"].values[0, 1] == 1  # <unk>


def test_labels_may_be_absent_but_tokens_may_not(resources):
    split = IndexedSplit(read_forms(TEST, ["tokens"], "input"), resources, "input")
    assert set(split.batch(np.array([0])).fields) == {"tokens", "tokens.characters"}


def test_resources_survive_json(resources):
    again = Resources.from_json(resources.to_json())
    assert again.to_json() == resources.to_json()
    assert again.requests == resources.requests


def test_two_components_that_read_a_column_differently_are_refused():
    with pytest.raises(ComponentError, match="two parts of the model read column 'tokens' differently"):
        merge_requests([Request("tokens", "tokens"), Request("tokens", "tokens", lowercase=True)])


def test_rows_pad_what_was_chosen():
    rows = Rows.from_lists([[1, 2, 3], [], [4]])
    block, lengths = rows.padded(np.array([2, 0, 1]))
    assert block.tolist() == [[4, 0, 0], [1, 2, 3], [0, 0, 0]]
    assert lengths.tolist() == [1, 3, 0]
