"""One vocabulary, one table and one output matrix for the text that is read and the one that is written."""

import pytest
import torch
from safetensors.torch import load_file

import seqapps
from seqapps.errors import RecipeError, UseError

RECIPE = """
data:
  source:
    type: parallel
    train: [train.en, train.de]
    validation: [dev.en, dev.de]
    test: [test.en, test.de]
  batching: {tokens: 200, pool: 4}
model:
  embedder: {type: tokens, size: 12}
  encoder: {type: recurrent, cell: gru, hidden_size: 12, bidirectional: true}
  head:
    type: translation
    shared_vocabulary: true
    decoder: {hidden_size: 16, embedding_size: 12, shared_embedding: true, tied: true}
    search: {method: greedy, max_length: 12}
training: {optimizer: {type: adam, lr: 1e-2}, epochs: 1, seed: 1, threads: 1, device: cpu}
"""
LINES = ["the red house", "a house and a tree", "red trees", "the tree and the red house"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.en").write_text("\n".join(LINES * 4) + "\n", encoding="utf8")
        (tmp_path / f"{name}.de").write_text(
            "\n".join(" ".join(x.split()[::-1]) for x in LINES * 4) + "\n", encoding="utf8"
        )
    (tmp_path / "shared.yaml").write_text(RECIPE, encoding="utf8")
    monkeypatch.chdir(tmp_path)


def test_three_matrices_are_one_and_stay_it():
    run = seqapps.run("shared.yaml")
    model = seqapps.load(run.path).model
    table = model.embedder.table.weight
    assert model.head.decoder.embedding.weight is table
    assert model.head.decoder.output.weight is table
    assert table.shape == (4 + 7, 12)
    saved = load_file(run.path / "model.safetensors")
    assert "embedder.table.weight" in saved
    assert not {"head.decoder.embedding.weight", "head.decoder.output.weight"} & saved.keys()
    assert torch.equal(saved["embedder.table.weight"], table)
    assert model.head.vocabulary.symbols == model.embedder.vocabulary.symbols


def test_what_was_saved_predicts_what_the_report_says_and_goes_on_where_it_stopped():
    whole = seqapps.run("shared.yaml", output="whole", settings=["training.epochs=3"])
    seqapps.run("shared.yaml", output="parts", settings=["training.epochs=3", "training.max_steps=1"])
    parts = seqapps.run("shared.yaml", output="parts", settings=["training.epochs=3"], resume=True)
    first, second = (load_file(run.path / "model.safetensors") for run in (whole, parts))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert [found.text for found in seqapps.load(whole.path).predict(LINES)] == [
        found.text for found in seqapps.load(parts.path).predict(LINES)
    ]


@pytest.mark.parametrize(
    ("setting", "own"),
    [
        ("model.head.decoder.tied=false", "head.decoder.output.weight"),
        ("model.head.decoder.shared_embedding=false", "head.decoder.embedding.weight"),
    ],
)
def test_either_can_be_had_without_the_other(setting, own):
    run = seqapps.run("shared.yaml", settings=[setting])
    assert own in load_file(run.path / "model.safetensors")


def test_weights_go_on_to_another_vocabulary_symbol_by_symbol(tmp_path):
    first = seqapps.run("shared.yaml", output="first")
    for suffix in ("en", "de"):
        (tmp_path / f"train.{suffix}").write_text("new trees and houses\nthe red tree\n", encoding="utf8")
    start = "model.init_from={run: first, parts: [embedder, encoder, head]}"
    settings = [start, "model.freeze=[embedder.*]", "training.max_steps=1"]
    second = seqapps.run("shared.yaml", output="second", settings=settings)
    models = [seqapps.load(run.path).model for run in (first, second)]
    symbols = [model.embedder.vocabulary for model in models]
    assert symbols[0].symbols != symbols[1].symbols
    for word in ("tree", "red", "<eos>"):
        one, other = (m.head.decoder.embedding.weight[v[word]] for m, v in zip(models, symbols, strict=True))
        assert torch.equal(one, other), word


def test_sub_words_are_learnt_from_both_sides():
    pytest.importorskip("sentencepiece")
    pieces = "data.tokenizer={type: sentencepiece, vocabulary_size: 22, shared: %s}"
    run = seqapps.load(seqapps.run("shared.yaml", settings=[pieces % "true"]).path)
    assert run.resources.tokenizers["tokens"].to_json() == run.resources.tokenizers["target"].to_json()
    assert run.predict(["red trees"])[0].text is not None
    with pytest.raises(RecipeError, match=r"'sentencepiece' learns each side's pieces apart.*'shared: true'"):
        seqapps.run("shared.yaml", output="b", settings=[pieces % "false"])
    with pytest.raises(RecipeError, match="pieces apart"):
        seqapps.run("shared.yaml", output="b", settings=[pieces % "true", "data.tokenizers={target: whitespace}"])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.embedder.size=13", "rows of the embedder have 13 features, and embedding_size is 12; make them equal"),
        (
            "model.embedder.min_frequency=2",
            "min_frequency is 2 in the embedder and 1 for what is written; make them equal",
        ),
        ("model.head.max_size=5", "max_size is null in the embedder and 5 for what is written"),
        ("model.embedder.lowercase=true", "lowercase is true in the embedder and false for what is written"),
        ("model.embedder={type: character_cnn}", "the embedder looks no tokens up, so there is nothing to share"),
        ("model.head.shared_vocabulary=false", "set 'model.head.shared_vocabulary: true'"),
    ],
)
def test_what_cannot_be_shared_is_a_fault_of_the_recipe(setting, message):
    with pytest.raises(RecipeError, match=message):
        seqapps.run("shared.yaml", settings=[setting])


def test_parts_that_are_not_there_are_told():
    seqapps.run("shared.yaml", output="first")
    start = "model.init_from={run: first, parts: [head]}"
    settings = [start, "model.head.decoder.shared_embedding=false"]
    with pytest.raises(UseError, match=r"has no parameter 'head.decoder.embedding.weight'"):
        seqapps.run("shared.yaml", output="second", settings=settings)
