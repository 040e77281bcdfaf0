"""The benchmark runs, and its contestants are the same model."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parent.parent
TINY = ["--synthetic", "150", "--set", "embedding=6", "--set", "hidden=8"]


def benchmark(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.tagging_speed", *TINY, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )


@pytest.fixture
def plain(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.tagging_speed import plain

    before = torch.get_float32_matmul_precision()  # the tight loop sets it for its process
    yield plain
    torch.set_float32_matmul_precision(before)


@pytest.fixture
def corpus(plain):
    from benchmarks.tagging_speed.task import Corpus

    random = np.random.default_rng(1)
    offsets = np.append(0, np.cumsum(random.integers(1, 9, size=40)))
    words, labels = random.integers(2, 30, offsets[-1]), random.integers(0, 5, offsets[-1])
    return Corpus(words, labels, offsets, 30, 5)


@pytest.mark.slow
def test_the_benchmark_measures_every_contestant_in_every_round(tmp_path):
    done = benchmark("--rounds", "2", "--seconds", "0.1", "--json", str(tmp_path / "result.json"))
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf8"))
    assert [set(speeds) for speeds in result["speeds"]] == [{"common_practice", "tight_loop", "seqapps"}] * 2
    fast, tight = (
        [speeds[name]["tokens_per_second"] for speeds in result["speeds"]] for name in ("seqapps", "tight_loop")
    )
    ratios = np.array(fast) / tight
    assert result["summary"]["seqapps"]["over_tight_loop"][1] == pytest.approx(np.median(ratios), abs=1e-3)
    assert result["verified"]["apart"] < 1e-4
    assert str(tmp_path) not in json.dumps(result)


def test_seqapps_and_the_plain_programs_are_the_same_model():
    done = benchmark("--verify", "--set", "layers=3")
    assert done.returncode == 0, done.stderr
    assert "the same model" in done.stdout


def test_the_plain_programs_import_nothing_of_seqapps():
    program = "import benchmarks.tagging_speed.plain, benchmarks.tagging_speed.rounds, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    imported = done.stdout.split()
    assert "torch" in imported
    assert not [name for name in imported if name.split(".")[0] == "seqapps"]


@pytest.mark.parametrize("changed", [{"clip_norm": 1e9}, {"lr": 1e-2}])
def test_a_contestant_that_is_trained_otherwise_is_found(plain, corpus, changed):
    from benchmarks.tagging_speed.task import Options
    from benchmarks.tagging_speed.verify import compare, differences

    alike = {"embedding": 6, "hidden": 8, "dropout": 0.0, "sentences": 8, "lr": 2e-3, "clip_norm": 0.1}
    contestants = {
        "first": plain.CommonPractice(corpus, Options(**alike)),
        "same": plain.TightLoop(corpus, Options(**alike)),
        "other": plain.TightLoop(corpus, Options(**{**alike, **changed})),
    }
    wrong = differences(compare(contestants))
    assert [line.split(":")[0] for line in wrong] == ["other"]
