"""What may stand in a recipe, taken from signatures: fields of sections and components, their types and defaults."""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from seqapps.errors import ComponentError
from seqapps.recipe.dumping import dump_value
from seqapps.recipe.spec import Spec
from seqapps.registry import registry

__all__ = [
    "REQUIRED",
    "FieldDescription",
    "FieldType",
    "FieldTypeError",
    "Shape",
    "conform",
    "describe_fields",
    "fields_of",
    "parse_type",
    "resources_of",
]

REQUIRED = inspect.Parameter.empty

LISTS = (list, tuple, collections.abc.Sequence)
MAPPINGS = (dict, collections.abc.Mapping)
SCALARS = {bool: "true or false", int: "an integer", float: "a number", str: "text"}


class FieldTypeError(ComponentError):
    """An annotation that no recipe can satisfy; the author of the component can mend it."""


class Shape(NamedTuple):
    """A field's type as the reader sees it: `form` says which other attribute is meaningful.

    scalar: target (bool, int, float, str)     literal: options     component: kind     section: target (a dataclass)
    list: members[0] and target (list or tuple)     mapping: members[0]     choice: members, of any form     null: none
    """

    form: str
    target: Any = None
    kind: str = ""
    options: tuple[Any, ...] = ()
    members: tuple[Shape, ...] = ()

    @property
    def expected(self) -> str:
        """What a message says was expected."""
        if self.form == "scalar":
            return SCALARS[self.target]
        if self.form == "literal":
            return " or ".join(map(dump_value, self.options)) if len(self.options) < 3 else f"one of {self.text}"
        if self.form == "component":
            return f"the name of a {registry(self.kind).noun}, or a mapping with 'type'"
        if self.form == "list":
            return f"a list of {self.members[0].text}"
        if self.form == "section":
            return "a mapping"
        if self.form == "mapping":
            return f"a mapping to {self.members[0].text}"
        return " or ".join(member.expected for member in self.members) if self.form == "choice" else "null"

    @property
    def text(self) -> str:
        """As `describe` shows it."""
        if self.form == "scalar":
            return str(self.target.__name__)
        if self.form == "literal":
            return " | ".join(map(dump_value, self.options))
        if self.form == "component":
            return registry(self.kind).noun
        if self.form == "section":
            return str(self.target.__name__)
        if self.form in ("list", "mapping"):
            inner = self.members[0].text
            return f"list[{inner}]" if self.form == "list" else f"dict[str, {inner}]"
        return " | ".join(member.text for member in self.members) if self.form == "choice" else "null"


class FieldType(NamedTuple):
    """A declared field; `default` is REQUIRED if there is none."""

    name: str
    shape: Shape
    default: Any


class FieldDescription(NamedTuple):
    """A field as `seqapps describe` shows it; `default` is YAML text, or `required`."""

    name: str
    type: str
    default: str


def parse_type(annotation: Any) -> Shape:
    """Raises FieldTypeError for an annotation that a recipe cannot hold."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in SCALARS:
        return Shape("scalar", target=annotation)
    if annotation in (None, type(None)):
        return Shape("null")
    if dataclasses.is_dataclass(annotation) and annotation is not Spec:
        return Shape("section", target=annotation)
    if origin is typing.Annotated:
        if arguments[0] is Spec and isinstance(arguments[1], str):
            return Shape("component", kind=registry(arguments[1]).kind)
        return parse_type(arguments[0])
    if origin is typing.Literal:
        return Shape("literal", options=arguments)
    if origin in (typing.Union, types.UnionType):
        return Shape("choice", members=tuple(map(parse_type, arguments)))
    if origin in LISTS and arguments[1:] in ((), (...,)):
        return Shape("list", target=tuple if origin is tuple else list, members=(parse_type(arguments[0]),))
    if origin in MAPPINGS and arguments[0] is str:
        return Shape("mapping", members=(parse_type(arguments[1]),))
    named = getattr(annotation, "__name__", None) if inspect.isclass(annotation) else None
    raise FieldTypeError(
        f"is annotated {named or annotation}, which no recipe can hold; use bool, int, float, str, Literal[...],"
        ' list[...], dict[str, ...], X | None, a frozen dataclass or Annotated[Spec, "cells"]'
    )


def fields_of(owner: type, leave_out: Collection[str] = ()) -> list[FieldType]:
    """The fields of a section (a dataclass) or component, in the order of its signature, except those in `leave_out`.

    Raises FieldTypeError, naming the field, for an annotation that cannot be understood.
    """
    return [
        FieldType(parameter.name, _shape(owner, parameter), _default(owner, parameter))
        for parameter in _signature(owner)
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in leave_out
    ]


def resources_of(owner: type) -> list[str]:
    """What the library supplies to a component: its positional-only parameters."""
    return [parameter.name for parameter in _signature(owner) if parameter.kind is parameter.POSITIONAL_ONLY]


def conform(default: Any, shape: Shape) -> Any:
    """A default as it would be read from a recipe: `scale: float = 1` is 1.0, `files: list[str] = ()` is []."""
    for form in shape.members if shape.form == "choice" else (shape,):
        if form.form == "list" and isinstance(default, (list, tuple)):
            return form.target(conform(item, form.members[0]) for item in default)
        if form == Shape("scalar", target=float) and type(default) is int:
            return float(default)
        if form == Shape("scalar", target=int) and type(default) is int:
            return default
    return default


def describe_fields(component: type) -> list[FieldDescription]:
    """The fields of a component or section, with their types and defaults as text."""
    return [
        FieldDescription(name, shape.text, "required" if default is REQUIRED else dump_value(default))
        for name, shape, default in fields_of(component)
    ]


def _signature(owner: type) -> Sequence[inspect.Parameter]:
    if not inspect.isclass(owner) or owner.__init__ is object.__init__:
        return []
    return list(inspect.signature(owner.__init__).parameters.values())[1:]


def _shape(owner: type, parameter: inspect.Parameter) -> Shape:
    if parameter.annotation is parameter.empty:
        raise FieldTypeError(f"field {parameter.name!r} has no annotation; values are read by their declared type")
    # One parameter at a time: the annotations of resources may be imported under TYPE_CHECKING only.
    alone = types.SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    try:
        return parse_type(typing.get_type_hints(alone, _namespace(owner), include_extras=True)[parameter.name])
    except FieldTypeError as error:
        raise FieldTypeError(f"field {parameter.name!r} {error}") from None
    except Exception as error:
        raise FieldTypeError(f"field {parameter.name!r} is annotated {parameter.annotation}: {error}") from error


def _namespace(owner: type) -> dict[str, Any]:
    """Where the names in the annotations of `owner`'s constructor mean something."""
    if not dataclasses.is_dataclass(owner):
        return getattr(inspect.unwrap(owner.__init__), "__globals__", {})  # type: ignore[misc]
    names: dict[str, Any] = {}
    for parent in reversed(owner.__mro__):  # a dataclass has fields of its parents, perhaps of other modules
        names.update(vars(sys.modules[parent.__module__]))
    return names


def _default(owner: type, parameter: inspect.Parameter) -> Any:
    if dataclasses.is_dataclass(owner):
        declared = {field.name: field for field in dataclasses.fields(owner)}.get(parameter.name)
        if declared is not None and declared.default_factory is not dataclasses.MISSING:
            return declared.default_factory()
    return parameter.default
