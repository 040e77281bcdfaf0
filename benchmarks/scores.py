"""Scores of several runs, grouped by recipe: mean and spread over seeds, as a table and as JSON.

    python -m benchmarks.scores runs/pos-1 runs/pos-2 runs/pos-3 --json benchmarks/results/scores.json

Runs belong together if their recipes differ in nothing but the seed, how long they may go on, and where data was found.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from pathlib import Path
from typing import Any

# What may differ between runs of one group, as lines of a complete recipe.
_FREE = re.compile(r"^\s*(seed|epochs|max_steps|max_seconds|save_every|threads|device): .*$", re.MULTILINE)


def read(run: Path) -> dict[str, Any]:
    """What is kept of one run."""
    page = json.loads((run / "report.json").read_text(encoding="utf8"))
    environment = json.loads((run / "environment.json").read_text(encoding="utf8"))
    headline = page["headline"]
    return {
        "group": _FREE.sub("", page["recipe"]),
        "source": page["data"]["source"],
        "metric": headline,
        "split": page["split"],
        "seed": environment["seed"],
        "value": page["metrics"][headline]["value"],
        "interval": page["metrics"][headline]["interval"],
        "validation": page["training"]["best"],
        "baselines": {name: found["metrics"][headline]["value"] for name, found in page["baselines"].items()},
        "differences": page["differences"],
        "epochs": page["training"]["curves"][-1]["epoch"],
        "seconds": page["training"]["seconds"],
        "fingerprints": environment["fingerprints"],
        "conditions": {
            name: environment[name]
            for name in ("versions", "processor", "device", "precision", "matmul_precision", "threads", "kernels")
        },
    }


def summarise(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and sample standard deviation over the seeds of one group."""
    values = [run["value"] for run in runs]
    return {
        "name": name,
        "metric": runs[0]["metric"],
        "split": runs[0]["split"],
        "mean": statistics.mean(values),
        "deviation": statistics.stdev(values) if len(values) > 1 else None,
        "runs": [{key: value for key, value in run.items() if key != "group"} for run in runs],
    }


def row(group: dict[str, Any]) -> str:
    """One line of the table, in per cent."""
    values = ", ".join(f"{100 * run['value']:.2f}" for run in group["runs"])
    spread = "" if group["deviation"] is None else f" ± {100 * group['deviation']:.2f}"
    baselines = " | ".join(f"{100 * value:.2f}" for value in group["runs"][0]["baselines"].values())
    return f"| {group['name']} | {group['metric']} | {100 * group['mean']:.2f}{spread} | {values} | {baselines} |"


def main() -> None:
    """Read runs, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    groups: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for path in arguments.runs:
        found = read(path)
        groups.setdefault(found["group"], []).append((re.sub(r"[-_]\d+$", "", path.name), found))
    summaries = [summarise(members[0][0], [found for _, found in members]) for members in groups.values()]
    print("| runs | score | mean ± deviation | each seed | most frequent tag | hidden Markov model |")
    print("|---|---|---|---|---|---|")
    print("\n".join(map(row, summaries)))
    if arguments.json:
        arguments.json.write_text(json.dumps(summaries, indent=1, ensure_ascii=False) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
