"""What the captioning head does with references, case and images; how it writes is tested with the generating heads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from datasets import Dataset

from seqapps.data.indexed import IndexedSplit
from seqapps.data.resources import Resources
from seqapps.data.several import with_references
from seqapps.data.tokenizers.columns import ColumnTokenizers
from seqapps.engine.assembly import forms_of
from seqapps.heads.captioning import Captioning
from seqapps.heads.generation import Written
from seqapps.modules.feedforward import FeedforwardEncoder
from seqapps.modules.search import SearchOptions
from seqapps.modules.vector_embedders import RegionEmbedder
from seqapps.recipe.spec import Spec

TRAIN = {
    "vector": [[[1.0, 0.0], [1.0, 0.2]], [[0.0, 1.0]]],
    "captions": [["A dog runs", "a Dog"], ["two cats"]],
    "name": ["dog.png", "cats.png"],
}
TEST = {"vector": [[[0.1, 2.0], [0.1, 1.0]]], "captions": [["Two cats", "a zebra and friends"]], "name": ["zebra.png"]}
FIELDS = {
    "column": "captions",
    "decoder": Spec("decoders", "recurrent", {"hidden_size": 4, "embedding_size": 3}),
    "search": SearchOptions(max_length=4, beam=2, n_best=2),
    "lowercase": True,
    "min_frequency": 1,
    "max_size": None,
    "label_smoothing": 0.0,
    "unknown": "avoid",
}


def prepare(**changed):
    """Head, embedder, encoder, and the training and test splits."""
    fields = {**FIELDS, **changed}
    embedder_fields = {"column": "vector", "size": None, "dropout": 0.0}
    requests = {r.key: r for r in [*RegionEmbedder.requests(embedder_fields), *Captioning.requests(fields)]}
    tokenizers = ColumnTokenizers({"captions": Spec("tokenizers", "whitespace")})
    read = {
        name: forms_of(
            with_references(Dataset.from_dict(rows), ["captions"], name, str.split),
            requests,
            name,
            every=name == "train",
        )
        for name, rows in (("train", TRAIN), ("test", TEST))
    }
    resources = Resources.build(requests, read["train"], tokenizers=tokenizers)
    splits = [IndexedSplit(columns, resources, name) for name, columns in read.items()]
    torch.manual_seed(1)
    embedder = RegionEmbedder(resources.sizes)
    encoder = FeedforwardEncoder(2, hidden_sizes=[])
    head = Captioning(encoder, embedder, resources.vocabularies, tokenizers, **fields)
    return head.eval(), embedder, encoder, *splits


def test_a_caption_is_right_if_it_is_one_of_the_references_in_their_case() -> None:
    head, _, _, _, test = prepare()
    found = head.evaluate(test, [Written(["a", "zebra", "and", "friends"])], None)
    assert found.scores["exact_match"].value == 1
    assert found.scores["bleu_4"].value == pytest.approx(100)
    cased = prepare(lowercase=False)[0]
    assert cased.evaluate(test, [Written(["two", "cats"])], None).scores["exact_match"].value == 0
    assert cased.evaluate(test, [Written(["Two", "cats"])], None).scores["exact_match"].value == 1


@pytest.mark.parametrize(("tokens", "novel"), [(["two", "cats"], 0), (["a", "dog"], 0), (["a", "cats"], 1)])
def test_a_caption_is_novel_if_training_has_no_such(tokens: list[str], novel: int) -> None:
    head, _, _, _, test = prepare()
    assert head.evaluate(test, [Written(tokens)], None).scores["novel"].value == novel


def test_scores_are_those_that_are_announced() -> None:
    head, embedder, encoder, _, test = prepare()
    batch = test.batch(np.array([0]))
    with torch.no_grad():
        written = head.predict(encoder(*embedder(batch)), batch)
    found = head.evaluate(test, written, None)
    assert tuple(sorted(found.scores)) == tuple(sorted(head.scores))
    assert found.headline == head.headline


def test_baselines_are_the_most_frequent_caption_and_that_of_the_nearest_image() -> None:
    head, _, _, train, test = prepare()
    found = dict(head.baselines(train, test))
    assert {name: written[0].tokens for name, written in found.items()} == {
        "most_frequent_caption": ["a", "dog", "runs"],
        "nearest_vector": ["two", "cats"],
    }


def test_words_that_training_has_not_often_enough_are_never_written_unless_asked_for() -> None:
    head, embedder, encoder, train, _ = prepare(min_frequency=2)
    assert head.vocabulary.symbols[4:] == ["a", "dog"]
    writing = prepare(min_frequency=2, unknown="write")[0]
    batch = train.batch(np.array([0]))
    with torch.no_grad():
        for one in (head, writing):
            one.decoder.output.bias[one.vocabulary["<unk>"]] = 50.0
        encoded = encoder(*embedder(batch))
        assert "<unk>" not in head.predict(encoded, batch)[0].tokens
        assert "<unk>" in writing.predict(encoded, batch)[0].tokens


def test_an_answer_is_a_text_with_its_alternatives() -> None:
    head, embedder, encoder, _, test = prepare()
    batch = test.batch(np.array([0]))
    with torch.no_grad():
        (found,) = head.predict(encoder(*embedder(batch)), batch)
    answer = head.answer(["line 1"], found, {"vector": [1]})
    fields = answer.fields()
    assert answer.line() == fields["caption"] == " ".join(fields["caption_tokens"])
    assert len(fields["alternatives"]) == 1
    assert len(fields["attention"][0]) == 2


def test_a_record_names_the_image() -> None:
    head, _, _, train, test = prepare()
    record = head.record(test, 0, Written(["two", "cats"], -1.23456))
    assert record == {
        "row": 0,
        "image": "zebra.png",
        "references": ["two cats", "a zebra and friends"],
        "written": "two cats",
        "tokens": ["two", "cats"],
        "log_prob": -1.2346,
    }
    assert head.record(train, 2, Written(["x"]))["image"] == "cats.png"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"min_frequency": 0}, "min_frequency"),
        ({"max_size": 0}, "max_size"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
    ],
)
def test_fields_out_of_range_are_faults(changed: dict, field: str) -> None:
    assert Captioning.check_fields(FIELDS) == []
    assert [name for name, _ in Captioning.check_fields({**FIELDS, **changed})] == [field]
