"""Components given as text outside a recipe, on a command line."""

from __future__ import annotations

from typing import Annotated

from seqapps.recipe.dumping import dump_value
from seqapps.recipe.nodes import Faults, parse
from seqapps.recipe.reading import FAULTY, _Reader
from seqapps.recipe.schema import REQUIRED, fields_of, parse_type
from seqapps.recipe.spec import Spec

__all__ = ["describe_spec", "read_components"]


def read_components(kind: str, text: str, source: str) -> list[Spec]:
    """Read components as in a list of a recipe: `lstm, {type: lstm, peephole: diagonal}`, with all their fields.

    Args:
        kind: of the components, plural.
        source: what messages say the text came from.

    Raises:
        RecipeError: every fault of the text.
    """
    faults = Faults()
    node = parse(f"[{text}]", source, faults, positions=False)
    specs: list[Spec] = []
    if node is not None and not faults:
        shape = parse_type(list[Annotated[Spec, kind]])
        read = _Reader(faults, {}).value(shape, node, "", source, REQUIRED)
        specs = specs if read is FAULTY else read
    if faults:
        raise faults.error() from faults.cause
    return specs


def describe_spec(spec: Spec) -> str:
    """A component as text that `read_components` reads: its name, and those fields that are not as by default."""
    defaults = {name: default for name, _, default in fields_of(spec.target)}
    changed = {name: value for name, value in spec.fields.items() if name not in defaults or value != defaults[name]}
    return dump_value(Spec(spec.kind, spec.name, changed))
