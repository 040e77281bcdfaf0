"""python -m benchmarks.quality: see benchmarks/README.md."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.quality.measurements import MEASUREMENTS, SEEDS, Measurement
from benchmarks.quality.results import read_result, read_run, result_file, summarise, write_result
from benchmarks.quality.running import RECIPES, perform, recipe_of, same_recipe, shown_command
from benchmarks.quality.tables import line
from seqapps.errors import UseError, close_match

RESULTS = Path(__file__).parents[1] / "results"


class Quality:
    """Where runs and results are, and what is done to get from one to the other.

    Args:
        work: folder of the run folders, NAME-SEED each.
        output: folder of the results, quality_NAME.json each.
        data_root: where data files are looked for.
        again: measure anew what was measured with another recipe.
        recipes: folder of the recipes.
    """

    def __init__(self, work: Path, output: Path, data_root: Path | None, *, again: bool, recipes: Path = RECIPES):
        self.work, self.output, self.data_root, self.again, self.recipes = work, output, data_root, again, recipes

    def kept(self, name: str, measurement: Measurement) -> list[Mapping[str, Any]]:
        """The runs in the result of a measurement. UseError if they were made with another recipe."""
        result = read_result(result_file(self.output, name))
        if result is None:
            return []
        if same_recipe(result["recipe"], recipe_of(measurement, self.recipes)):
            return result["runs"]
        if self.again:
            return []
        raise UseError(
            f"{result_file(self.output, name)}: measured with another recipe than {measurement.recipe} is now; "
            "--again measures anew"
        )

    def measure(self, name: str, measurement: Measurement, seeds: Sequence[int]) -> bool:
        """Make what runs are missing, and write the result after each; false if one of them did not get to its end."""
        runs = list(self.kept(name, measurement))
        wanted = [seed for seed in dict.fromkeys(seeds) if all(run["seed"] != seed for run in runs)]
        if not wanted:
            self._write(name, measurement, runs)
        failed = False
        for seed in wanted:
            print(f"{name}, seed {seed}", flush=True)
            folder = self.work / f"{name}-{seed}"
            if perform(measurement, self.recipes, seed, folder, self.data_root, again=self.again):
                command = shown_command(name, measurement, seed, data_root=self.data_root is not None)
                runs.append(read_run(folder, command))
                self._write(name, measurement, runs)
            else:
                failed = True
        return not failed

    def _write(self, name: str, measurement: Measurement, runs: Sequence[Mapping[str, Any]]) -> None:
        result = summarise(name, measurement, recipe_of(measurement, self.recipes), runs)
        write_result(result_file(self.output, name), result)
        print(line(result), flush=True)


def main(arguments: Sequence[str] | None = None, measurements: Mapping[str, Measurement] = MEASUREMENTS) -> int:
    """Measure; 0 if everything that was asked for is there, 1 if a run failed, 2 if it was asked for wrongly."""
    options = _parser(measurements).parse_args(arguments)
    quality = Quality(options.work, options.output, options.data_root, again=options.again, recipes=options.recipes)
    wrong = [name for name in options.names if name not in measurements]
    try:
        if wrong:
            raise UseError(f"unknown measurement {wrong[0]!r}{close_match(wrong[0], measurements)}")
        chosen = {name: measurements[name] for name in options.names or measurements}
        for name, measurement in chosen.items():
            quality.kept(name, measurement)  # what cannot be gone on with is said before hours of work
        failed = [name for name, one in chosen.items() if not quality.measure(name, one, options.seeds)]
    except UseError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return 130
    if failed:
        print(f"not complete: {', '.join(failed)}; the same command goes on", file=sys.stderr)
    return 1 if failed else 0


def _parser(measurements: Mapping[str, Measurement]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality",
        description="Scores of recipes over several seeds. What is done is kept, what was interrupted goes on.",
        epilog=f"measurements: {', '.join(measurements)}",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="measurements; all unless given")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS, metavar="N", help="1 2 3 unless given")
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="where benchmark files are looked for")
    parser.add_argument("--work", type=Path, default=Path("runs/quality"), metavar="DIR", help="folder of the runs")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="folder of the results")
    parser.add_argument("--recipes", type=Path, default=RECIPES, metavar="DIR", help="folder of the recipes")
    parser.add_argument("--again", action="store_true", help="measure anew where the recipe has changed since")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.exit(main())
