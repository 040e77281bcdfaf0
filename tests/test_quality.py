"""Scores over seeds: what is done is kept, what was interrupted goes on, and the table says what the files say."""

import json
import os
import re
import signal
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import seqapps
from seqapps.cli.main import main as seqapps_command

ROOT = Path(__file__).parent.parent

TINY = """\
data:
  source: {type: copy, distance: 1, train: 40, validation: 10, test: 20}
  batching: {sentences: 8}
model:
  embedder: {type: tokens, size: 4}
  encoder: {type: recurrent, cell: lstm, hidden_size: 4}
  head: {type: tagging, column: labels}
training: {epochs: 2, threads: 1}
evaluation: {samples: 20}
"""


@pytest.fixture
def quality(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.quality import __main__ as quality

    return quality


@pytest.fixture
def measure(quality, tmp_path, monkeypatch):
    """`python -m benchmarks.quality` over one tiny measurement, its runs made by this process; the exit code."""
    from benchmarks.quality import running
    from benchmarks.quality.measurements import Measurement

    def in_process(command):
        assert command[:3] == [sys.executable, "-m", "seqapps"]
        return CliRunner().invoke(seqapps_command, command[3:]).exit_code

    monkeypatch.setattr(running, "_call", in_process)

    (tmp_path / "tiny.yaml").write_text(TINY)
    table = {"tiny": Measurement("made-up data", "tiny.yaml", ("training.optimizer.lr=1e-2",), "chance 12.5")}

    def call(*arguments):
        folders = ["--work", tmp_path / "work", "--output", tmp_path / "results", "--recipes", tmp_path]
        return quality.main([*arguments, *map(str, folders)], table)

    return call


@pytest.fixture
def result(tmp_path):
    return lambda: json.loads((tmp_path / "results" / "quality_tiny.json").read_text(encoding="utf8"))


def test_each_seed_is_run_once_and_goes_into_mean_and_deviation(measure, result, tmp_path):
    assert measure("tiny", "--seeds", "1") == 0
    first = result()
    assert (first["seeds"], first["missing"]) == ([1], [2, 3])
    assert first["scores"]["f1"]["deviation"] is None
    state = tmp_path / "work" / "tiny-1" / "model.safetensors"
    before = state.stat().st_mtime_ns
    assert measure("--seeds", "1", "2") == 0
    found = result()
    assert state.stat().st_mtime_ns == before
    assert found["runs"][0] == first["runs"][0]
    values = [
        json.loads((tmp_path / "work" / f"tiny-{seed}" / "report.json").read_text())["metrics"]["f1"]["value"]
        for seed in (1, 2)
    ]
    assert found["scores"]["f1"]["values"] == values
    assert found["scores"]["f1"]["mean"] == statistics.mean(values)
    assert found["scores"]["f1"]["deviation"] == statistics.stdev(values)
    assert [run["seed"] for run in found["runs"]] == found["seeds"] == [1, 2]
    assert str(tmp_path) not in json.dumps(found)


@pytest.mark.slow
def test_the_command_of_a_run_makes_the_same_model(measure, result, tmp_path):
    assert measure("--seeds", "3") == 0
    command = result()["runs"][0]["command"].split()
    assert command[:3] == ["seqapps", "run", "recipes/tiny.yaml"]
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "tiny.yaml").write_text(TINY)
    subprocess.run([sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, check=True)
    models = [tmp_path / folder / "tiny-3" / "model.safetensors" for folder in ("work", "runs")]
    assert models[0].read_bytes() == models[1].read_bytes()


def test_what_was_interrupted_goes_on_where_it_was(measure, result, tmp_path):
    settings = ["training.threads=1", "training.optimizer.lr=1e-2", "training.seed=1", "training.max_steps=7"]
    run = seqapps.run(tmp_path / "tiny.yaml", output=tmp_path / "work" / "tiny-1", settings=settings)
    (run / "report.json").unlink()
    environment = run.read_json("environment.json")
    run.write_json("environment.json", {**environment, "notes": ["begun by another process"]})
    assert measure("--seeds", "1") == 0
    assert result()["runs"][0]["notes"] == ["begun by another process"]
    assert result()["runs"][0]["steps"] == 10


def test_a_recipe_that_has_changed_since_is_said_and_measured_anew_on_demand(measure, result, tmp_path, capsys):
    assert measure("--seeds", "1", "2") == 0
    (tmp_path / "tiny.yaml").write_text(TINY.replace("hidden_size: 4", "hidden_size: 5"))
    before = result()
    assert measure("--seeds", "1") == 2
    assert "--again measures anew" in capsys.readouterr().err
    assert result() == before
    assert measure("--seeds", "1", "--again") == 0
    assert result()["seeds"] == [1]
    assert "hidden_size: 5" in result()["recipe"]
    assert result()["runs"][0]["parameters"] > before["runs"][0]["parameters"]


def test_a_result_is_enough_where_the_run_folders_are_gone(measure, result, tmp_path):
    assert measure("--seeds", "1") == 0
    before = result()
    (tmp_path / "work").rename(tmp_path / "elsewhere")
    assert measure("--seeds", "1") == 0
    assert not (tmp_path / "work").exists()
    assert result() == before


def test_a_run_that_fails_leaves_the_others_and_says_so(measure, tmp_path, capsys):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "tiny-1").write_text("in the way")
    assert measure("--seeds", "1", "2") == 1
    assert "not complete: tiny" in capsys.readouterr().err
    assert json.loads((tmp_path / "results" / "quality_tiny.json").read_text())["missing"] == [1, 3]


def test_a_process_of_its_own_says_how_it_ended(quality):
    from benchmarks.quality.running import _call

    assert [_call([sys.executable, "-c", f"raise SystemExit({code})"]) for code in (0, 2)] == [0, 2]


@pytest.mark.slow
def test_a_run_ends_with_the_command_that_made_it(tmp_path):
    program = """
import runpy, sys
from benchmarks.quality import running

child = "import os, time; print(os.getpid(), flush=True); time.sleep(100)"
running.perform = lambda *_, **__: running._call([sys.executable, "-c", child])
runpy.run_module("benchmarks.quality", run_name="__main__", alter_sys=True)
"""
    arguments = [sys.executable, "-c", program, "pos_bilstm", "--output", str(tmp_path)]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, encoding="utf8") as command:
        assert command.stdout.readline() == "pos_bilstm, seed 1\n"
        child = int(command.stdout.readline())
        command.terminate()
        assert command.wait(timeout=60) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_an_unknown_measurement_is_refused(measure, tmp_path, capsys):
    assert measure("tinny") == 2
    assert "unknown measurement 'tinny'; did you mean 'tiny'?" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def _result(**changed):
    score = {"unit": "fraction", "mean": 0.93, "deviation": 0.02, "values": [0.91, 0.93, 0.95]}
    return {
        "name": "tiny",
        "data": "made-up data",
        "file": "recipes/tiny.yaml",
        "settings": ["model.encoder.cell=gru"],
        "published": "LSTM 90.1",
        "seeds": [1, 2, 3],
        "missing": [],
        "scores": {"macro_f1": {**score, "baselines": {"majority_class": 0.5}}},
        "runs": [{"seconds": {"training": 60.0 * n, "validation": 30.0}} for n in (1, 2, 3)],
        **changed,
    }


def test_a_row_of_the_table_in_full(quality):
    from benchmarks.quality.tables import table

    assert table([_result()]).splitlines()[2] == (
        "| made-up data | `tiny` `model.encoder.cell=gru` | macro f1 | 93.00 ± 2.00 | 91.00, 93.00, 95.00 "
        "| majority class 50.00 | LSTM 90.1 | 2 to 4 |"
    )


def test_what_is_no_fraction_is_not_shown_in_per_cent_and_missing_seeds_are(quality):
    from benchmarks.quality.tables import table

    score = {"unit": "perplexity", "mean": 113.2, "deviation": None, "values": [113.2], "baselines": {}}
    row = table([_result(scores={"perplexity": score}, seeds=[1], missing=[2, 3])]).splitlines()[2]
    assert "| perplexity | 113.20 | 113.20 (of 3 seeds) | |" in row


def test_the_table_in_the_results_is_made_from_the_files(quality):
    from benchmarks.quality.tables import RESULTS, placed, read_results, table

    text = (ROOT / "docs" / "results.md").read_text(encoding="utf8")
    assert placed(text, table(read_results(RESULTS, list(quality.MEASUREMENTS)))) == text


def test_results_are_those_of_the_measurements_and_recipes_as_they_are(quality):
    from benchmarks.quality.running import RECIPES, recipe_of, same_recipe

    found = {
        result["name"]: result
        for path in quality.RESULTS.glob("quality_*.json")
        for result in [json.loads(path.read_text(encoding="utf8"))]
    }
    assert found.keys() <= quality.MEASUREMENTS.keys()
    for name, result in found.items():
        assert same_recipe(result["recipe"], recipe_of(quality.MEASUREMENTS[name], RECIPES)), name
        assert all(re.match("seqapps run recipes/", run["command"]) for run in result["runs"])


def test_every_measurement_is_of_a_recipe_without_faults(quality):
    from benchmarks.quality.running import RECIPES, recipe_of

    for measurement in quality.MEASUREMENTS.values():
        assert "threads: 1" in recipe_of(measurement, RECIPES)
