"""Recipes that come with seqapps, by name."""

from __future__ import annotations

from pathlib import Path

from seqapps.errors import UseError, close_match

__all__ = ["find_recipe", "shipped_recipes"]


def shipped_recipes() -> dict[str, Path]:
    """Name to file: from the installed package, or from the checkout in an editable install."""
    package = Path(__file__).resolve().parent.parent
    folders = [package / "recipes"]
    if (package.parent / "setup.cfg").is_file():
        folders.append(package.parent / "recipes")
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


def find_recipe(name: str) -> Path:
    """The recipe file `name`, or the shipped recipe of that name if there is no such file.

    Raises UseError with what is shipped if there is neither.
    """
    path = Path(name)
    if path.exists():
        return path
    shipped = shipped_recipes()
    if name in shipped:
        return shipped[name]
    if len(path.parts) > 1:
        raise UseError(f"{name}: no such file")
    raise UseError(f"{name}: no such file, and no recipe of that name is shipped{close_match(path.stem, shipped)}")
