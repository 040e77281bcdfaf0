"""Classification from beginning to end: text columns in, labels out."""

import io
import json
import random

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

import seqapps
from seqapps.application import diagnose, evaluate
from seqapps.cli.main import main
from seqapps.errors import DataError, RecipeError, UseError

RECIPE = """
data:
  source: {type: tables, train: train.tsv, validation: dev.tsv, test: test.tsv}
  batching: {tokens: 200, pool: 4}
  tokenizer: words
model:
  embedder: {type: tokens, size: 12, word_dropout: 0.1, lowercase: true}
  encoder: {type: recurrent, cell: lstm, hidden_size: 12, bidirectional: true}
  head: {type: classification, pooling: max}
training: {optimizer: {type: adam, lr: 2e-2}, clip_norm: 5, epochs: 8, seed: 1, threads: 1, device: cpu}
evaluation: {samples: 50}
"""


def write(path, count, seed):
    """ "good" and "bad" say which label, and "not" right before them turns it round."""
    generator = random.Random(seed)
    lines = ["text\tlabel"]
    for _ in range(count):
        positive, negated = generator.random() < 0.5, generator.random() < 0.4
        words = generator.choices(["The", "film", "was", "very", "long"], k=generator.randint(0, 5))
        words += [*(["not"] if negated else []), "good" if positive else "bad"]
        lines.append(f"{' '.join(words)}!!\t{'positive' if positive != negated else 'negative'}")
    path.write_text("\n".join(lines) + "\n", encoding="utf8")


def prepare(folder):
    for name, count, seed in (("train", 400, 1), ("dev", 50, 2), ("test", 60, 3)):
        write(folder / f"{name}.tsv", count, seed)
    (folder / "reviews.yaml").write_text(RECIPE, encoding="utf8")


@pytest.fixture
def reviews(tmp_path, monkeypatch):
    """A folder with data and `reviews.yaml`, which is also the working directory."""
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(train_in_folder):
    """A folder as `reviews`, with a finished run in it, which all tests share."""
    return train_in_folder(prepare, "reviews.yaml")


@pytest.fixture
def classifier(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return seqapps.load("runs/reviews")


def test_a_run_learns_reports_and_lists_its_predictions(classifier):
    run = classifier.folder
    page = run.read_json("report.json")
    assert page["task"] == "classification"
    assert page["metrics"]["accuracy"]["value"] > 0.95
    assert page["metrics"].keys() == {"accuracy", "macro_f1", "weighted_f1", "calibration_error", "roc_auc"}
    assert page["baselines"]["majority_class"]["metrics"]["accuracy"]["value"] < 0.7
    assert page["baselines"]["ngram_logistic_regression"]["metrics"]["accuracy"]["value"] > 0.8
    assert page["data"]["splits"]["test"]["sentences"] == 60
    html = (run / "report.html").read_text(encoding="utf8")
    assert 'id="calibration"' in html
    assert "texts classified right" in (run / "README.md").read_text(encoding="utf8")
    lines = [json.loads(line) for line in (run / "predictions.jsonl").read_text(encoding="utf8").splitlines()]
    assert len(lines) == 60
    assert lines[0].keys() == {"row", "tokens", "gold", "predicted", "probabilities"}
    assert lines[0]["tokens"][-1] == "!!"
    right = sum(line["gold"] == line["predicted"] for line in lines)
    assert right / 60 == pytest.approx(page["metrics"]["accuracy"]["value"])
    assert all(max(line["probabilities"], key=line["probabilities"].get) == line["predicted"] for line in lines)


@pytest.mark.parametrize(
    "settings",
    [
        ["model.head.pooling=attention", "model.head.hidden_sizes=[6]", "model.head.dropout=0.1"],
        ["model.head.pooling=mean", "model.head.class_weights=balanced", "model.head.label_smoothing=0.1"],
        ["model.encoder={type: pooled, hidden_sizes: [8]}", "model.head.pooling=last"],
        ["model.encoder={type: convolutional}"],
        [
            "model.encoder={type: hierarchical, sentence_length: 3, word_encoder: {type: recurrent, cell: gru, "
            "hidden_size: 6}, sentence_encoder: {type: recurrent, cell: lstm, hidden_size: 6}}"
        ],
    ],
)
def test_every_option_trains_and_reports(reviews, settings):
    run = seqapps.run("reviews.yaml", settings=[*settings, "training.epochs=1"])
    assert run.read_json("report.json")["metrics"]["accuracy"]["value"] is not None


def test_a_resumed_run_ends_with_the_weights_of_one_that_was_not_stopped(reviews):
    whole = seqapps.run("reviews.yaml", output="whole", settings=["model.head.dropout=0.3", "training.epochs=2"])
    settings = ["model.head.dropout=0.3", "training.epochs=2"]
    seqapps.run("reviews.yaml", output="parts", settings=[*settings, "training.max_steps=7"])
    parts = seqapps.run("reviews.yaml", output="parts", settings=settings, resume=True)
    first, second = (load_file(run.path / "model.safetensors") for run in (whole, parts))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert whole.read_json("report.json")["metrics"] == parts.read_json("report.json")["metrics"]


def test_texts_are_classified_in_order_with_probabilities(classifier):
    good, bad = classifier.predict(["The film was good!!", ["not", "good", "!!"]])
    assert (good.label, bad.label) == ("positive", "negative")
    assert good.probability == max(good.probabilities.values()) > 0.5
    assert sum(bad.probabilities.values()) == pytest.approx(1)
    assert good.tokens == ["The", "film", "was", "good", "!!"]


def test_batches_do_not_change_a_prediction(classifier):
    texts = ["film " * (i % 9) + "not good" for i in range(40)]
    together = classifier.predict(texts)
    for text, found in zip(texts, together, strict=True):
        (alone,) = classifier.predict([text])
        assert alone.probabilities == pytest.approx(found.probabilities, abs=1e-6)


def read(classifier, data, format="text"):
    return list(classifier.stream(classifier.read(io.BytesIO(data), format, "input")))


def test_the_command_writes_text_label_and_probability(classifier):
    result = CliRunner().invoke(main, ["predict", str(classifier.folder.path), "-"], input="was  good!!\nnot good\n")
    assert result.exit_code == 0, result.output
    lines = [line.split("\t") for line in result.output.splitlines()]
    assert [(text, label) for text, label, _ in lines] == [("was  good!!", "positive"), ("not good", "negative")]
    assert all(0.5 < float(p) <= 1 for *_, p in lines)


def test_json_lines_keep_what_else_was_in_them(classifier):
    lines = [{"text": "good!!", "id": 7}, {"tokens": ["not", "good"]}]
    found = read(classifier, "\n".join(map(json.dumps, lines)).encode(), "jsonl")
    first, second = (json.loads(classifier.write(p, "jsonl")) for p in found)
    assert (first["id"], first["text"], first["label"]) == (7, "good!!", "positive")
    assert first["probabilities"].keys() == {"positive", "negative"}
    assert (second["tokens"], second["label"]) == (["not", "good"], "negative")


def test_a_text_of_no_tokens_is_named_by_its_line(classifier):
    with pytest.raises(DataError, match=r"^input:2: a text of 0 tokens"):
        read(classifier, b"good\n \nbad\n")
    with pytest.raises(DataError, match=r"^input:1: a text of 0 tokens"):
        read(classifier, b'{"text": ""}\n', "jsonl")
    with pytest.raises(DataError, match=r"^example 2: a text of 0 tokens"):
        classifier.predict(["good", ""])


def test_conllu_is_refused(classifier):
    with pytest.raises(UseError, match="--format conllu: a model of task 'classification' has no such format"):
        read(classifier, b"1\tthe\t_\t_\t_\t_\t_\t_\t_\t_\n\n", "conllu")


def test_a_split_or_a_file_is_measured_as_the_report_did(classifier):
    page = classifier.folder.read_json("report.json")
    assert evaluate(classifier.folder.path)["metrics"] == page["metrics"]
    assert evaluate(classifier.folder.path, file="test.tsv")["metrics"] == page["metrics"]
    assert evaluate(classifier.folder.path, split="validation")["metrics"]["accuracy"]["count"] == 50


def test_a_file_of_another_kind_is_read_by_its_ending(reviews, monkeypatch):
    from seqapps.data.sources.source import Source
    from seqapps.data.sources.tables import Tables
    from seqapps.registry import registry

    class Corpus(Source):
        """A source that reads no files of the recipe."""

        def load(self, places, splits=None):
            return Tables(train="train.tsv", validation="dev.tsv", test="test.tsv").load(places, splits)

    monkeypatch.setitem(registry("sources")._local, "corpus_of_texts", Corpus)
    run = seqapps.run("reviews.yaml", output="other", settings=["data.source=corpus_of_texts", "training.epochs=1"])
    (reviews / "x.csv").write_text("text,label\nnot good,negative\ngood!!,positive\n", encoding="utf8")
    assert evaluate(run.path, file="x.csv")["metrics"]["accuracy"]["count"] == 2


def test_a_label_never_seen_in_training_is_told_and_counts_as_an_error(reviews, capsys):
    with (reviews / "test.tsv").open("a", encoding="utf8") as file:
        file.write("good!!\tmixed\n" * 3)
    run = seqapps.run("reviews.yaml", settings=["training.epochs=1"])
    page = run.read_json("report.json")
    note = "1 label of label in test never seen in training (mixed; 3 texts): they count as errors"
    assert note in page["data"]["notes"]
    assert note in capsys.readouterr().err
    assert page["metrics"]["accuracy"]["count"] == 63
    assert page["metrics"]["roc_auc"]["count"] == 60


def test_data_that_cannot_be_learnt_from_is_refused_before_training(reviews):
    text = (reviews / "train.tsv").read_text(encoding="utf8")
    (reviews / "train.tsv").write_text(text.replace("positive", "negative"), encoding="utf8")
    with pytest.raises(DataError, match="split 'train': column 'label' holds one label only, 'negative'"):
        seqapps.run("reviews.yaml", output="one")
    (reviews / "train.tsv").write_text(text + "  \tpositive\n", encoding="utf8")
    with pytest.raises(DataError, match="split 'train', row 401: no tokens; remove empty rows"):
        seqapps.run("reviews.yaml", output="empty")
    with pytest.raises(RecipeError, match=r"label_smoothing is 1\.5, expected 0 <= label_smoothing < 1"):
        seqapps.run("reviews.yaml", output="field", settings=["model.head.label_smoothing=1.5"])


def test_gradients_through_time_can_be_looked_at(classifier):
    (found,) = diagnose([classifier.folder.path], sequences=20)
    assert found["split"] == "validation"
    assert "diagnostics" in (classifier.folder.path / "report.html").read_text(encoding="utf8")


def test_long_texts_are_cut_alike_in_training_and_prediction_and_counted(reviews):
    settings = ["data.max_length=2", "data.kept=last", "training.epochs=4"]
    run = seqapps.run("reviews.yaml", settings=settings)
    notes = run.read_json("report.json")["data"]["notes"]
    expected = "texts of train are longer than 2 tokens, of which the 2 last are read"
    assert sum(note.endswith(expected) for note in notes) == 1
    assert run.read_json("report.json")["data"]["splits"]["test"]["tokens"] == 2 * 60
    classifier = seqapps.load(run.path)
    long, short = classifier.predict(["The film was not very good!!", ["good", "!!"]])
    assert long.probabilities == pytest.approx(short.probabilities)
    assert long.tokens == ["The", "film", "was", "not", "very", "good", "!!"]
    assert classifier.longer == 1
    result = CliRunner().invoke(main, ["predict", str(run.path), "-"], input="very very good!!\ngood\n")
    assert "warning: 1 text of the input is longer than 2 tokens" in result.stderr
    assert len(result.stdout.splitlines()) == 2
    assert evaluate(run.path)["metrics"] == run.read_json("report.json")["metrics"]


def test_cutting_is_refused_where_every_token_is_needed_and_kept_where_nothing_is_cut(reviews):
    tagging = ["model.head={type: tagging}", "data.max_length=3"]
    with pytest.raises(DataError, match="max_length cuts texts, and head 'tagging' needs every token; remove it"):
        seqapps.run("reviews.yaml", settings=tagging)
    with pytest.raises(RecipeError, match="nothing is cut without 'max_length'"):
        seqapps.run("reviews.yaml", settings=["data.kept=last"])
