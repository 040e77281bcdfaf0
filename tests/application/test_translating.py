"""Translation from beginning to end: pairs of texts in, texts out."""

import io
import json
import math
import random

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

import seqapps
from seqapps.application import evaluate
from seqapps.cli.main import main
from seqapps.engine.model import build_model
from seqapps.engine.transfer import start_from
from seqapps.errors import DataError, RecipeError, UseError

WORDS = {"one": "eins", "two": "zwei", "three": "drei", "four": "vier"}

RECIPE = """
data:
  source:
    type: parallel
    train: [train.en, train.de]
    validation: [dev.en, dev.de]
    test: [test.en, test.de]
  batching: {tokens: 60, pool: 4}
model:
  embedder: {type: tokens, size: 12}
  encoder: {type: recurrent, cell: gru, hidden_size: 12, bidirectional: true}
  head:
    type: translation
    decoder: {hidden_size: 24, embedding_size: 12}
    search: {beam: 3, max_length: 12}
    max_length_ratio: 2
    bleu_tokenize: none
training: {optimizer: {type: adam, lr: 2e-2}, clip_norm: 5, epochs: 10, seed: 1, threads: 1, device: cpu}
evaluation: {samples: 50}
"""


def write(folder, name, count, seed):
    """Numbers and their translations, in the opposite order."""
    draw = random.Random(seed)
    sources = [draw.choices(list(WORDS), k=draw.randint(1, 5)) for _ in range(count)]
    targets = [[WORDS[word] for word in reversed(source)] for source in sources]
    for suffix, texts in (("en", sources), ("de", targets)):
        lines = "".join(" ".join(text) + "\n" for text in texts)
        (folder / f"{name}.{suffix}").write_text(lines, encoding="utf8")


def prepare(folder):
    for name, count, seed in (("train", 400, 1), ("dev", 30, 2), ("test", 40, 3)):
        write(folder, name, count, seed)
    (folder / "numbers.yaml").write_text(RECIPE, encoding="utf8")


@pytest.fixture
def numbers(tmp_path, monkeypatch):
    """A folder with data and `numbers.yaml`, which is also the working directory."""
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(train_in_folder):
    """A folder as `numbers`, with a finished run in it, which all tests share."""
    return train_in_folder(prepare, "numbers.yaml")


@pytest.fixture
def translator(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return seqapps.load("runs/numbers")


def test_a_run_learns_reports_and_lists_what_it_wrote(translator):
    run = translator.folder
    page = run.read_json("report.json")
    assert page["task"] == "translation"
    assert page["headline"] == "bleu"
    assert page["metrics"]["exact_match"]["value"] > 0.9
    assert page["metrics"]["perplexity"]["value"] < 1.2
    assert page["baselines"]["copy_source"]["metrics"]["exact_match"]["value"] == 0
    assert 0 < page["baselines"]["nearest_source"]["metrics"]["bleu"]["value"] < page["metrics"]["bleu"]["value"]
    lines = [json.loads(line) for line in (run / "predictions.jsonl").read_text(encoding="utf8").splitlines()]
    assert len(lines) == 40
    right = sum(line["written"] in line["references"] for line in lines)
    assert right / 40 == pytest.approx(page["metrics"]["exact_match"]["value"])
    html = (run / "report.html").read_text(encoding="utf8")
    assert 'id="attention"' in html
    assert "BLEU" in html


@pytest.mark.parametrize(
    "settings",
    [
        ["model.head.decoder.cell=lstm", "model.head.decoder.num_layers=2", "model.head.decoder.attention=general"],
        ["model.head.decoder.input_feeding=true", "model.head.decoder.tied=true", "model.head.label_smoothing=0.1"],
        ["model.head.decoder.coverage=true", "model.head.decoder.coverage_loss=1"],
        ["model.head.decoder.bridge=final", "model.head.decoder.attention=none"],
        ["model.head.decoder.scheduled_sampling={schedule: exponential, steps: 20}"],
        ["model.encoder={type: pooled, hidden_sizes: [8]}", "model.head.decoder.cell={type: sru}"],
        ["data.tokenizers={target: characters}", "model.head.headline=character_error_rate", "training.precision=bf16"],
        ["model.head.search={method: sampling, n_best: 2, top_p: 0.9}", "model.head.unknown=copy"],
    ],
    ids=lambda settings: settings[0].removeprefix("model.head."),
)
def test_every_option_trains_and_reports(numbers, settings):
    run = seqapps.run("numbers.yaml", settings=[*settings, "training.epochs=1", "data.limit=60"])
    assert run.read_json("report.json")["metrics"]["bleu"]["value"] is not None


def test_a_resumed_run_ends_with_the_weights_of_one_that_was_not_stopped(numbers):
    settings = ["model.head.decoder.dropout=0.3", "training.epochs=2", "data.limit=100"]
    settings += ["model.head.decoder.scheduled_sampling={schedule: linear, steps: 20}"]
    whole = seqapps.run("numbers.yaml", output="whole", settings=settings)
    seqapps.run("numbers.yaml", output="parts", settings=[*settings, "training.max_steps=7"])
    parts = seqapps.run("numbers.yaml", output="parts", settings=settings, resume=True)
    first, second = (load_file(run.path / "model.safetensors") for run in (whole, parts))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert first["head.decoder.batches"] > 10
    assert whole.read_json("report.json")["metrics"] == parts.read_json("report.json")["metrics"]


def test_texts_are_translated_in_order(translator):
    first, second = translator.predict(["three one", ["two"]])
    assert (first.text, second.text) == ("eins drei", "zwei")
    assert first.written == ["eins", "drei"]
    assert -1 < first.log_prob < 0
    assert [max(row) == row[at] for row, at in zip(first.attention, (1, 0), strict=False)] == [True, True]


def test_batches_do_not_change_a_translation(translator):
    draw = random.Random(5)
    texts = [" ".join(draw.choices(list(WORDS), k=1 + i % 6)) for i in range(40)]
    together = translator.predict(texts)
    for text, found in zip(texts, together, strict=True):
        (alone,) = translator.predict([text])
        assert alone.text == found.text
        assert alone.log_prob == pytest.approx(found.log_prob, abs=1e-5)


def test_the_command_writes_a_line_for_a_line(translator):
    result = CliRunner().invoke(main, ["predict", str(translator.folder.path), "-"], input="one two\nfour\n")
    assert result.exit_code == 0, result.output
    assert result.output == "zwei eins\nvier\n"


def test_json_lines_keep_what_else_was_in_them(translator):
    line = json.dumps({"text": "four two", "id": 7}).encode()
    (found,) = translator.stream(translator.read(io.BytesIO(line), "jsonl", "input"))
    written = json.loads(translator.write(found, "jsonl"))
    assert (written["id"], written["text"], written["target"]) == (7, "four two", "zwei vier")
    assert written["target_tokens"] == ["zwei", "vier"]
    assert all(math.isclose(sum(row), 1, abs_tol=1e-3) for row in written["attention"])


def test_texts_that_are_cut_are_counted(translator):
    text = "one two three four one two three four\n"
    result = CliRunner().invoke(main, ["predict", "runs/numbers", "--max-length", "3"], input=text + "one\n")
    assert result.exit_code == 0, result.output
    assert "warning: 1 of 2 texts were cut before an end mark came; raise --max-length" in result.stderr
    assert len(result.stdout.splitlines()[0].split()) == 3
    assert "cut" not in CliRunner().invoke(main, ["predict", "runs/numbers"], input="one\n").stderr
    report = translator.folder.read_json("report.json")
    assert report["metrics"]["cut"]["value"] == 0


def test_a_split_is_measured_as_the_report_did(translator):
    page = translator.folder.read_json("report.json")
    assert evaluate(translator.folder.path)["metrics"] == page["metrics"]
    assert evaluate(translator.folder.path, split="validation")["metrics"]["bleu"]["count"] == 30


def test_two_files_are_what_is_read_and_what_should_be_written(translator, tmp_path):
    page = translator.folder.read_json("report.json")
    found = evaluate(translator.folder.path, file=["test.en", "test.de"])
    assert found["metrics"] == page["metrics"]
    assert found["split"] == "test.en, test.de"
    short = tmp_path / "short.de"
    short.write_text("eins\n", encoding="utf8")
    with pytest.raises(DataError, match=r"test.en: 40 lines, but 1 in .*short.de"):
        evaluate(translator.folder.path, file=["test.en", short])
    with pytest.raises(UseError, match="--file: 3 files; two are for a model that writes a text for a text"):
        evaluate(translator.folder.path, file=["test.en", "test.de", short])


def test_two_files_go_with_a_run_on_other_sources(numbers):
    pairs = zip(*((numbers / f"train.{suffix}").read_text().splitlines() for suffix in ("en", "de")), strict=True)
    rows = [json.dumps({"translation": {"en": source, "de": target}}) for source, target in pairs]
    (numbers / "train.jsonl").write_text("\n".join(rows) + "\n", encoding="utf8")
    source = "data.source={type: tables, train: train.jsonl, validation: train.jsonl, test: train.jsonl}"
    columns = "data.columns={tokens: translation.en, target: translation.de}"
    run = seqapps.run("numbers.yaml", settings=[source, columns, "training.epochs=1", "data.limit=40"])
    assert evaluate(run.path, file=["test.en", "test.de"])["metrics"]["bleu"]["count"] == 40


def test_wrong_data_and_fields_are_told_before_training(numbers):
    with pytest.raises(RecipeError, match=r"'hiden_size' of decoder 'recurrent'; did you mean 'hidden_size'"):
        seqapps.run("numbers.yaml", output="a", settings=["model.head.decoder.hiden_size=3"])
    with pytest.raises(RecipeError, match=r"length_alpha.*length_penalty is none"):
        seqapps.run("numbers.yaml", output="a", settings=["model.head.search.length_alpha=1"])
    (numbers / "train.de").write_text("eins\n", encoding="utf8")
    with pytest.raises(DataError, match=r"400.*1 "):
        seqapps.run("numbers.yaml", output="b")


def test_another_run_starts_with_the_teachers_words(numbers):
    sampling = "model.head.decoder.scheduled_sampling={schedule: exponential, steps: 20}"
    finished = seqapps.load(seqapps.run("numbers.yaml", settings=[sampling, "training.max_steps=3"]).path)
    resources = finished.resources
    fresh = build_model(finished.recipe.model, resources.vocabularies, "auto", {}, resources.tokenizers)
    start_from(fresh, resources, finished.folder, ["head"])
    assert int(finished.model.head.decoder.batches) == 3
    assert int(fresh.head.decoder.batches) == 0
    assert torch.equal(fresh.head.decoder.output.weight, finished.model.head.decoder.output.weight)
