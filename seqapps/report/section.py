"""A part of a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["Section"]


class Section(NamedTuple):
    """`content` is what the template `<name>.html` draws; `name` is also the section's anchor."""

    name: str
    title: str
    content: Mapping[str, Any]
