"""The table of scores in docs/results.md, from the results of `python -m benchmarks.quality`.

python -m benchmarks.quality.tables                          # print it
python -m benchmarks.quality.tables --write docs/results.md  # put it between its two marks
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import markdown

__all__ = ["BEGIN", "END", "line", "placed", "table"]

BEGIN = "<!-- made by: python -m benchmarks.quality.tables --write docs/results.md -->"
END = "<!-- end of what is made -->"
RESULTS = Path(__file__).parents[1] / "results"
HEAD = ("data", "recipe", "score", "mean ± deviation", "each seed", "baselines", "published", "minutes")


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return "undefined"
    return f"{100 * value if unit == 'fraction' else value:.2f}"


def _spread(score: Mapping[str, Any]) -> str:
    mean = _shown(score["mean"], score["unit"])
    return mean if score["deviation"] is None else f"{mean} ± {_shown(score['deviation'], score['unit'])}"


def line(result: Mapping[str, Any]) -> str:
    """A result on one line: `sentiment_sst2: accuracy 84.21 ± 0.30 (seeds 1, 2, 3)`."""
    scores = ", ".join(f"{name} {_spread(score)}" for name, score in result["scores"].items())
    missing = f"; missing: {', '.join(map(str, result['missing']))}" if result["missing"] else ""
    return f"{result['name']}: {scores} (seeds {', '.join(map(str, result['seeds']))}{missing})"


def _rows(result: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """A row for each score; what holds for all of them stands in the first."""
    recipe = Path(result["file"]).stem
    extra = [f"`{setting}`" for setting in result["settings"]]
    minutes = [sum(run["seconds"].values()) / 60 for run in result["runs"]]
    shared = (result["data"], " ".join([f"`{recipe}`", *extra]), result["published"], _range(minutes))
    for name, score in result["scores"].items():
        data, recipe, published, time = shared
        values = ", ".join(_shown(value, score["unit"]) for value in score["values"])
        missing = f" (of {len(result['seeds']) + len(result['missing'])} seeds)" if result["missing"] else ""
        baselines = ", ".join(
            f"{_words(base)} {_shown(value, score['unit'])}" for base, value in score["baselines"].items()
        )
        yield data, recipe, _words(name), _spread(score), values + missing, baselines, published, time
        shared = ("", "", "", "")


def _words(name: str) -> str:
    return name.replace("_", " ").replace("markov", "Markov").replace("ngram", "n-gram")


def _range(minutes: Sequence[float]) -> str:
    low, high = f"{min(minutes):.0f}", f"{max(minutes):.0f}"
    return low if low == high else f"{low} to {high}"


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """All results as a Markdown table, fractions in per cent."""
    return markdown.table(HEAD, [row for result in results for row in _rows(result)])


def placed(text: str, made: str) -> str:
    """`text` with `made` between the marks of this table; see `markdown.between`."""
    return markdown.between(text, made, BEGIN, END)


def read_results(folder: Path, order: Sequence[str]) -> list[dict[str, Any]]:
    """The results in a folder, those in `order` first."""
    found = [json.loads(path.read_text(encoding="utf8")) for path in sorted(folder.glob("quality_*.json"))]
    places = {name: place for place, name in enumerate(order)}
    return sorted(found, key=lambda result: (places.get(result["name"], len(places)), result["name"]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, or put it into a file."""
    from benchmarks.quality.measurements import MEASUREMENTS

    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.tables", description="The table of scores.")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put it between its marks in this file")
    options = parser.parse_args(arguments)
    made = table(read_results(options.results, list(MEASUREMENTS)))
    if options.write is None:
        print(made)
    else:
        options.write.write_text(placed(options.write.read_text(encoding="utf8"), made), encoding="utf8")


if __name__ == "__main__":
    main()
