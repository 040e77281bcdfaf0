"""Words that training never saw, taken from the source: a decoder with a pointer learns it, one without cannot."""

import json
import random

import pytest
import torch
from safetensors.torch import load_file

import seqapps
from seqapps.errors import RecipeError

RECIPE = """
data:
  source:
    type: parallel
    train: [train.en, train.de]
    validation: [dev.en, dev.de]
    test: [test.en, test.de]
  batching: {tokens: 200, pool: 4}
model:
  embedder: {type: tokens, size: 12, min_frequency: 3}
  encoder: {type: recurrent, cell: gru, hidden_size: 16, bidirectional: true}
  head:
    type: translation
    min_frequency: 3
    decoder: {hidden_size: 24, embedding_size: 12, pointer: true}
    search: {beam: 3, max_length: 8}
    bleu_tokenize: none
    headline: perplexity
training: {optimizer: {type: adam, lr: 2e-2}, clip_norm: 5, epochs: 10, seed: 1, threads: 1, device: cpu}
"""


def write(folder, name, count, seed):
    """`call Ann and Bob` -> `Ann , Bob !`, with names that occur once."""
    draw = random.Random(seed)
    sources, targets = [], []
    for number in range(count):
        first, second = (f"{name}{number}{letter}" for letter in "ab")
        verb, mark = draw.choice([("call", "!"), ("see", ".")])
        sources.append(f"{verb} {first} and {second}" if draw.random() < 0.7 else f"{verb} {first}")
        targets.append(f"{first} , {second} {mark}" if " and " in sources[-1] else f"{first} {mark}")
    for suffix, lines in (("en", sources), ("de", targets)):
        (folder / f"{name}.{suffix}").write_text("\n".join(lines) + "\n", encoding="utf8")


def prepare(folder):
    for name, count, seed in (("train", 300, 1), ("dev", 20, 2), ("test", 40, 3)):
        write(folder, name, count, seed)
    (folder / "names.yaml").write_text(RECIPE, encoding="utf8")


@pytest.fixture
def names(tmp_path, monkeypatch):
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(train_in_folder):
    """A folder as `names`, with a finished run in it, which tests share."""
    return train_in_folder(prepare, "names.yaml")


@pytest.fixture
def copier(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return seqapps.load("runs/names")


def test_names_that_were_never_seen_are_written(copier):
    page = copier.folder.read_json("report.json")
    assert page["metrics"]["exact_match"]["value"] > 0.95
    assert 0.4 < page["metrics"]["copied"]["value"] < 0.7
    assert page["metrics"]["perplexity"]["value"] < 1.1
    lines = (copier.folder / "predictions.jsonl").read_text(encoding="utf8").splitlines()
    assert any("test0a" in json.loads(line)["tokens"] for line in lines)
    (one, other) = copier.predict(["see Grace and Alan", "call Edsger"])
    assert (one.text, other.text) == ("Grace , Alan .", "Edsger !")
    assert len(copier.model.head.vocabulary) == 4 + 3


def test_how_probable_copying_was_is_told_and_drawn(copier):
    (one,) = copier.predict(["see Grace and Alan"])
    assert one.written == ["Grace", ",", "Alan", "."]
    names, signs = one.p_gen[0:3:2], one.p_gen[1:4:2]
    assert len(one.p_gen) == len(one.attention) == 5  # the end mark's is the last
    assert max(names) < 0.1
    assert min(signs) > 0.5
    assert one.fields()["p_gen"] == [round(share, 4) for share in one.p_gen]
    (table, *_) = copier.folder.read_json("report.json")["tables"]["attention"]
    assert len(table["p_gen"]) == len(table["target"])
    assert "1 − p_gen" in (copier.folder / "report.html").read_text(encoding="utf8")


def test_batches_do_not_change_what_is_written(copier):
    texts = [f"see A{i}" if i % 3 else f"call A{i} and B{i}" for i in range(20)]
    together = copier.predict(texts)
    for text, found in zip(texts, together, strict=True):
        (alone,) = copier.predict([text])
        assert alone.text == found.text
        assert alone.log_prob == pytest.approx(found.log_prob, abs=1e-5)


def test_without_a_pointer_they_cannot_be_written(names):
    run = seqapps.run("names.yaml", settings=["model.head.decoder.pointer=false"])
    metrics = run.read_json("report.json")["metrics"]
    assert metrics["exact_match"]["value"] == 0
    assert "copied" not in metrics


@pytest.mark.parametrize(
    "settings",
    [
        ["model.head.decoder.coverage=true", "model.head.decoder.coverage_loss=1", "model.head.unknown=avoid"],
        ["model.head.decoder.input_feeding=true", "model.head.decoder.tied=true", "model.head.label_smoothing=0.1"],
        ["model.head.search={method: sampling, n_best: 2}", "training.precision=bf16", "model.head.unknown=copy"],
        ["data.tokenizers={target: characters}", "model.head.decoder.scheduled_sampling={steps: 5}"],
    ],
    ids=lambda settings: settings[0].removeprefix("model.head."),
)
def test_a_pointer_goes_with_the_other_options(names, settings):
    run = seqapps.run("names.yaml", settings=[*settings, "training.epochs=1", "data.limit=60"])
    assert "copied" in run.read_json("report.json")["metrics"]


def test_a_resumed_run_ends_with_the_weights_of_one_that_was_not_stopped(names):
    settings = ["model.head.decoder.dropout=0.3", "training.epochs=2", "data.limit=100"]
    whole = seqapps.run("names.yaml", output="whole", settings=settings)
    seqapps.run("names.yaml", output="parts", settings=[*settings, "training.max_steps=3"])
    parts = seqapps.run("names.yaml", output="parts", settings=settings, resume=True)
    first, second = (load_file(run.path / "model.safetensors") for run in (whole, parts))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_pointer_without_a_text_to_point_at_is_a_fault_of_the_recipe(names):
    with pytest.raises(RecipeError, match="a pointer goes by attention, and attention is none"):
        seqapps.run("names.yaml", settings=["model.head.decoder.attention=none"])
    with pytest.raises(RecipeError, match="takes words from a text that is read; the embedder reads none"):
        seqapps.run("names.yaml", settings=["model.embedder={type: cnn}"])
