"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["as_json", "data_root", "echo_json", "others", "recipe", "run", "settings"]

recipe = click.argument("recipe", metavar="RECIPE")
run = click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
others = click.option(
    "--with",
    "others",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Average with the probabilities of another run of the task; may be given several times.",
)
settings = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a value of the recipe, for example model.encoder.cell=gru; may be given several times.",
)
data_root = click.option(
    "--data-root",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Folder in which data files are looked for first, then that of the recipe.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def echo_json(value: object) -> None:
    """Print `value` as JSON on standard output."""
    import json

    click.echo(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))
