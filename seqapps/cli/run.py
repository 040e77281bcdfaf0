"""`seqapps run`."""

from __future__ import annotations

from pathlib import Path

import click

from seqapps.cli import options

__all__ = ["run"]


@click.command()
@options.recipe
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of the run; runs/<recipe name> unless given.",
)
@options.settings
@options.data_root
@click.option("--resume", is_flag=True, help="Go on with an interrupted run in that folder.")
@click.option("--overwrite", is_flag=True, help="Replace a run that is in that folder.")
def run(
    recipe: str, output: Path | None, settings: tuple[str, ...], data_root: Path | None, resume: bool, overwrite: bool
) -> None:
    """Train a recipe's model, evaluate it and write a report."""
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other; give one of them")
    from seqapps.application import run as run_recipe
    from seqapps.cli.scores import headline
    from seqapps.cli.shipped import find_recipe

    done = run_recipe(
        find_recipe(recipe),
        output=output,
        settings=settings,
        data_root=data_root,
        resume=resume,
        overwrite=overwrite,
    )
    click.echo(headline(done.read_json("report.json")))
    click.echo(str(done.path / "report.html"))
