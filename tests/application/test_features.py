"""Hand-made features from beginning to end."""

import random

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import seqapps
from seqapps.application import plan
from seqapps.cli.main import main
from seqapps.engine.formats import Example
from seqapps.errors import DataError, RecipeError

RECIPE = """
data:
  source: {type: tables, train: train.tsv, test: test.tsv}
  batching: {tokens: 200, pool: 4}
  tokenizer: words
model:
  embedder: {type: features, sets: [{type: lexicon, path: words.tsv}, negation, length, punctuation, capitals, digits]}
  encoder: {type: feedforward, hidden_sizes: [8], nonlinearity: tanh}
  head: {type: classification}
training: {optimizer: {type: adam, lr: 2e-2}, epochs: 12, seed: 1, threads: 1, device: cpu}
evaluation: {samples: 50}
"""
GOOD, BAD = [f"good{i}" for i in range(40)], [f"bad{i}" for i in range(40)]


def write(path, count, seed, words):
    """Words of `words` out of every 40 say which label, and "not" turns it round."""
    generator = random.Random(seed)
    lines = ["text\tlabel"]
    for _ in range(count):
        positive, negated = generator.random() < 0.5, generator.random() < 0.4
        text = generator.choices(["The", "film", "was", "long"], k=generator.randint(0, 5))
        text += [*(["not"] if negated else []), generator.choice((GOOD if positive else BAD)[words])]
        lines.append(f"{' '.join(text)}\t{'up' if positive != negated else 'down'}")
    path.write_text("\n".join(lines) + "\n", encoding="utf8")


def prepare(folder):
    write(folder / "train.tsv", 300, 1, slice(20))
    write(folder / "test.tsv", 80, 2, slice(20, 40))
    lexicon = [*(f"{word}\t1.5" for word in GOOD), *(f"{word}\t-1" for word in BAD)]
    (folder / "words.tsv").write_text("\n".join(lexicon) + "\n", encoding="utf8")
    (folder / "features.yaml").write_text(RECIPE, encoding="utf8")


@pytest.fixture(scope="module")
def trained(train_in_folder):
    """A finished run; half of the lexicon's words are in test texts only. The lexicon is gone afterwards."""
    return train_in_folder(prepare, "features.yaml")


@pytest.fixture
def classifier(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return seqapps.load("runs/features")


def test_words_that_training_never_saw_count_by_the_lexicon(classifier):
    page = classifier.folder.read_json("report.json")
    assert page["metrics"]["accuracy"]["value"] > 0.95
    assert page["baselines"]["ngram_logistic_regression"]["metrics"]["accuracy"]["value"] < 0.8


def test_prediction_reads_the_run_folder_only_and_batches_do_not_change_it(classifier, trained):
    lexicon = trained / "words.tsv"
    text = lexicon.read_text(encoding="utf8")
    lexicon.unlink()
    try:
        found = seqapps.load("runs/features").predict(["film was good3", "not good33", "film " * 30 + "bad2"])
    finally:
        lexicon.write_text(text, encoding="utf8")
    assert [one.label for one in found] == ["up", "down", "down"]
    (alone,) = classifier.predict(["not good33"])
    assert alone.probabilities == pytest.approx(found[1].probabilities, abs=1e-6)


TOKENS, NUMBERS = "{type: tokens, size: 4}", "{type: features, sets: [length, negation]}"


@pytest.mark.parametrize("parts", [f"{TOKENS}, {NUMBERS}", f"{NUMBERS}, {TOKENS}"])
def test_features_stand_beside_every_word_in_either_order(classifier, parts):
    embedder = f"model.embedder={{type: concatenated, parts: [{parts}]}}"
    encoder = "model.encoder={type: recurrent, cell: gru, hidden_size: 4, bidirectional: true}"
    run = seqapps.run("features.yaml", output="beside", overwrite=True, settings=[embedder, encoder])
    predictor = seqapps.load(run.path)
    split = predictor.indexed([Example(["not", "a", "film"]), Example(["film"])])
    x, lengths = predictor.model.embedder(split.batch(np.arange(2)))
    assert x.shape == (2, 3, 3 + 4)
    assert lengths.tolist() == [3, 1]
    numbers = slice(0, 3) if parts.startswith(NUMBERS) else slice(4, 7)
    assert torch.equal(x[0, 0, numbers], x[0, 2, numbers])
    assert not torch.equal(x[0, 0, numbers], x[1, 0, numbers])


def test_a_plan_counts_parameters_with_and_without_the_data(trained, monkeypatch, tmp_path):
    monkeypatch.chdir(trained)
    whole = plan("features.yaml")
    (tmp_path / "features.yaml").write_text(RECIPE, encoding="utf8")
    without = plan(tmp_path / "features.yaml")
    assert any("words.tsv" in line for line in without["missing"])
    shapes = [{p["name"]: p["shape"] for p in page["parameters"]} for page in (whole, without)]
    assert shapes[0]["encoder.hidden.layers.0.weight"] == shapes[1]["encoder.hidden.layers.0.weight"] == [8, 11]


def test_a_lexicon_that_is_missing_and_an_empty_list_are_told_in_one_line(trained, monkeypatch):
    monkeypatch.chdir(trained)
    settings = ["model.embedder={type: features, sets: [{type: lexicon, path: nowhere.tsv}]}"]
    with pytest.raises(DataError, match=r"nowhere\.tsv"):
        seqapps.run("features.yaml", output="other", settings=settings)
    with pytest.raises(RecipeError, match="sets is empty, expected at least one feature set"):
        seqapps.run("features.yaml", output="other", settings=["model.embedder={type: features, sets: []}"])
    result = CliRunner().invoke(main, ["check", "features.yaml", "--set", settings[0]])
    assert "nowhere.tsv" in result.output
