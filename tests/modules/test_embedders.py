"""Tokens and their characters as vectors."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch import nn

from seqapps.data.indexed import IndexedSplit, read_forms
from seqapps.data.requests import merge_requests
from seqapps.data.resources import Resources
from seqapps.data.vectors import Vectors
from seqapps.modules.characters import ConvolutionalCharacterEmbedder, RecurrentCharacterEmbedder
from seqapps.modules.embedders import NgramEmbedder, TokenEmbedder
from seqapps.recipe.spec import Spec

ROWS = Dataset.from_dict({"tokens": [["a", "bc", "a"], ["def", "bc", "ghij", "a"]]})
DEFAULTS = {"column": "tokens", "max_length": None}


def ready(*requests):
    columns = read_forms(ROWS, ["tokens"], "train")
    resources = Resources.build(merge_requests(requests), columns)
    return resources, IndexedSplit(columns, resources, "train").batch(np.array([0, 1]))


def token_fields(**fields):
    return {"column": "tokens", "lowercase": False, "min_frequency": 1, "max_size": None, "vectors": None,
            "vectors_words": "training", **fields}  # fmt: skip


def test_a_token_is_its_row_of_the_table():
    resources, batch = ready(*TokenEmbedder.requests(token_fields()))
    embedder = TokenEmbedder(resources.vocabularies, size=3)
    x, lengths = embedder(batch)
    assert x.shape == (2, 4, 3)
    assert lengths.tolist() == [3, 4]
    row = resources.vocabularies["tokens"]["ghij"]
    assert torch.equal(x[1, 2], embedder.table.weight[row])
    assert torch.equal(x[0, 3], torch.zeros(3))  # padding


def test_one_hot_times_the_table_is_the_lookup_and_repeats_sum_their_gradients():
    resources, batch = ready(*TokenEmbedder.requests(token_fields()))
    embedder = TokenEmbedder(resources.vocabularies, size=3)
    x, _ = embedder(batch)
    one_hot = nn.functional.one_hot(batch.fields["tokens"].values, len(resources.vocabularies["tokens"])).float()
    assert torch.allclose(x, one_hot @ embedder.table.weight)
    x.sum().backward()
    assert embedder.table.weight.grad[resources.vocabularies["tokens"]["a"]].tolist() == [3.0] * 3  # "a" occurs 3 times


def test_pretrained_rows_replace_those_of_their_words():
    resources, _ = ready(*TokenEmbedder.requests(token_fields()))
    embedder = TokenEmbedder(resources.vocabularies, size=2)
    before = embedder.table.weight.detach().clone()
    vectors = Vectors(["def", "a"], np.array([[1.0, 2.0], [3.0, 4.0]], np.float32))
    assert embedder.load_vectors(resources.vocabularies["tokens"], vectors) == 2
    numbers = resources.vocabularies["tokens"]
    assert embedder.table.weight[numbers["a"]].tolist() == [3.0, 4.0]
    assert embedder.table.weight[numbers["def"]].tolist() == [1.0, 2.0]
    assert torch.equal(embedder.table.weight[numbers["bc"]], before[numbers["bc"]])


def test_word_dropout_acts_in_training_only():
    resources, batch = ready(*TokenEmbedder.requests(token_fields()))
    embedder = TokenEmbedder(resources.vocabularies, size=3, word_dropout=1e9)
    unknown = embedder.table.weight[1]
    assert torch.equal(embedder.train()(batch)[0][1, 0], unknown)
    assert not torch.equal(embedder.eval()(batch)[0][1, 0], unknown)


def ngram_fields(**fields):
    return {"column": "tokens", "order": 2, "lowercase": False, "min_frequency": 1, "max_size": None, **fields}


def test_an_ngram_is_its_row_of_the_table():
    resources, batch = ready(*TokenEmbedder.requests(token_fields()), *NgramEmbedder.requests(ngram_fields()))
    embedder = NgramEmbedder(resources.vocabularies, size=3)
    x, lengths = embedder(batch)
    numbers = resources.vocabularies["tokens.2-grams"]
    assert lengths.tolist() == [3, 4]
    for row, pairs in enumerate((["<bos> a", "a bc", "bc a"], ["<bos> def", "def bc", "bc ghij", "ghij a"])):
        for position, pair in enumerate(pairs):
            assert torch.equal(x[row, position], embedder.table.weight[numbers[pair]]), pair
    assert torch.equal(x[0, 3], torch.zeros(3))  # padding


def test_an_ngram_that_training_never_saw_is_unknown():
    resources, _ = ready(*NgramEmbedder.requests(ngram_fields()))
    other = read_forms(Dataset.from_dict({"tokens": [["bc", "a"]]}), ["tokens"], "test")
    batch = IndexedSplit(other, resources, "test").batch(np.array([0]))
    numbers = resources.vocabularies["tokens.2-grams"]
    assert batch.fields["tokens.2-grams"].values.tolist() == [[1, numbers["bc a"]]]  # no training text begins with bc


def test_ngrams_that_are_rarer_than_wanted_are_unknown():
    rows = read_forms(Dataset.from_dict({"tokens": [["A", "b"], ["a", "b"], ["b"]]}), ["tokens"], "train")
    requests = merge_requests(NgramEmbedder.requests(ngram_fields(min_frequency=2, lowercase=True)))
    vocabulary = Resources.build(requests, rows).vocabularies["tokens.2-grams"]
    assert vocabulary.symbols == ["<pad>", "<unk>", "<bos> a", "a b"]
    assert vocabulary.counts == [0, 0, 2, 2]


def test_single_tokens_are_no_ngrams():
    fields = {**ngram_fields(order=1), "size": 3, "word_dropout": 0.0, "row_dropout": 0.0}
    assert NgramEmbedder.check_fields(fields) == [
        ("order", "order is 1, expected 2 or more; of single tokens use 'tokens'")
    ]


@pytest.mark.parametrize("embedder_class", [RecurrentCharacterEmbedder, ConvolutionalCharacterEmbedder])
def test_a_token_alone_has_the_vector_that_it_has_in_a_batch(embedder_class):
    torch.manual_seed(0)
    resources, batch = ready(*embedder_class.requests(DEFAULTS))
    embedder = embedder_class(resources.vocabularies, size=6, character_size=4).eval()
    x, _ = embedder(batch)
    numbers = resources.vocabularies["tokens.characters"]
    for row, position, form in ((0, 0, "a"), (0, 1, "bc"), (1, 2, "ghij")):
        alone = embedder.spell(torch.tensor([[numbers[c] for c in form]]), torch.tensor([len(form)]))
        assert torch.allclose(x[row, position], alone[0], atol=1e-6)
    assert not torch.allclose(x[0, 0], x[0, 1])


def test_convolutions_equal_torchs_on_the_padded_token():
    torch.manual_seed(0)
    resources, batch = ready(*ConvolutionalCharacterEmbedder.requests(DEFAULTS))
    embedder = ConvolutionalCharacterEmbedder(resources.vocabularies, size=5, widths=[2, 3], character_size=4)
    numbers = resources.vocabularies["tokens.characters"]
    letters = embedder.table(torch.tensor([numbers[c] for c in "def"])).t()[None]  # (1, 4, 3)
    expected = torch.cat([c(letters).amax(2) for c in embedder.convolutions], 1).relu()
    assert [c.out_channels for c in embedder.convolutions] == [3, 2]
    assert torch.allclose(embedder(batch)[0][1, 0], expected[0], atol=1e-6)


def test_characters_stand_beside_the_tokens_row():
    wanted = [*TokenEmbedder.requests(token_fields()), *RecurrentCharacterEmbedder.requests(DEFAULTS)]
    resources, batch = ready(*wanted)
    embedder = TokenEmbedder(
        resources.vocabularies, size=3, characters=Spec("embedders", "character_recurrent", {"size": 4})
    )
    x, _ = embedder(batch)
    assert embedder.output_size == 7
    assert torch.equal(x[..., 3:], embedder.characters(batch)[0])


@pytest.mark.parametrize(
    ("embedder_class", "fields", "field"),
    [
        (RecurrentCharacterEmbedder, {"size": 5}, "size"),
        (RecurrentCharacterEmbedder, {"character_size": 0}, "character_size"),
        (ConvolutionalCharacterEmbedder, {"widths": []}, "widths"),
        (ConvolutionalCharacterEmbedder, {"size": 1, "widths": [2, 3]}, "size"),
    ],
)
def test_sizes_that_make_no_sense_are_faults(embedder_class, fields, field):
    whole = {"size": 4, "character_size": 3, "max_length": None, "widths": [3], **fields}
    assert [name for name, _ in embedder_class.check_fields(whole)] == [field]
