"""Whether the installed entry points of seqapps are those of its setup.cfg.

In an editable install code changes at once, entry points only when pip runs again. The difference is looked for where
it matters: when a name is unknown, and in the tests.
"""

from __future__ import annotations

import configparser
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

__all__ = ["EntryPoint", "checkout", "declared_entry_points", "installed_entry_points", "stale_hint"]


class EntryPoint(NamedTuple):
    group: str
    name: str
    target: str


def checkout() -> Path | None:
    """The folder with the setup.cfg that this very package is imported from; None if it was installed by copying."""
    folder = Path(__file__).resolve().parent.parent
    return folder if _configuration(folder).get("metadata", "name", fallback="") == "seqapps" else None


def declared_entry_points(folder: Path) -> set[EntryPoint]:
    """What the setup.cfg in `folder` lists."""
    configuration = _configuration(folder)
    if not configuration.has_section("options.entry_points"):
        return set()
    found = set()
    for group, lines in configuration.items("options.entry_points"):
        for line in filter(None, map(str.strip, lines.splitlines())):
            name, _, target = line.partition("=")
            found.add(EntryPoint(group, name.strip(), target.strip()))
    return found


def installed_entry_points() -> set[EntryPoint]:
    """What the metadata of the installed distribution lists; empty if seqapps is not installed at all."""
    try:
        points = metadata.distribution("seqapps").entry_points
    except metadata.PackageNotFoundError:
        return set()
    return {EntryPoint(point.group, point.name, point.value) for point in points}


def stale_hint() -> str:
    """The end of a message about an unknown name: the command that refreshes a stale editable install, or nothing."""
    folder = checkout()
    if folder is None or declared_entry_points(folder) <= installed_entry_points():
        return ""
    where = "." if folder == Path.cwd() else str(folder)
    return f"; setup.cfg of seqapps is newer than its installed entry points: run pip install -e {where}"


def _configuration(folder: Path) -> configparser.ConfigParser:
    configuration = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    # Names keep their case.
    configuration.optionxform = str  # type: ignore[assignment,method-assign]
    configuration.read(folder / "setup.cfg", encoding="utf-8")
    return configuration
