"""Texts with any number of labels from beginning to end."""

import dataclasses
import io
import json
import random
from pathlib import Path

import pytest

import seqapps
from seqapps.application import evaluate
from seqapps.application.measuring import _recipe_for_files, open_split, places_of
from seqapps.errors import DataError
from seqapps.recipe import Spec

RECIPE = """
data:
  source: {type: tables, train: train.tsv, test: test.jsonl, lists: [labels]}
  batching: {tokens: 200, pool: 4}
model:
  embedder: {type: tokens, size: 12}
  encoder: {type: recurrent, cell: gru, hidden_size: 12, bidirectional: true}
  head: {type: multi_label, pooling: max}
training: {optimizer: {type: adam, lr: 2e-2}, epochs: 8, seed: 1, threads: 1, device: cpu}
evaluation: {samples: 50}
"""
TOPICS = {"goal": "sport", "vote": "politics", "rain": "weather"}


def texts(count, seed):
    """Some topics, each named by a word."""
    generator = random.Random(seed)
    for _ in range(count):
        words = [word for word in TOPICS if generator.random() < 0.4]
        labels = [TOPICS[word] for word in words]
        words += generator.choices(["the", "day", "was", "long"], k=generator.randint(1, 5))
        generator.shuffle(words)
        yield " ".join(words), labels


def prepare(folder):
    for name, count, seed in (("train", 300, 1), ("test", 60, 2)):
        rows = [f"{text}\t{' '.join(labels)}" for text, labels in texts(count, seed)]
        (folder / f"{name}.tsv").write_text("\n".join(["text\tlabels", *rows]) + "\n", encoding="utf8")
    lines = [json.dumps({"text": text, "labels": labels}) for text, labels in texts(60, 2)]
    (folder / "test.jsonl").write_text("\n".join(lines) + "\n", encoding="utf8")
    (folder / "news.yaml").write_text(RECIPE, encoding="utf8")


@pytest.fixture(scope="module")
def news(train_in_folder):
    """A folder with data, recipe and a finished run."""
    return train_in_folder(prepare, "news.yaml")


@pytest.fixture
def labeller(news, monkeypatch):
    monkeypatch.chdir(news)
    return seqapps.load("runs/news")


def test_a_run_learns_reports_and_lists_its_predictions(labeller):
    page = labeller.folder.read_json("report.json")
    assert page["task"] == "multi_label"
    assert page["headline"] == "micro_f1"
    assert page["metrics"]["micro_f1"]["value"] > 0.95
    assert page["baselines"].keys() == {"majority_labels", "ngram_one_vs_rest"}
    assert page["baselines"]["majority_labels"]["metrics"]["micro_f1"]["value"] == 0.0
    assert page["differences"]["ngram_one_vs_rest"]["value"] is not None
    html = (labeller.folder / "report.html").read_text(encoding="utf8")
    assert "all labels right" in html
    assert "labels with few texts are uncertain" in html
    assert "Micro F1 over labels" in (labeller.folder / "README.md").read_text(encoding="utf8")
    lines = (labeller.folder / "predictions.jsonl").read_text(encoding="utf8").splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == 60
    right = sum(set(record["gold"]) == set(record["predicted"]) for record in records)
    assert right / 60 == pytest.approx(page["metrics"]["subset_accuracy"]["value"])


def read(labeller, data, format):
    found = labeller.stream(labeller.read(io.BytesIO(data), format, "input"))
    return [labeller.write(prediction, format) for prediction in found]


def test_texts_get_lists_of_labels(labeller):
    assert read(labeller, b"the rain and the vote\nlong day\n", "text") == [
        "the rain and the vote\tweather, politics\n",
        "long day\t\n",
    ]
    (line,) = read(labeller, b'{"text": "goal", "id": 3}\n', "jsonl")
    found = json.loads(line)
    assert (found["id"], found["labels"], len(found["probabilities"])) == (3, ["sport"], 3)


def test_files_of_text_and_of_json_give_the_same_scores(labeller):
    scores = [evaluate("runs/news", file=name)["metrics"] for name in ("test.jsonl", "test.tsv")]
    assert scores[0] == scores[1] == labeller.folder.read_json("report.json")["metrics"]


def test_labels_that_are_not_declared_stop_a_run_before_training(news, monkeypatch):
    monkeypatch.chdir(news)
    expected = r"split 'train', row \d+: labels is 'weather', which is not declared in labels"
    with pytest.raises(DataError, match=expected):
        seqapps.run("news.yaml", output="other", settings=["model.head.labels=[sport, politics]"])
    assert not (news / "other").exists()


def test_labels_of_a_file_that_the_source_does_not_read_are_lists_as_well(labeller):
    source = Spec("sources", "copy")  # reads no files
    recipe = dataclasses.replace(labeller.recipe, data=dataclasses.replace(labeller.recipe.data, source=source))
    places = places_of(labeller, None)
    found = open_split(labeller, _recipe_for_files(recipe, [Path("test.tsv")], {}), "test", places)
    expected = [labels for _, labels in texts(60, 2)]
    assert [found.strings("labels", row) for row in range(60)] == expected
