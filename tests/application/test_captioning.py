"""Captioning from beginning to end: images or vectors in, texts out."""

from __future__ import annotations

import json
import random
import re
import tarfile

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import seqapps
from seqapps.application import evaluate
from seqapps.cli.main import main
from seqapps.engine.model import build_model
from seqapps.engine.transfer import start_from
from seqapps.errors import DataError, RunError, UseError

COLOURS = {"red": (255, 0, 0), "green": (0, 160, 0), "blue": (0, 0, 255)}
PLACES = {"left": 0, "right": 8}

RECIPE = """
data:
  source: {type: captions, captions: captions.txt, images: images.tar, train: train.txt, test: test.txt}
  derive: {validation: 0.2}
  batching: {sentences: 16}
  tokenizer: {type: words, punctuation: drop}
model:
  embedder: {type: cnn, size: 16, channels: [8, 16]}
  encoder: {type: feedforward, hidden_sizes: []}
  head:
    type: captioning
    lowercase: true
    decoder: {type: recurrent, cell: gru, hidden_size: 24, embedding_size: 12}
    search: {method: beam, beam: 3, max_length: 8}
training: {optimizer: {type: adam, lr: 1e-2}, clip_norm: 5, epochs: 12, seed: 1, threads: 1, device: cpu}
evaluation: {samples: 50}
"""

VECTORS = """
extends: pictures.yaml
data:
  source:
    type: vector_captions
    captions: captions.txt
    vectors: vectors.npz
    train: train.txt
    test: test.txt
model:
  embedder: {type: vector}
  head: {decoder: {attention: none}}
"""


def prepare(folder):
    """A square of some colour on one side of a white picture, a caption with a full stop and one without."""
    generator, vectors = random.Random(1), {}
    names = {"train": [f"{n}.png" for n in range(80)], "test": [f"test/{n}.png" for n in range(20)]}
    (folder / "images" / "test").mkdir(parents=True)
    captions = []
    for name in [*names["train"], *names["test"]]:
        colour, place = generator.choice(list(COLOURS)), generator.choice(list(PLACES))
        image = Image.new("RGB", (16, 16), "white")
        top, left = generator.randint(2, 8), PLACES[place] + generator.randint(0, 2)
        image.paste(COLOURS[colour], (left, top, left + 6, top + 6))
        image.save(folder / "images" / name)
        vectors[name] = np.array([*np.array(COLOURS[colour]) / 255, PLACES[place] / 8, 1], np.float32)
        captions += [f"{name}#0\tA {colour} square on the {place}.", f"{name}#1\t{colour.title()} {place}"]
    with tarfile.open(folder / "images.tar", "w") as archive:
        archive.add(folder / "images", ".")
    np.savez(folder / "vectors.npz", **vectors)
    (folder / "captions.txt").write_text("\n".join(captions))
    for split, listed in names.items():
        (folder / f"{split}.txt").write_text("\n".join(listed))
    (folder / "pictures.yaml").write_text(RECIPE)
    (folder / "vectors.yaml").write_text(VECTORS)


@pytest.fixture(scope="module")
def trained(train_in_folder):
    """A folder with data and two finished runs, which all tests share."""
    return train_in_folder(prepare, "pictures.yaml", "vectors.yaml")


@pytest.fixture
def captioner(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return seqapps.load("runs/pictures")


@pytest.fixture
def of_vectors(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return seqapps.load("runs/vectors")


def test_a_run_learns_reports_and_lists_its_captions(captioner):
    run = captioner.folder
    page = run.read_json("report.json")
    assert page["task"] == "captioning"
    assert page["headline"] == "cider_d"
    assert page["metrics"]["exact_match"]["value"] > 0.9
    assert page["metrics"]["novel"]["value"] == 0
    assert page["metrics"]["bleu_1"]["interval"] is not None
    frequent = page["baselines"]["most_frequent_caption"]["metrics"]
    assert frequent["exact_match"]["value"] < 0.5
    assert page["tables"]["examples"]["even"][0]["source"] == "test/1.png"
    assert page["differences"]["most_frequent_caption"]["value"] > 0
    assert page["baselines"]["nearest_vector"]["metrics"]["exact_match"]["value"] > frequent["exact_match"]["value"]
    assert page["data"]["splits"]["train"]["sentences"] == 128
    assert page["data"]["splits"]["validation"]["sentences"] == 16
    assert page["data"]["splits"]["test"]["sentences"] == 20
    lines = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    assert lines[0]["image"] == "test/0.png"
    assert len(lines) == 20
    assert all(line["written"] in line["references"] or page["metrics"]["exact_match"]["value"] < 1 for line in lines)
    assert lines[0]["references"] == [text.lower() for text in lines[0]["references"]]
    assert (run / "report.html").stat().st_size > 10_000


def test_a_model_of_vectors_learns_too(of_vectors):
    assert of_vectors.folder.read_json("report.json")["metrics"]["exact_match"]["value"] > 0.9


def test_curves_of_training_are_of_greedy_searches(captioner):
    events = [event for event in captioner.folder.journal() if event["event"] == "evaluation"]
    assert {"cider_d", "bleu_4", "perplexity"} <= events[-1]["metrics"].keys()
    assert set(events[-1]["metrics"]) == set(captioner.model.head.scores)


def test_images_are_captioned_from_file_names_and_from_bytes(captioner, trained):
    names = [f"images/test/{n}.png" for n in range(20)]
    found = captioner.predict(names)
    recorded = [json.loads(line) for line in (captioner.folder / "predictions.jsonl").read_text().splitlines()]
    assert [one.text for one in found] == [line["written"] for line in recorded]
    assert captioner.predict([(trained / names[3]).read_bytes()])[0].text == found[3].text
    assert [one.text for one in captioner.predict([{"image": name} for name in names[:2]])] == [
        one.text for one in found[:2]
    ]


def test_vectors_are_captioned(of_vectors, trained):
    vectors = np.load(trained / "vectors.npz")
    found = of_vectors.predict([vectors["test/0.png"], vectors["test/1.png"].tolist()])
    recorded = [json.loads(line) for line in (of_vectors.folder / "predictions.jsonl").read_text().splitlines()]
    assert [one.text for one in found] == [line["written"] for line in recorded[:2]]


def cli(*arguments, input=None):
    return CliRunner().invoke(main, list(arguments), input=input)


def test_predict_reads_a_file_name_a_line_and_writes_a_caption_a_line(captioner):
    result = cli("predict", "runs/pictures", input="images/test/0.png\nimages/test/1.png\n")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        one.text for one in captioner.predict([f"images/test/{n}.png" for n in (0, 1)])
    ]


def test_predict_takes_an_image_itself(captioner):
    result = cli("predict", "runs/pictures", "images/test/1.png")
    assert result.exit_code == 0, result.output
    text = captioner.predict(["images/test/1.png"])[0].text
    assert result.output == text + "\n"
    result = cli("predict", "runs/pictures", "images/test/1.png", "--format", "jsonl")
    found = json.loads(result.output)
    assert (found["image"], found["caption"]) == ("images/test/1.png", text)


def test_predict_tells_an_image_that_is_none(captioner, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"none")
    result = cli("predict", "runs/pictures", str(tmp_path / "broken.png"))
    assert result.exit_code == 2
    assert re.search(r"broken\.png: its image cannot be decoded \(of no known format\)", result.output)


def test_predict_reads_and_writes_json_lines(of_vectors):
    line = json.dumps({"vector": [1, 0, 0, 1, 1], "number": 7})
    result = cli("predict", "runs/vectors", "--format", "jsonl", input=line + "\n")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found["number"] == 7
    assert found["caption_tokens"] == found["caption"].split()
    assert found["log_prob"] < 0
    assert "tokens" not in found


@pytest.mark.parametrize(
    ("run", "format", "line", "message"),
    [
        ("pictures", "text", "images/gone.png", r"<stdin>:1: images/gone.png cannot be read (No such file"),
        ("pictures", "text", "pictures.yaml", "<stdin>:1: pictures.yaml cannot be decoded"),
        ("pictures", "text", " ", "<stdin>:1: a text of 0 tokens"),
        ("pictures", "jsonl", '{"text": "a"}', "<stdin>:1: no 'image', which the model reads"),
        ("pictures", "jsonl", '{"image": 3}', "<stdin>:1: 'image' is no text; expected the name of a file"),
        ("vectors", "text", "1 2", "the model reads vectors, which are no text; use jsonl"),
        ("vectors", "jsonl", '{"vector": [1, 2]}', "<stdin>:1: 'vector' holds vectors of 2 numbers, the model reads"),
        ("vectors", "jsonl", '{"vector": ["a"]}', "<stdin>:1: column 'vector' holds list<item: string>"),
        ("vectors", "jsonl", '{"vector": [1, 0, 0, 1, NaN]}', "<stdin>:1: column 'vector' holds a number that is not"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_exit_code_2(trained, monkeypatch, run, format, line, message):
    monkeypatch.chdir(trained)
    result = cli("predict", f"runs/{run}", "--format", format, input=line + "\n")
    assert result.exit_code == 2
    assert message in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_a_finished_run_is_evaluated_on_another_list_of_images(captioner, trained):
    (trained / "other.txt").write_text("test/3.png\n5.png\n")
    page = evaluate("runs/pictures", file="other.txt")
    assert page["metrics"]["exact_match"]["count"] == 2


def test_plan_shows_sizes_that_are_not_known_as_symbols(trained, monkeypatch):
    monkeypatch.chdir(trained)
    known = cli("plan", "vectors.yaml")
    assert known.exit_code == 0, known.output
    unknown = cli("plan", "vectors.yaml", "--set", "data.source.vectors=gone.npz", "--set", "model.embedder.size=7")
    assert unknown.exit_code == 0, unknown.output
    assert "|vector|" in unknown.output


def test_a_run_is_resumed_only_while_its_images_stay_the_same(tmp_path, monkeypatch):
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    settings = ["training.max_steps=2", "data.source.images=images", "evaluation.baselines=false"]
    seqapps.run("pictures.yaml", settings=settings)
    Image.new("RGB", (16, 16), "black").save(tmp_path / "images" / "0.png")
    with pytest.raises(RunError, match="the data changed since it was started"):
        seqapps.run("pictures.yaml", settings=[*settings[1:], "training.max_steps=3"], resume=True)


def test_an_image_that_cannot_be_decoded_ends_a_run_before_it_begins(tmp_path, monkeypatch):
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images" / "3.png").write_bytes(b"")
    where = r"split '(train|validation)', row \d+: .*images/3\.png"
    with pytest.raises(DataError, match=where + r" cannot be decoded \(of no known format\)"):
        seqapps.run("pictures.yaml", settings=["data.source.images=images"])
    assert not (tmp_path / "runs").exists()


def test_labels_of_conllu_are_no_format_of_captions(captioner):
    with pytest.raises(UseError, match="has no such format"):
        captioner.read(iter([b"a"]), "conllu")


@pytest.mark.parametrize(("run", "known"), [("pictures", "running_mean"), ("vectors", "mean")])
def test_another_run_starts_with_what_layers_know_of_the_data(trained, run, known):
    finished = seqapps.load(trained / "runs" / run)
    recipe, resources = finished.recipe, finished.resources
    fresh = build_model(recipe.model, resources.vocabularies, "auto", resources.sizes, resources.tokenizers)
    start_from(fresh, resources, finished.folder, ["embedder"])
    theirs = dict(finished.model.embedder.named_buffers())
    assert any(name.endswith(known) and buffer.any() for name, buffer in theirs.items())
    for name, buffer in fresh.embedder.named_buffers():
        assert torch.equal(buffer, theirs[name]), name
