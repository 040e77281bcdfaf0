"""The table of scores groups seeds of one recipe and keeps different recipes apart."""

import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def write(folder, *, seed, value, cell):
    folder.mkdir()
    page = {
        "headline": "accuracy",
        "split": "test",
        "recipe": f"training:\n  seed: {seed}\nmodel:\n  cell: {cell}\n",
        "data": {"source": "columns"},
        "metrics": {"accuracy": {"value": value, "interval": [value - 0.01, value + 0.01]}},
        "baselines": {"most_frequent_tag": {"metrics": {"accuracy": {"value": 0.5}}}},
        "differences": {},
        "training": {"best": {"value": value}, "curves": [{"epoch": 3.0}], "seconds": 1.0},
    }
    environment = dict.fromkeys(
        ("versions", "processor", "device", "precision", "matmul_precision", "threads", "kernels", "fingerprints")
    )
    (folder / "report.json").write_text(json.dumps(page))
    (folder / "environment.json").write_text(json.dumps({**environment, "seed": seed}))


def test_seeds_of_one_recipe_are_averaged(tmp_path):
    values = [0.91, 0.93, 0.95]
    for seed, value in enumerate(values, 1):
        write(tmp_path / f"tagger-{seed}", seed=seed, value=value, cell="lstm")
    write(tmp_path / "other-1", seed=1, value=0.8, cell="gru")
    runs = [str(path) for path in sorted(tmp_path.iterdir())]
    command = [sys.executable, "-m", "benchmarks.scores", *runs, "--json", str(tmp_path / "scores.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf8", check=True)
    by_name = {group["name"]: group for group in json.loads((tmp_path / "scores.json").read_text())}
    assert by_name["tagger"]["mean"] == statistics.mean(values)
    assert by_name["tagger"]["deviation"] == statistics.stdev(values)
    assert by_name["other"]["deviation"] is None
    assert "| tagger | accuracy | 93.00 ± 2.00 | 91.00, 93.00, 95.00 | 50.00 |" in done.stdout
