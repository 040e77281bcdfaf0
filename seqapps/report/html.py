"""A report as one self-contained HTML page: no network, no fonts, no libraries; light, dark and printed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from seqapps.report import wording
from seqapps.report.report import check_report
from seqapps.report.sections import SECTIONS
from seqapps.report.text import headline, verdict

__all__ = ["page_from", "render", "write_html", "write_page"]

_TEMPLATES = Path(__file__).parent / "templates"


def render(report: Mapping[str, Any]) -> str:
    """The page. Equal reports give equal pages.

    Raises RunError if the report does not hold what `seqapps.report.report` says.
    """
    check_report(report)
    return page_from(
        "page.html",
        report=report,
        headline=headline(report),
        verdict=verdict(report),
        sections=[section for section in (make(report) for make in SECTIONS) if section],
    )


def page_from(template: str, **content: Any) -> str:
    """A page from one of the templates, with the house's style and script."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.ChainableUndefined,  # what a report lacks is not shown
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["wording"] = wording
    return environment.get_template(template).render(content, style=_text("style.css"), script=_text("sort.js"))


def write_html(report: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a report's page to `path`."""
    write_page(render(report), path)


def write_page(page: str, path: str | os.PathLike[str]) -> None:
    """Write a page in one step: what was there before stays until all of the new one is written."""
    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_text(page, encoding="utf-8", newline="\n")
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _text(name: str) -> Markup:
    """A file of our own, which is not escaped."""
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))
