"""Several runs in the same pictures, as one self-contained page."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from seqapps.report.diagnostics import diagnostics_section
from seqapps.report.html import page_from, write_page

__all__ = ["write_comparison"]


def write_comparison(diagnoses: Sequence[Mapping[str, Any]], path: str | os.PathLike[str]) -> None:
    """Write the page. Each of `diagnoses` is a run's diagnostics.json; their names must differ."""
    section = diagnostics_section(diagnoses)
    names = [run["name"] for run in diagnoses]
    write_page(page_from("comparison.html", names=names, content=section.content, title=section.title), path)
