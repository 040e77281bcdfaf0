"""`seqapps plan`."""

from __future__ import annotations

from pathlib import Path

import click

from seqapps.cli import options

__all__ = ["plan"]


@click.command()
@options.recipe
@options.settings
@options.data_root
@options.as_json
def plan(recipe: str, settings: tuple[str, ...], data_root: Path | None, as_json: bool) -> None:
    """Show the complete recipe, shapes and sizes.

    Sizes that come from the data are symbols where the data is not there.
    """
    from seqapps.application import format_plan
    from seqapps.application import plan as plan_recipe
    from seqapps.cli.shipped import find_recipe

    planned = plan_recipe(find_recipe(recipe), settings=settings, data_root=data_root)
    if as_json:
        options.echo_json(planned)
    else:
        click.echo(format_plan(planned))
