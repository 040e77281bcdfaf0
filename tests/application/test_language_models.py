"""Language models from recipe to score and generate."""

import io
import json
import math
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import seqapps
from seqapps.application.writing import score_pairs, scores, search_options
from seqapps.engine.generating import NextToken, generate
from seqapps.errors import DataError, UseError

NOUNS, VERBS = {"sg": ["cat", "dog", "bird"], "pl": ["cats", "dogs", "birds"]}, {"sg": "sees", "pl": "see"}


def write(path, count, seed):
    draw = random.Random(seed)
    lines = []
    for _ in range(count):
        number = draw.choice(["sg", "pl"])
        words = ["the", draw.choice(NOUNS[number])]
        if draw.random() < 0.4:
            words += ["near", "the", draw.choice(NOUNS[draw.choice(["sg", "pl"])])]
        lines.append(" ".join([*words, VERBS[number], "the", draw.choice(NOUNS[draw.choice(["sg", "pl"])])]))
    path.write_text("\n".join(lines) + "\n", encoding="utf8")


RECIPE = """
data:
  source: {type: text, train: train.txt, validation: dev.txt, test: test.txt}
  batching: {tokens: 200}
model:
  embedder: {type: tokens, size: 12, row_dropout: 0.05}
  encoder: {type: recurrent, cell: lstm, hidden_size: 16, dropout: 0.1}
  head: {type: language_model, projection: 12, tied: true, activation_penalty: 0.1, difference_penalty: 0.1}
training: {optimizer: {type: adam, lr: 1e-2}, clip_norm: 5, epochs: 3, seed: 1, threads: 1, device: cpu}
evaluation: {samples: 50}
"""
STREAM = [
    "data.batching={streams: 4, window: 6, random_windows: true}",
    "model.head.regime=stream",
    "training.optimizer={type: ntasgd, lr: 0.5, patience: 1}",
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, count, seed in (("train", 300, 1), ("dev", 40, 2), ("test", 40, 3)):
        write(tmp_path / f"{name}.txt", count, seed)
    (tmp_path / "tiny.yaml").write_text(RECIPE, encoding="utf8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A sentence model and a stream model of the same text."""
    path = tmp_path_factory.mktemp("language_models")
    for name, count, seed in (("train", 300, 1), ("dev", 40, 2), ("test", 40, 3)):
        write(path / f"{name}.txt", count, seed)
    (path / "tiny.yaml").write_text(RECIPE, encoding="utf8")
    for name, settings in (("sentence", []), ("stream", STREAM)):
        seqapps.run(path / "tiny.yaml", output=path / name, settings=settings)
    return {name: seqapps.load(path / name) for name in ("sentence", "stream")}


@pytest.mark.parametrize("regime", ["sentence", "stream"])
def test_a_language_model_is_trained_and_reported_beside_n_grams(trained, regime):
    page = trained[regime].folder.read_json("report.json")
    assert page["headline"] == "perplexity"
    assert page["metrics"]["perplexity"]["value"] < 8
    assert page["tables"]["predicted"]["regime"] == regime
    assert page["baselines"].keys() == {"unigram", "kneser_ney_3", "kneser_ney_5"}
    assert page["differences"]["unigram"]["value"] < 0
    first = json.loads((trained[regime].folder / "predictions.jsonl").read_text(encoding="utf8").splitlines()[0])
    assert first["log_prob"] == pytest.approx(sum(first["log_probs"]), abs=1e-3)


def test_every_sentence_of_a_file_has_one_natural_log_probability_in_order(trained):
    model = trained["sentence"]
    lines = b"the cat sees the dog\n\nthe cats see\nzebras\n"
    found = [one.line() for one in scores(model, io.BytesIO(lines), "text", "f")]
    assert len(found) == 4
    assert all(float(line) < 0 for line in found)
    (alone,) = scores(model, io.BytesIO(b"the cats see\n"), "text", "f")
    assert float(found[2]) == pytest.approx(alone.log_prob, abs=1e-5)
    assert len(alone.log_probs) == 4  # the end mark is one
    written = json.loads(model.write(alone, "jsonl"))
    assert written["log_prob"] == pytest.approx(sum(written["log_probs"]), abs=1e-4)


def test_the_report_of_a_sentence_model_is_made_of_what_score_says(trained):
    model = trained["sentence"]
    test = (model.folder.path.parent / "test.txt").read_bytes()
    found = list(scores(model, io.BytesIO(test), "text", "test.txt"))
    nll = -sum(one.log_prob for one in found) / sum(len(one.log_probs) for one in found)
    reported = model.folder.read_json("report.json")["metrics"]["perplexity"]["value"]
    assert math.exp(nll) == pytest.approx(reported, rel=1e-5)


@pytest.mark.parametrize("regime", ["sentence", "stream"])
def test_step_by_step_a_sentence_has_the_probability_that_it_has_at_once(trained, regime):
    model = trained[regime]
    (scored,) = scores(model, io.BytesIO(b"the dog near the cats sees the birds\n"), "text", "f")
    generator = NextToken(model)
    numbers = [generator.head.vocabulary[token] for token in [*scored.tokens, "<eos>"]]
    state, read, found = None, generator.first, []
    with torch.inference_mode():
        for number in numbers:
            step = generator.step(torch.tensor([read]), state, None)
            found.append(step.log_probs[0, number].item())
            state, read = step.state, number
    assert np.allclose(found, scored.log_probs, atol=1e-5)


@pytest.mark.parametrize("encoder", ["{type: window, before: 2, after: 0}", "{type: convolutional, causal: true}"])
def test_encoders_without_recurrence_write_as_they_score(folder, encoder):
    characters = "model.embedder.characters={type: character_cnn}"
    settings = [f"model.encoder={encoder}", characters, "training.epochs=1", "evaluation.baselines=false"]
    seqapps.run("tiny.yaml", output="other", settings=[*settings, "model.head={type: language_model}"])
    model = seqapps.load("other")
    options = search_options(2, 2, 12, {})
    ((best, second),) = generate(model, ["the dog"], options)
    assert best.log_prob >= second.log_prob
    assert best.tokens[:2] == ["the", "dog"]
    assert "<unk>" not in best.tokens
    (scored,) = scores(model, io.BytesIO(best.text.encode() + b"\n"), "text", "f")
    assert best.ended
    assert scored.log_prob == pytest.approx(best.log_prob, abs=1e-4)


def test_the_same_seed_writes_the_same_text_and_each_prompt_its_own(trained):
    model = trained["sentence"]
    options = search_options(None, 3, 10, {"temperature": 1.0})

    def texts(prompts, seed):
        return [[one.text for one in found] for found in generate(model, prompts, options, seed=seed)]

    first = texts(["the", "the cats"], 5)
    assert first == texts(["the", "the cats"], 5) != texts(["the", "the cats"], 6)
    assert texts(["the"], 5)[0] == first[0]
    assert all(text.startswith("the cats") for text in first[1])


def test_pairs_of_sentences_are_compared_in_groups(trained):
    model = trained["sentence"]
    pairs = (
        b"the cat sees the dog\tthe cat see the dog\tnear\nthe cats near the dog see\tthe cats near the dog sees\tfar\n"
    )
    page = score_pairs(model, io.BytesIO(pairs), "pairs.tsv")
    assert page["metrics"]["agreement_accuracy"]["count"] == 2
    assert [row["group"] for row in page["tables"]["pairs"]["rows"]] == ["far", "near"]
    with pytest.raises(DataError, match=r"pairs.tsv:1: 1 fields, expected GOOD TAB BAD"):
        score_pairs(model, io.BytesIO(b"the cat sees\n"), "pairs.tsv")
    with pytest.raises(DataError, match=r"pairs.tsv: no pairs"):
        score_pairs(model, io.BytesIO(b""), "pairs.tsv")


def test_what_cannot_be_written_is_told_in_one_line(trained):
    model = trained["sentence"]
    with pytest.raises(UseError, match=r"^prompt 'the elephant': not in the vocabulary: 'elephant'"):
        list(generate(model, ["the elephant"], search_options(None, 1, 10, {})))
    with pytest.raises(UseError, match=r"^--top-p: top_p is 2, expected more than 0 and at most 1$"):
        search_options(None, 1, 10, {"top_p": 2})
    with pytest.raises(UseError, match=r"^--temperature: 0.5 has no effect on method beam; leave it out$"):
        search_options(3, 1, 10, {"temperature": 0.5})


@pytest.mark.slow
def test_a_killed_stream_goes_on_from_the_state_it_carried(folder):
    command = [sys.executable, "-m", "seqapps", "run", "tiny.yaml", "--set", "training.save_every=0.01"]
    command += ["--set", "training.evaluate_every=25", "--set", "training.epochs=6"]
    command += [part for setting in STREAM for part in ("--set", setting)]
    subprocess.run([*command, "--output", "whole"], check=True, capture_output=True)
    journal = Path("cut/journal.jsonl")
    with subprocess.Popen([*command, "--output", "cut"], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not (journal.exists() and journal.read_text(encoding="utf8").count('"evaluation"') >= 2):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert any(name.startswith("carried.") for name in load_file("cut/state.safetensors"))
    subprocess.run([*command, "--output", "cut", "--resume"], check=True, capture_output=True)
    whole, cut = (load_file(f"{run}/model.safetensors") for run in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_a_line_without_text_can_be_kept_and_is_its_end_mark(folder):
    for name in ("train", "dev", "test"):
        text = Path(f"{name}.txt").read_text(encoding="utf8")
        Path(f"{name}.txt").write_text(text.replace("\n", "\n\n", 5), encoding="utf8")
    settings = [*STREAM, "training.epochs=1", "data.source.empty=keep", "evaluation.baselines=false"]
    page = seqapps.run("tiny.yaml", settings=settings).read_json("report.json")
    assert page["tables"]["predicted"]["end_marks"] == 45
