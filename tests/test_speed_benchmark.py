"""The contestants of benchmarks/speed do the same work, and the table says what was measured."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
import torch

ROOT = Path(__file__).parent.parent
TEXTS = {"vocabulary": 200, "texts": 64, "sentences": 8, "hidden": 8}
TINY = {
    "language_model_200": {"hidden": 8, "tokens": 4000, "vocabulary": 100, "window": 7},
    "long_texts": TEXTS,
    "translation": TEXTS,
    "translation_greedy": {**TEXTS, "steps": 30},
    "translation_beam": {**TEXTS, "steps": 30},
}


@pytest.fixture
def speed(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    before = torch.get_float32_matmul_precision()  # the tight loops set it for their process
    yield
    torch.set_float32_matmul_precision(before)


def checks(shape, folder):
    from benchmarks.speed.contestant import make
    from benchmarks.speed.suite import prepare

    prepare(shape, folder, 1)
    return {
        name: [done.check for done in itertools.islice(make(place, folder).steps(), 4)]
        for name, place in shape.contestants.items()
    }


@pytest.mark.parametrize("name", TINY)
def test_seqapps_and_the_plain_programs_are_the_same_model(name, tmp_path, speed):
    from benchmarks.speed.result import apart
    from benchmarks.speed.shapes import SEQAPPS, SHAPES, TIGHT

    shape = SHAPES[name].with_sizes(TINY[name])
    found = checks(shape, tmp_path)
    assert max(apart(shape, found).values()) < 1e-4
    assert len(set(found[TIGHT])) > 1  # every step moves on
    with pytest.raises(click.ClickException, match=r"seqapps: 1\.0e-02 from tight_loop"):
        apart(shape, {**found, SEQAPPS: [found[TIGHT][0] + 0.01, *found[TIGHT][1:]]})


def test_the_plain_programs_import_nothing_of_seqapps():
    modules = ("language_model", "classification", "translation", "search")
    program = f"import {', '.join(f'benchmarks.speed.plain.{name}' for name in modules)}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    imported = done.stdout.split()
    assert "torch" in imported
    assert not [name for name in imported if name.split(".")[0] == "seqapps"]


def test_a_ratio_is_taken_within_a_round(speed):
    from benchmarks.speed.result import summary

    rounds = [(10.0, 20.0), (1.0, 4.0), (2.0, 6.0)]  # ratios 2, 4, 3
    speeds = [{name: {"per_cpu_second": v} for name, v in zip("ab", one, strict=True)} for one in rounds]
    assert summary(speeds)["b"] == {"per_cpu_second": [5.0, 6.0, 13.0], "over_a": [2.5, 3.0, 3.5]}


def test_the_table_names_each_ratio_and_the_peers_that_took_part(speed):
    from benchmarks.speed.tables import table

    ours = {"per_cpu_second": [9.0, 1234.4, 2000.0], "over_tight_loop": [0.9, 1.0, 1.1]}
    ours |= {"over_common_practice": [1.5, 1.6, 1.7], "over_joeynmt": [9.0, 10.0, 11.0]}
    result = {
        "about": "long texts",
        "unit": "tokens",
        "peers": {"joeynmt": {"joeynmt": "2.3.0"}},
        "summary": {"seqapps": ours, "seqapps_bf16": {"over_seqapps": [1.2, 1.3, 1.4]}},
    }
    assert table([result]).splitlines()[2] == (
        "| long texts | 1,234 tokens/s | 1.00 (0.90-1.10) | 1.60 (1.50-1.70) | joeynmt 10.00 (9.00-11.00) |"
        " 1.30 (1.20-1.40) |"
    )


def test_a_table_is_put_only_between_its_two_marks(speed):
    from benchmarks.speed.tables import BEGIN, END, placed

    assert placed(f"a\n{BEGIN}\nold\n{END}\nb\n", "new") == f"a\n{BEGIN}\n\nnew\n\n{END}\nb\n"
    with pytest.raises(ValueError, match="expected one"):
        placed(f"a\n{BEGIN}\n", "new")


@pytest.mark.slow
def test_the_benchmark_measures_every_contestant_in_every_round(tmp_path):
    file = tmp_path / "result.json"
    sizes = [f"--set={name}={value}" for name, value in TINY["long_texts"].items()]
    turns = ["--rounds", "2", "--seconds", "0.1", "--json", str(file)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed", "long_texts", *sizes, *turns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(file.read_text(encoding="utf8"))
    names = {"common_practice", "tight_loop", "seqapps", "seqapps_bf16"}
    assert [set(speeds) for speeds in result["speeds"]] == [names] * 2
    assert result["apart"]["seqapps"] < 1e-4
    assert str(tmp_path) not in json.dumps(result)
