"""The table of speeds in docs/results.md, from the results of `python -m benchmarks.speed`.

python -m benchmarks.speed.tables                          # print it
python -m benchmarks.speed.tables --write docs/results.md  # put it between its two marks
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import markdown
from benchmarks.speed.shapes import BF16, COMMON, SEQAPPS, SHAPES, TIGHT

__all__ = ["BEGIN", "END", "placed", "table"]

BEGIN = "<!-- made by: python -m benchmarks.speed.tables --write docs/results.md -->"
END = "<!-- end of the speeds -->"
RESULTS = Path(__file__).parents[1] / "results"
HEAD = ("work", "seqapps", "over the tight loop", "over common practice", "over a peer", "bf16 over fp32")


def _row(result: Mapping[str, Any]) -> tuple[str, ...]:
    found = result["summary"]
    ours = found[SEQAPPS]
    peers = [f"{peer} {_ratio(ours[f'over_{peer}'])}" for peer in result["peers"]]
    speed = f"{ours['per_cpu_second'][1]:,.0f} {result['unit']}/s"
    bf16 = _ratio(found[BF16][f"over_{SEQAPPS}"]) if BF16 in found else ""
    return result["about"], speed, _ratio(ours[f"over_{TIGHT}"]), _ratio(ours[f"over_{COMMON}"]), ", ".join(peers), bf16


def _ratio(quartiles: Sequence[float]) -> str:
    low, middle, high = quartiles
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """All results as a Markdown table."""
    return markdown.table(HEAD, [_row(result) for result in results])


def placed(text: str, made: str) -> str:
    """`text` with `made` between the marks of this table; see `markdown.between`."""
    return markdown.between(text, made, BEGIN, END)


def read_results(folder: Path) -> list[dict[str, Any]]:
    """The results in a folder, in the order of the measurements."""
    files = [folder / f"speed_{name}.json" for name in SHAPES]
    return [json.loads(file.read_text(encoding="utf8")) for file in files if file.exists()]


def main() -> None:
    """Print the table, or put it into a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of the results")
    parser.add_argument("--write", type=Path, help="a file with the two marks")
    arguments = parser.parse_args()
    made = table(read_results(arguments.results))
    if arguments.write is None:
        print(made)
    else:
        arguments.write.write_text(placed(arguments.write.read_text(encoding="utf8"), made), encoding="utf8")


if __name__ == "__main__":
    main()
