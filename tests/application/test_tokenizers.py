"""Tokenizers that are learnt inside a run: kept with it, applied when it evaluates, predicts and writes."""

import random
import shutil

import pytest
from click.testing import CliRunner

import seqapps
from seqapps.application import evaluate
from seqapps.cli.main import main
from seqapps.engine.generating import generate
from seqapps.modules.search import SearchOptions

RECIPE = """
data:
  source: {type: tables, train: train.tsv, test: test.tsv}
  batching: {tokens: 400}
  tokenizer: {type: sentencepiece, model: unigram, vocabulary_size: 45}
model:
  embedder: {type: tokens, size: 12}
  encoder: {type: recurrent, cell: lstm, hidden_size: 12}
  head: {type: classification, pooling: max}
training: {optimizer: {type: adam, lr: 2e-2}, epochs: 4, seed: 1, threads: 1, device: cpu}
evaluation: {samples: 20, baselines: false}
"""
LANGUAGE_MODEL = [
    "data.source={type: text, train: train.txt, test: test.txt}",
    "data.tokenizer.vocabulary_size=40",
    "model.head={type: language_model}",
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Invented words whose ending is their label, so that only parts of words tell it."""
    draw = random.Random(1)
    for name, count in (("train", 300), ("test", 60)):
        rows = []
        for _ in range(count):
            label = draw.choice(["ung", "lich"])
            stem = "".join(draw.choice("bdgklmnprst") + draw.choice("aeioüö") for _ in range(draw.randint(2, 4)))
            rows.append((f"eine {stem}{label} 。", label))
        table = "".join(f"{text}\t{label}\n" for text, label in rows)
        (tmp_path / f"{name}.tsv").write_text("text\tlabel\n" + table, encoding="utf8")
        (tmp_path / f"{name}.txt").write_text("\n\n".join(text for text, _ in rows) + "\n", encoding="utf8")
    (tmp_path / "endings.yaml").write_text(RECIPE, encoding="utf8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_sub_words_are_learnt_in_the_run_and_kept_with_it(folder):
    run = seqapps.run("endings.yaml")
    found = run.read_json("report.json")["metrics"]["accuracy"]["value"]
    assert found > 0.95  # whole words of the test split never occur in training
    assert {c["name"] for c in run.read_json("environment.json")["components"]} >= {"sentencepiece"}
    assert evaluate("runs/endings", split="test")["metrics"]["accuracy"]["value"] == pytest.approx(found)
    shutil.move(folder / "runs" / "endings", folder / "elsewhere")
    for file in ("train.tsv", "train.txt", "endings.yaml"):
        (folder / file).unlink()
    assert evaluate("elsewhere", file="test.tsv")["metrics"]["accuracy"]["value"] == pytest.approx(found)
    model = seqapps.load("elsewhere")
    assert [one.label for one in model.predict(["eine Xüxelich 。", "eine xuxung 。"])] == ["lich", "ung"]


def test_a_language_model_writes_texts_of_sub_words_and_reports_what_its_source_left_out(folder):
    run = seqapps.run("endings.yaml", settings=LANGUAGE_MODEL)
    assert "299 empty lines of train were left out" in run.read_json("environment.json")["notes"]
    model = seqapps.load("runs/endings")
    options = SearchOptions(method="greedy", max_length=12)
    ((written,),) = generate(model, ["eine"], options)
    assert written.text.startswith("eine ")
    assert "▁" not in written.text
    assert "".join(written.tokens).replace("▁", " ").strip() == written.text.strip()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.tokenizer.vocabulary_size=9000", "vocabulary_size is 9000, but the training texts give"),
        ("data.tokenizer.vocabulary_size=5", "vocabulary_size is 5, but the characters of the training texts"),
        ("data.tokenizers={label: words}", "data.tokenizers: the model reads and writes no text column 'label'"),
        (
            "data.tokenizer.vocabulary_size=1",
            "'vocabulary_size' of tokenizer 'sentencepiece': 1 is out of range; expected 2",
        ),
    ],
)
def test_a_tokenizer_that_does_not_fit_is_one_line(folder, setting, message):
    result = CliRunner().invoke(main, ["run", "endings.yaml", "--set", setting])
    assert result.exit_code == 2
    (line,) = result.stderr.strip().splitlines()
    assert message in line
