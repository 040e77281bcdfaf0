"""From a run's `report.json` to what people read: a page, a model card, lines in a terminal.

    report   what `report.json` holds, and the check that it does
    wording  how numbers and names are written
    text     the headline, and a table of scores for a terminal
    card     README.md of a run folder
    html     the page, from sections (what is shown, in which order), plots and templates/

The names below are imported when they are used: the terminal's lines need neither jinja2 nor matplotlib.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqapps.report.card import model_card
    from seqapps.report.html import render, write_html
    from seqapps.report.text import format_metrics, headline

__all__ = ["format_metrics", "headline", "model_card", "render", "write_html"]

_HOMES = {"format_metrics": "text", "headline": "text", "model_card": "card", "render": "html", "write_html": "html"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
