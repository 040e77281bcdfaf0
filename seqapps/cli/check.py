"""`seqapps check`."""

from __future__ import annotations

from pathlib import Path

import click

from seqapps.cli import options

__all__ = ["check"]


@click.command()
@options.recipe
@options.settings
@options.data_root
@options.as_json
def check(recipe: str, settings: tuple[str, ...], data_root: Path | None, as_json: bool) -> None:
    """Check a recipe without running it.

    Prints every fault with its position. Data that is not there is a warning.
    """
    from seqapps.cli.shipped import find_recipe
    from seqapps.errors import RecipeError
    from seqapps.recipe import load_recipe

    path = find_recipe(recipe)
    try:
        checked = load_recipe(path, settings)
    except RecipeError as error:
        if not as_json:
            raise
        options.echo_json({"faults": [fault._asdict() for fault in error.faults], "warnings": []})
        raise click.exceptions.Exit(error.exit_code) from error
    from seqapps.application import missing_data

    missing = missing_data(checked, path.parent, data_root)
    if as_json:
        options.echo_json({"faults": [], "warnings": missing})
        return
    for line in missing:
        click.echo(f"warning: {line}", err=True)
    click.echo(f"{path}: no faults")
