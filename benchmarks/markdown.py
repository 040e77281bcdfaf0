"""Tables that stand between two marks in a document."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["between", "table"]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """As Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("|" + "|".join(f" {cell} " if cell else " " for cell in line) + "|" for line in lines)


def between(text: str, made: str, begin: str, end: str) -> str:
    """`text` with `made` between the two marks. ValueError if they are not there, once each and in order."""
    marked = re.compile(f"({re.escape(begin)}\n).*?({re.escape(end)})", re.S)
    if len(marked.findall(text)) != 1:
        raise ValueError(f"expected one {begin} and, after it, one {end}")
    return marked.sub(lambda found: f"{found[1]}\n{made}\n\n{found[2]}", text)
