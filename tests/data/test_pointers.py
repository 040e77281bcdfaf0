"""Sources in the numbers of the vocabulary of what is written about them."""

import numpy as np
import torch
from datasets import Dataset

from seqapps.data.batch import Rows
from seqapps.data.indexed import IndexedSplit, read_forms
from seqapps.data.pointers import Pointers
from seqapps.data.requests import Request, merge_requests, source_of
from seqapps.data.resources import FormColumn, Resources
from seqapps.data.vocabulary import BOS, EOS, PAD, UNK, Vocabulary

VOCABULARY = Vocabulary([PAD, UNK, BOS, EOS, "in", "saw"], [0] * 6, specials=4)
ROWS = {
    "tokens": [["Ann", "saw", "Bob", "in", "Bern", ",", "Ann"], ["in"], ["Bob", "<unk>", "Bob"]],
    "target": [["Bob", "saw", "Ann", "Paul"], ["Ann", "in"], ["bob", "Bob"]],
}


def columns(rows=ROWS):
    return read_forms(Dataset.from_dict(rows), list(rows), "train", (), {"target"})


def test_tokens_that_the_vocabulary_lacks_are_numbered_behind_it_row_by_row():
    pointers = Pointers(columns()["tokens"], VOCABULARY)
    assert [pointers.rows[row].tolist() for row in range(3)] == [[6, 5, 7, 4, 8, 9, 6], [4], [6, 1, 6]]
    assert [pointers.unknown(row) for row in range(3)] == [("Ann", "Bob", "Bern", ","), (), ("Bob",)]


def test_a_target_that_is_in_its_source_has_the_number_of_it_there():
    read = columns()
    targets = Pointers(read["tokens"], VOCABULARY).targets(read["target"])
    assert [targets[row].tolist() for row in range(3)] == [[7, 5, 6, 1], [1, 4], [1, 6]]


def test_case_does_not_count_where_the_text_is_written_in_lower_case():
    read = columns()
    pointers = Pointers(read["tokens"], VOCABULARY, lowercase=True)
    assert pointers.unknown(2) == ("bob",)
    assert pointers.targets(read["target"])[2].tolist() == [6, 6]


def test_rows_that_begin_within_their_column_are_numbered_the_same():
    read = {name: FormColumn(c.forms, Rows(c.numbers.values, c.numbers.offsets[1:])) for name, c in columns().items()}
    pointers = Pointers(read["tokens"], VOCABULARY)
    assert [pointers.unknown(row) for row in range(2)] == [(), ("Bob",)]
    assert pointers.targets(read["target"])[1].tolist() == [1, 6]


def split(rows=ROWS, *, pointed=True):
    train = {"tokens": [["in", "saw"]], "target": [["in", "saw"]]}
    asked = [Request("tokens", "tokens"), Request("target", "target", "target", frame="sentence", pointed=pointed)]
    resources = Resources.build(merge_requests(asked), columns(train))
    return IndexedSplit(columns(rows), resources, "train")


def test_a_batch_holds_the_source_and_what_follows_in_these_numbers_and_reads_unknown_ones_as_such():
    batch = split().batch(np.array([2, 0]))
    source = batch.fields[source_of("target")]
    assert source.values.tolist() == [[6, 1, 6, 0, 0, 0, 0], [6, 5, 7, 4, 8, 9, 6]]
    assert source.lengths.tolist() == [3, 7]
    assert source.unknown == (("Bob",), ("Ann", "Bob", "Bern", ","))
    target = batch.fields["target"]
    assert target.following.tolist() == [[1, 6, 3, 0, 0], [7, 5, 6, 1, 3]]
    assert target.values.tolist() == [[2, 1, 1, 0, 0], [2, 1, 5, 1, 1]]
    assert source.to(torch.device("cpu")).unknown == source.unknown


def test_the_source_is_there_when_predicting_too_and_never_unless_asked_for():
    batch = split({"tokens": ROWS["tokens"]}).batch(np.array([1]))
    assert set(batch.fields) == {"tokens", source_of("target")}
    assert set(split(pointed=False).batch(np.array([1])).fields) == {"tokens", "target"}


def test_a_request_keeps_it_when_saved():
    resources = split().resources
    assert Resources.from_json(resources.to_json()).requests["target"].pointed
