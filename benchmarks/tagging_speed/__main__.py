"""python -m benchmarks.tagging_speed: see benchmarks/README.md."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from pathlib import Path

import click

from benchmarks.tagging_speed.contestants import prepare
from benchmarks.tagging_speed.result import conditions, heading, summary, table
from benchmarks.tagging_speed.rounds import rounds
from benchmarks.tagging_speed.synthetic import write_sentences
from benchmarks.tagging_speed.task import Options
from benchmarks.tagging_speed.verify import verify

SYNTHETIC = "{type: columns, names: [tokens, pos_tags], scheme: none, train: synthetic.txt}"


def _options(context: click.Context, parameter: click.Parameter, settings: tuple[str, ...]) -> Options:
    defaults, given = dataclasses.asdict(Options()), {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in defaults:
            raise click.BadParameter(f"unknown field {name!r}; there are {', '.join(defaults)}")
        try:
            given[name] = type(defaults[name])(value)
        except ValueError:
            raise click.BadParameter(f"{name} is {value!r}, expected a number like {defaults[name]}") from None
    return Options(**given)


@click.command()
@click.option("--source", default="hkcancor", show_default=True, help="Data: data.source of a recipe, as YAML.")
@click.option("--data-root", type=click.Path(path_type=Path), default=Path(), help="Where its files are looked for.")
@click.option("--synthetic", type=click.IntRange(min=1), help="So many made-up sentences instead of a source.")
@click.option(
    "--set", "options", multiple=True, callback=_options, metavar="FIELD=VALUE", help="Of model and training."
)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--rounds", "number", type=click.IntRange(min=1), default=7, show_default=True)
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), default=4.0, show_default=True, help="Of a turn."
)
@click.option("--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="Also write the result here.")
@click.option("--verify", "only_verify", is_flag=True, help="Check that all are the same model, and measure nothing.")
def main(
    source: str,
    data_root: Path,
    synthetic: int | None,
    options: Options,
    threads: int,
    number: int,
    seconds: float,
    file: Path | None,
    only_verify: bool,
) -> None:
    """Train the same BiLSTM tagger by common practice, by a tight loop and by seqapps; print ratios of speeds."""
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read when torch is loaded, here and in the contestants' processes
    with tempfile.TemporaryDirectory() as folder:
        if synthetic is not None:
            source, data_root = SYNTHETIC, Path(folder)
            write_sentences(data_root / "synthetic.txt", synthetic, options.seed)
        setting = prepare(Path(folder, "recipe.yaml"), source, data_root.resolve(), options, threads)
        about = conditions(setting, "synthetic" if synthetic is not None else setting.source_name)
        click.echo(heading(about))
        about["verified"] = verify(setting)
        click.echo("the same model: {parameters} parameters, losses within {apart:.0e}".format(**about["verified"]))
        if only_verify:
            return
        about |= {"rounds": number, "seconds": seconds, "load_average": [os.getloadavg()[0]], "speeds": []}
        for speeds in rounds(setting, number, seconds):
            about["speeds"].append({name: speed._asdict() for name, speed in speeds.items()})
        about["load_average"].append(os.getloadavg()[0])
    about["summary"] = summary(about["speeds"])
    click.echo(table(about))
    if file is not None:
        file.write_text(json.dumps(about, indent=1) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
