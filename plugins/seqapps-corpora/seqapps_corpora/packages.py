"""Finding the files of an installed data package, without importing it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from seqapps.errors import DataError

__all__ = ["package_folder"]


def package_folder(package: str, source: str) -> Path:
    """The folder of `package`, which need not be importable. DataError naming the pip command if it is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            f"source {source!r}: its data package {package!r} is not installed; pip install 'seqapps-corpora[{source}]'"
        )
    return Path(next(iter(spec.submodule_search_locations)))
