"""`seqapps cp`."""

from __future__ import annotations

import os
from pathlib import Path

import click

__all__ = ["cp"]


@click.command()
@click.argument("recipe", required=False)
@click.argument("to", type=click.Path(path_type=Path), required=False)
def cp(recipe: str | None, to: Path | None) -> None:
    """Copy a shipped recipe to start from, or list them.

    RECIPE is the name of a shipped recipe or a file, and none lists the shipped ones; TO is a file or folder, the
    current folder unless given. Files that the recipe extends are copied along. Nothing is overwritten.
    """
    from seqapps.cli.shipped import find_recipe, shipped_recipes

    if recipe is None:
        click.echo("\n".join(shipped_recipes()))
        return
    source = find_recipe(recipe)
    to = to or Path.cwd()
    target = to / source.name if to.is_dir() else to
    for copied in _copy_with_bases(source, target):
        click.echo(str(copied))


def _copy_with_bases(source: Path, target: Path) -> list[Path]:
    from seqapps.errors import UseError
    from seqapps.recipe.layers import bases

    copies = [(source, target)]
    for base in bases(source):
        # What is extended keeps its place relative to the file that extends it.
        copy = target.parent / os.path.relpath(base, source.parent)
        if not copy.is_file() or copy.read_bytes() != base.read_bytes():
            copies.append((base, copy))
    for _, copy in copies:
        if copy.exists():
            raise UseError(f"{copy}: exists already; nothing was copied, name another file or folder")
    for original, copy in copies:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with copy.open("xb") as file:
            file.write(original.read_bytes())
    return [copy for _, copy in copies]
