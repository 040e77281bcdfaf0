"""A scalar's text read as the type that is declared for it."""

from __future__ import annotations

import math
import re
from typing import Any

from seqapps.errors import close_match
from seqapps.recipe.nodes import ListNode, MappingNode, Node, Scalar
from seqapps.recipe.schema import Shape

__all__ = ["UnreadableError", "read_literal", "read_scalar", "received"]

INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*(_[0-9]+)*)")
NUMBER = re.compile(r"[-+]?([0-9]+(_[0-9]+)*\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
INFINITE = {".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf}
DIGITS = 300  # more than any float has


class UnreadableError(Exception):
    """The text does not fit the type; carries what to add to the message."""


def received(node: Node) -> str:
    """What a message says was given."""
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, ListNode):
        return "a list"
    assert isinstance(node, Scalar)
    shown = node.text if len(node.text) <= 40 else node.text[:37] + "..."
    if not node.plain:
        return f"the text {shown!r}"
    if not node.text:
        return "nothing"
    return shown if node.is_null or NUMBER.fullmatch(shown) or shown in ("true", "false") else repr(shown)


def read_scalar(scalar: Scalar, target: type) -> Any:
    """The value of a scalar declared as bool, int, float or str. Raises UnreadableError with a hint, perhaps empty."""
    text = scalar.text
    if target is str:
        if scalar.plain and not text:
            raise UnreadableError('; write "" for an empty text')
        return text
    if not scalar.plain:
        raise UnreadableError("; remove the quotes")
    if target is bool:
        return _boolean(text)
    return _integer(text) if target is int else _number(text)


def read_literal(scalar: Scalar, shape: Shape) -> Any:
    """The option that the scalar names. Raises UnreadableError with a suggestion."""
    for option in shape.options:
        if isinstance(option, str):
            if scalar.text == option:
                return option
        elif option is None:
            if scalar.is_null:
                return None
        else:
            try:
                if read_scalar(scalar, type(option)) == option:
                    return option
            except UnreadableError:
                continue
    hint = close_match(scalar.text, [option for option in shape.options if isinstance(option, str)])
    raise UnreadableError(hint if "mean" in hint else "")


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        meant = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
        word = meant.get(text.lower(), text.lower())
        raise UnreadableError(f"; write {word}" if word in ("true", "false") else "")
    return text == "true"


def _integer(text: str) -> int:
    if INTEGER.fullmatch(text) and len(text) <= DIGITS:
        return int(text)
    if NUMBER.fullmatch(text) and math.isfinite(value := float(text)) and value.is_integer() and abs(value) < 2**53:
        raise UnreadableError(f"; write {int(value)}")
    raise UnreadableError("")


def _number(text: str) -> float:
    if text in INFINITE:
        return INFINITE[text]
    if not NUMBER.fullmatch(text) or len(text) > DIGITS:
        raise UnreadableError("")
    if math.isinf(value := float(text)):
        raise UnreadableError("; it is larger than a float can be")
    return value
