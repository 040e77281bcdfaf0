"""Finding the files of an installed data package, without importing it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path
from typing import NamedTuple

from seqapps.errors import DataError

__all__ = ["DataPackage"]


class DataPackage(NamedTuple):
    """A package that ships data: the module whose folder holds it, the distribution and the version that is meant."""

    module: str
    distribution: str
    version: str

    def file(self, source: str, *parts: str) -> Path:
        """A file or folder inside the module's, which is not imported: that may take seconds or need further packages.

        Raises DataError naming the pip command if the distribution is not installed, is installed in another version
        (other data would be scored under the same name), or lacks the file.
        """
        remedy = f"pip install 'seqapps-corpora[{source}]'"
        try:
            installed = importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            installed = ""
        spec = importlib.util.find_spec(self.module) if installed else None
        if spec is None or not spec.submodule_search_locations:
            raise DataError(f"source {source!r}: its data package {self.distribution!r} is not installed; {remedy}")
        if installed != self.version:
            raise DataError(
                f"source {source!r}: reads {self.distribution} {self.version}, and {installed} is installed; {remedy}"
            )
        path = Path(next(iter(spec.submodule_search_locations)), *parts)
        if not path.exists():
            raise DataError(
                f"{path}: {self.distribution} {self.version} is installed without it; reinstall it: {remedy}"
            )
        return path
