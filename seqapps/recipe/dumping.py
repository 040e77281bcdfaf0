"""Recipes as YAML text: complete, every default written, and exact: reading it gives the same recipe."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from seqapps.recipe.recipe import Recipe
from seqapps.recipe.spec import Spec

__all__ = ["dump_recipe", "dump_value"]

# Text that needs no quotes wherever it stands. Words that YAML readers take for something else are quoted all the same.
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
WORDS = {"null", "true", "false", "yes", "no", "on", "off"}
ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
NOT_SHOWN = {"name", "origins"}  # of a Recipe: its file's name, and positions


def dump_recipe(recipe: Recipe) -> str:
    """The complete recipe as YAML; `load_recipe` of it equals `recipe`."""
    sections = {name: value for name, value in _entries(recipe).items() if name not in NOT_SHOWN}
    return "".join(f"{line}\n" for line in _lines(sections, ""))


def dump_value(value: Any) -> str:
    """A value on one line, as it may be written in a recipe or after `--set KEY=`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"{'-' if value < 0 else ''}.inf"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(dump_value, value))}]"
    if isinstance(value, Spec) and not value.fields:
        return _text(value.name)
    return f"{{{', '.join(f'{_text(key)}: {dump_value(inner)}' for key, inner in _entries(value).items())}}}"


def _entries(value: Any) -> dict[str, Any]:
    """What stands in the mapping of a component, section or dictionary."""
    if isinstance(value, Spec):
        return {"type": value.name, **value.fields}
    if isinstance(value, Mapping):
        return dict(value)
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _lines(entries: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in entries.items():
        if isinstance(value, (list, tuple)) and any(_is_block(item) for item in value):
            yield f"{indent}{_text(key)}:"
            for item in value:
                yield f"{indent}- {dump_value(item)}"
        elif _is_block(value):
            yield f"{indent}{_text(key)}:"
            yield from _lines(_entries(value), indent + "  ")
        else:
            yield f"{indent}{_text(key)}: {dump_value(value)}"


def _is_block(value: Any) -> bool:
    if isinstance(value, Spec):
        return bool(value.fields)
    return dataclasses.is_dataclass(value) or (isinstance(value, Mapping) and bool(value))


def _text(text: str) -> str:
    if PLAIN.fullmatch(text) and text.lower() not in WORDS:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)
