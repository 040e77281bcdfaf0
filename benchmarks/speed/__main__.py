"""python -m benchmarks.speed: see benchmarks/README.md."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import click

from benchmarks.speed.result import apart, conditions, summary, table
from benchmarks.speed.rounds import interpreters, processes, rounds
from benchmarks.speed.shapes import SHAPES


def _pairs(context: click.Context, parameter: click.Parameter, settings: tuple[str, ...]) -> dict[str, str]:
    for setting in settings:
        if "=" not in setting:
            raise click.BadParameter(f"{setting!r}, expected NAME=VALUE")
    return dict(setting.split("=", 1) for setting in settings)


def _sizes(context: click.Context, parameter: click.Parameter, settings: tuple[str, ...]) -> dict[str, int]:
    try:
        return {name: int(value) for name, value in _pairs(context, parameter, settings).items()}
    except ValueError as error:
        raise click.BadParameter(f"{error}; sizes are whole numbers") from None


@click.command()
@click.argument("name", type=click.Choice(list(SHAPES)))
@click.option("--set", "sizes", multiple=True, callback=_sizes, metavar="SIZE=NUMBER", help="Of model and data.")
@click.option(
    "--peer", "peers", multiple=True, callback=_pairs, metavar="NAME=PYTHON", help="Another suite, by its interpreter."
)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--rounds", "number", type=click.IntRange(min=1), default=7, show_default=True)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=4.0,
    show_default=True,
    help="CPU time of a turn.",
)
@click.option("--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="Also write the result here.")
@click.option("--verify", "only_verify", is_flag=True, help="Check that all are the same model, and measure nothing.")
def main(
    name: str,
    sizes: dict[str, int],
    peers: dict[str, str],
    threads: int,
    number: int,
    seconds: float,
    file: Path | None,
    only_verify: bool,
) -> None:
    """Let seqapps and others do the same work by turns; print ratios of speeds."""
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read when torch is loaded
    shape = SHAPES[name]
    if unknown := sizes.keys() - shape.sizes.keys():
        raise click.ClickException(f"{', '.join(sorted(unknown))}: no such size; there are {', '.join(shape.sizes)}")
    shape = shape.with_sizes(sizes)
    who = interpreters(shape, peers)
    about = conditions(name, shape, who, threads)
    with tempfile.TemporaryDirectory() as folder:
        from benchmarks.speed.suite import prepare

        prepare(shape, Path(folder), threads)
        with processes(shape, who, Path(folder), threads) as at_work:
            about["apart"] = apart(shape, at_work.checks)
            far = max(about["apart"].values())
            click.echo(f"{shape.about}: the same model, the first steps within {far:.0e}")
            if only_verify:
                return
            about |= {"rounds": number, "seconds": seconds, "load_average": [os.getloadavg()[0]], "speeds": []}
            for speeds in rounds(at_work, number, seconds):
                about["speeds"].append(speeds)
            about["load_average"].append(os.getloadavg()[0])
    about["summary"] = summary(about["speeds"])
    click.echo(table(about))
    if file is not None:
        file.write_text(json.dumps(about, indent=1) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
