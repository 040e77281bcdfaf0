"""What a written text is compared with is the data's own wording."""

import numpy as np
import pytest
from datasets import Dataset

from seqapps.data.indexed import IndexedSplit
from seqapps.data.requests import Request
from seqapps.data.resources import Resources
from seqapps.data.tokenizers.columns import ColumnTokenizers
from seqapps.engine.assembly import forms_of, tokenized
from seqapps.errors import DataError
from seqapps.recipe import Spec

REQUESTS = {r.key: r for r in (Request("tokens", "tokens"), Request("target", "target", "target", frame="sentence"))}


def opened(rows, **tokenizers):
    made = ColumnTokenizers({column: Spec("tokenizers", name) for column, name in tokenizers.items()})
    data = tokenized(Dataset.from_dict(rows), REQUESTS, "train", made)
    forms = forms_of(data, REQUESTS, "train", every=True)
    return IndexedSplit(forms, Resources.build(REQUESTS, forms, {}, made), "train")


def test_a_text_is_a_reference_as_it_was_written_whatever_its_tokens():
    split = opened({"tokens": ["Ein Hund!"], "target": ["A dog, see?"]}, tokens="words", target="characters")
    assert split.references("target", 0) == (["A dog, see?"], [list("Adog,see?")])
    assert split.batch(np.array([0])).fields["target"].lengths.tolist() == [10]


def test_of_what_comes_in_tokens_the_tokens_joined_are_the_reference():
    split = opened({"tokens": [["ein", "Hund"]], "target": [["a", "dog", "."]]}, tokens="words", target="words")
    assert split.references("target", 0) == (["a dog ."], [["a", "dog", "."]])


def test_several_texts_in_tokens_are_all_references():
    data = {"tokens": [["Hund"], ["Tier"]], "target": [[["a", "dog"], ["dog"]], [["animal"]]]}
    split = opened(data, tokens="words", target="words")
    assert split.references("target", 0) == (["a dog", "dog"], [["a", "dog"], ["dog"]])
    assert split.references("target", 2) == (["animal"], [["animal"]])


@pytest.mark.parametrize("target", [[["a", None]], [[]], []])
def test_a_row_without_texts_is_told(target):
    with pytest.raises(DataError, match="split 'train', row 2: column 'target' holds no text; leave the row out"):
        opened({"tokens": [["Hund"], ["Tier"]], "target": [[["a"]], target]}, tokens="words", target="words")
