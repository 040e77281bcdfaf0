"""From a recipe file to a checked, complete `Recipe`, or to all of its faults at once.

Each value is read as the type that its field declares: fields of sections by their dataclass, fields of components by
the keyword-only parameters of their constructor. Only components that the recipe names, or that stand as defaults for
what it leaves out, are imported; no data is opened.

A section or component may have a classmethod `check_fields(fields) -> list[(field, message)]`, for what a type cannot
say (ranges, fields that exclude each other); its faults are placed where the field was given. A component of the model
may have `check_recipe(fields, recipe) -> list[(place with dots, message)]`, for what other sections must hold for it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seqapps.errors import ComponentError, close_match
from seqapps.recipe.layers import read_layers
from seqapps.recipe.nodes import Entry, Faults, ListNode, MappingNode, Node, Refused, Scalar
from seqapps.recipe.recipe import Recipe
from seqapps.recipe.scalars import UnreadableError, read_literal, read_scalar, received
from seqapps.recipe.schema import REQUIRED, FieldType, FieldTypeError, Shape, conform, fields_of, resources_of
from seqapps.recipe.spec import Mark, Spec
from seqapps.registry import RESOURCES, registry

__all__ = ["load_recipe"]

FAULTY: Any = object()  # stands for a value whose fault has been reported
DEFAULT = Mark("default")


def load_recipe(path: str | os.PathLike[str], settings: Sequence[str] = ()) -> Recipe:
    """Read, complete and check a recipe.

    Args:
        settings: `a.b.c=value` each, applied in order on top of the file, as `--set` does.
    Raises:
        RecipeError: every fault of the file, of the files that it extends and of the settings.
    """
    path = Path(path)
    faults = Faults()
    root = read_layers(path, settings, faults)
    origins: dict[str, Mark] = {}
    sections: Any = FAULTY
    if root is not None:
        sections = _Reader(faults, origins).sections(root, path)
    if faults:
        raise faults.error() from faults.cause
    recipe = Recipe(**sections, name=path.stem, origins=origins)
    _check_together(recipe, faults)
    if faults:
        raise faults.error()
    return recipe


def _check_together(recipe: Recipe, faults: Faults) -> None:
    """Place the faults that components find in other sections."""
    for spec in recipe.model.specs():
        check = getattr(spec.target, "check_recipe", lambda fields, recipe: ())
        for where, message in check(spec.fields, recipe):
            mark = recipe.origins.get(where, DEFAULT)
            faults.add(mark if mark != DEFAULT else spec.mark, f"{where}: {message}")


class _Owner(NamedTuple):
    """Whose fields are read: `what` names it in messages, `path` is its place in the recipe with dots."""

    what: str
    path: str
    mark: Mark

    def join(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


class _NotSoundError(Exception):
    """A check asked for a field that has a fault and no default."""


class _SoundFields(dict[str, Any]):
    def __missing__(self, name: str) -> Any:
        raise _NotSoundError(name)


class _Reader:
    """Reads nodes by shape. What does not fit goes to `faults` and becomes FAULTY; `origins` gets each value's mark."""

    def __init__(self, faults: Faults, origins: dict[str, Mark]):
        self.faults, self.origins = faults, origins

    def sections(self, root: Node, path: Path) -> Any:
        declared = fields_of(Recipe, leave_out=("name", "origins"))
        names = [field.name for field in declared]
        start = Mark(str(path), 1, 1)
        if isinstance(root, Refused):
            return FAULTY
        if not isinstance(root, MappingNode) or not root.entries:
            empty = isinstance(root, MappingNode) or (isinstance(root, Scalar) and root.is_null)
            found = "the recipe is empty" if empty else f"the recipe is {received(root)}"
            self.faults.add(start, f"{found}; expected a mapping with the sections {', '.join(names)}")
            return FAULTY
        owner = _Owner("the recipe", "", start)
        return self.fields(declared, root.entries, owner, Recipe, noun="section")

    # -- mappings of fields: sections and components

    def fields(
        self,
        declared: Sequence[FieldType],
        entries: Mapping[str, Entry],
        owner: _Owner,
        target: type,
        noun: str = "field",
    ) -> Any:
        """The values of all declared fields, complete; FAULTY if one has a fault."""
        known = [field.name for field in declared]
        meant = self.report_unknown(entries, known, owner, target, noun)
        values: dict[str, Any] = {}
        for name, shape, default in declared:
            where = owner.join(name)
            if name in entries:
                values[name] = self.value(shape, entries[name].value, where, f"{name!r} of {owner.what}", default)
            elif default is not REQUIRED:
                self.origins[where] = DEFAULT
                values[name] = self.complete(conform(default, shape), where, owner.mark)
            else:
                values[name] = FAULTY
                if name not in meant:
                    self.faults.add(owner.mark, f"{owner.what} has no {name!r}, which is required")
        self.check(declared, values, entries, owner, target)
        return FAULTY if any(value is FAULTY for value in values.values()) else values

    def report_unknown(
        self, entries: Mapping[str, Entry], known: Sequence[str], owner: _Owner, target: type, noun: str
    ) -> set[str]:
        """Report what is not a field; returns the fields that were probably meant."""
        meant: set[str] = set()
        supplied = resources_of(target)
        for name, entry in entries.items():
            if name in known:
                continue
            hint = close_match(name, known)
            near = hint.startswith("; did you mean")
            if name in supplied or (name in RESOURCES and not near):
                message = f"{name!r} of {owner.what} is supplied by the library, not set in a recipe; remove it"
            else:
                message = f"unknown {noun} {name!r} of {owner.what}{hint}"
                meant.update(field for field in known if near and repr(field) in hint)
            self.faults.add(entry.mark, message)
        return meant

    def check(
        self,
        declared: Sequence[FieldType],
        values: Mapping[str, Any],
        entries: Mapping[str, Entry],
        owner: _Owner,
        target: type,
    ) -> None:
        """Place the faults that `target.check_fields` finds.

        A field that has a fault already stands there as its default; a check that asks for one without default ends.
        """
        faulty = {name for name, value in values.items() if value is FAULTY}
        fields = _SoundFields({name: value for name, value in values.items() if name not in faulty})
        fields.update({name: default for name, _, default in declared if name in faulty and default is not REQUIRED})
        found: Iterable[tuple[str, str]] = ()
        with contextlib.suppress(_NotSoundError):
            found = getattr(target, "check_fields", lambda fields: ())(fields)
        for name, message in found:
            if name not in faulty:
                mark = entries[name].value.mark if name in entries else owner.mark
                self.faults.add(mark, f"{name!r} of {owner.what}: {message}")

    # -- values by shape

    def value(
        self, shape: Shape, node: Node, where: str, what: str, default: Any = REQUIRED, expected: str = ""
    ) -> Any:
        """The value of a node.

        Args:
            where: place in the recipe with dots.
            what: how messages name the field.
            default: of the field; a component without `type` is the default one.
            expected: what messages say was expected, if not only this shape.
        """
        self.origins[where] = node.mark
        if isinstance(node, Refused):
            return FAULTY
        if shape.form == "choice":
            return self.choice(shape, node, where, what, default)
        if shape.form == "component":
            return self.component(shape, node, where, what, default)
        if shape.form == "section" and isinstance(node, MappingNode):
            return self.section(shape.target, node, where)
        if shape.form == "mapping" and isinstance(node, MappingNode):
            return self.mapping(shape.members[0], node, where, what)
        if shape.form == "list" and isinstance(node, ListNode):
            return self.items(shape, node, where, what)
        hint = ""
        if isinstance(node, Scalar):
            try:
                if shape.form == "scalar":
                    return read_scalar(node, shape.target)
                if shape.form == "literal":
                    return read_literal(node, shape)
                if shape.form == "null" and node.is_null:
                    return None
            except UnreadableError as error:
                hint = str(error)
            if shape.form == "list":
                hint = f"; write [{node.text}]"
        self.faults.add(node.mark, f"expected {expected or shape.expected} for {what}, got {received(node)}{hint}")
        return FAULTY

    def section(self, target: type, node: MappingNode, where: str) -> Any:
        owner = _Owner(f"section {where!r}", where, node.mark)
        values = self.fields(fields_of(target), node.entries, owner, target)
        return FAULTY if values is FAULTY else target(**values)

    def mapping(self, inner: Shape, node: MappingNode, where: str, what: str) -> Any:
        values = {
            key: self.value(inner, entry.value, f"{where}.{key}", f"{key!r} in {what}")
            for key, entry in node.entries.items()
        }
        return FAULTY if any(value is FAULTY for value in values.values()) else values

    def items(self, shape: Shape, node: ListNode, where: str, what: str) -> Any:
        inner = shape.members[0]
        values = [
            self.value(inner, item, f"{where}.{i}", f"item {i + 1} of {what}") for i, item in enumerate(node.items)
        ]
        return FAULTY if any(value is FAULTY for value in values) else shape.target(values)

    def choice(self, shape: Shape, node: Node, where: str, what: str, default: Any) -> Any:
        """The first alternative that fits; text is tried last, since every scalar is text."""
        members = sorted(
            (member for member in shape.members if member.form != "null"), key=lambda member: member.target is str
        )
        if isinstance(node, Scalar) and node.is_null and len(members) < len(shape.members):
            return None
        fitting = members if len(members) == 1 else [member for member in members if _may_hold(member, node)]
        if len(fitting) == 1:
            return self.value(fitting[0], node, where, what, default, shape.expected)
        for member in fitting:
            trial = _Reader(Faults(), {})
            value = trial.value(member, node, where, what, default)
            if value is not FAULTY:
                self.origins.update(trial.origins)
                return value
        self.faults.add(node.mark, f"expected {shape.expected} for {what}, got {received(node)}")
        return FAULTY

    # -- components

    def component(self, shape: Shape, node: Node, where: str, what: str, default: Any) -> Any:
        """A component given as a bare name, as a mapping with `type`, or as fields of the default component."""
        noun = registry(shape.kind).noun
        entries: Mapping[str, Entry] = {}
        name: Node = node
        preset: Mapping[str, Any] = {}
        if isinstance(node, MappingNode):
            entries = {key: entry for key, entry in node.entries.items() if key != "type"}
            if "type" in node.entries:
                name = node.entries["type"].value
            elif isinstance(default, Spec):
                name, preset = Scalar(default.name, True, node.mark), default.fields
            else:
                known = ", ".join(registry(shape.kind).names())
                self.faults.add(node.mark, f"{what} has no 'type', which names the {noun}; known: {known}")
                return FAULTY
        if isinstance(name, Refused):
            return FAULTY
        if not isinstance(name, Scalar) or not name.text or name.is_null:
            self.faults.add(name.mark, f"expected {shape.expected} for {what}, got {received(name)}")
            return FAULTY
        self.origins[where] = name.mark
        owner = _Owner(f"{noun} {name.text!r}", where, node.mark)
        return self.spec(Spec(shape.kind, name.text, preset, name.mark), entries, owner)

    def spec(self, given: Spec, entries: Mapping[str, Entry], owner: _Owner) -> Any:
        """`given` with all fields: those of `entries`, else its own, else the defaults of its constructor."""
        noun = registry(given.kind).noun
        at = given.mark if given.mark != DEFAULT else owner.mark
        try:
            target = registry(given.kind).load(given.name)
            declared = fields_of(target)
        except FieldTypeError as error:
            component_owner = registry(given.kind).entry(given.name).owner
            self.faults.add(at, f"{noun} {given.name!r} of {component_owner}: {error}", error)
            return FAULTY
        except ComponentError as error:
            self.faults.add(at, str(error), error)
            return FAULTY
        declared = [field._replace(default=given.fields.get(field.name, field.default)) for field in declared]
        values = self.fields(declared, entries, owner, target)
        return FAULTY if values is FAULTY else dataclasses.replace(given, fields=values)

    # -- defaults

    def complete(self, default: Any, where: str, mark: Mark) -> Any:
        """A default with the defaults of its own fields filled in. What cannot be completed is a fault at `mark`."""
        if isinstance(default, Spec):
            noun = registry(default.kind).noun
            return self.spec(default, {}, _Owner(f"{noun} {default.name!r}, the default of {where!r},", where, mark))
        if isinstance(default, (list, tuple)):
            values = [self.complete(item, f"{where}.{i}", mark) for i, item in enumerate(default)]
            return FAULTY if any(value is FAULTY for value in values) else type(default)(values)
        if dataclasses.is_dataclass(default) and not isinstance(default, type):
            changed = {}
            for field in dataclasses.fields(default):
                self.origins[f"{where}.{field.name}"] = DEFAULT
                changed[field.name] = self.complete(getattr(default, field.name), f"{where}.{field.name}", mark)
            return (
                FAULTY
                if any(value is FAULTY for value in changed.values())
                else dataclasses.replace(default, **changed)
            )
        return default


def _may_hold(shape: Shape, node: Node) -> bool:
    """Whether a node of this form can be of this shape at all."""
    if isinstance(node, MappingNode):
        return shape.form in ("mapping", "section", "component", "choice")
    if isinstance(node, ListNode):
        return shape.form in ("list", "choice")
    return shape.form in ("scalar", "literal", "component", "null", "choice")
