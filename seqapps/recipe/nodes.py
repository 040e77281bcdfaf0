"""YAML text as a tree of nodes that know where they stand.

Nothing is interpreted here: a scalar keeps its text, and what it means is decided by the type that is declared for it.
What a recipe has no use for (anchors, merge keys, tags, several documents, a key given twice) is a fault at a position.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Union

import yaml

from seqapps.errors import Fault, RecipeError
from seqapps.recipe.spec import Mark

__all__ = ["Entry", "Faults", "ListNode", "MappingNode", "Node", "Refused", "Scalar", "parse", "read_file"]

DEEPEST = 50  # no recipe nests like that; stops hostile input before Python's own limit does


class Faults:
    """Faults as they are found; `error()` puts them in the order of the files, and within a file in reading order."""

    def __init__(self) -> None:
        self._found: list[tuple[Mark, str]] = []
        self._sources: dict[str, int] = {}
        self.cause: Exception | None = None

    def __bool__(self) -> bool:
        return bool(self._found)

    def open(self, source: str) -> None:
        """A file or setting begins to be read: its faults come after those of what was opened before."""
        self._sources.setdefault(source, len(self._sources))

    def add(self, mark: Mark, message: str, cause: Exception | None = None) -> None:
        self.cause = self.cause or cause
        if (mark, message) not in self._found:
            self._found.append((mark, message))

    def error(self) -> RecipeError:
        def position(found: tuple[Mark, str]) -> tuple[int, int, int]:
            mark = found[0]
            return self._sources.get(mark.source, len(self._sources)), mark.line, mark.column

        return RecipeError([Fault(str(mark), message) for mark, message in sorted(self._found, key=position)])


@dataclass(frozen=True)
class Scalar:
    """A single value; `plain` if it stood there without quotes."""

    text: str
    plain: bool
    mark: Mark

    @property
    def is_null(self) -> bool:
        """Nothing at all, `~` or `null`, without quotes."""
        return self.plain and self.text in ("", "~", "null")


@dataclass(frozen=True)
class ListNode:
    items: list[Node]
    mark: Mark


class Entry(NamedTuple):
    """A key's position and its value."""

    mark: Mark
    value: Node


@dataclass(frozen=True)
class MappingNode:
    entries: dict[str, Entry]
    mark: Mark


@dataclass(frozen=True)
class Refused:
    """Stands where something was that has been reported already."""

    mark: Mark


Node = Union[Scalar, ListNode, MappingNode, Refused]  # noqa: UP007 - the classes refer to it before they exist


def read_file(path: Path, faults: Faults, opened_at: Mark | None = None) -> Node | None:
    """The tree of a file, or None if it cannot be read as YAML at all.

    Args:
        opened_at: where the recipe names this file; a file that cannot be opened is reported there.
    """
    source = str(path)
    faults.open(source)
    where = opened_at or Mark(source)
    named = f"{source}: " if opened_at else ""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        faults.add(where, f"{named}no such file")
    except IsADirectoryError:
        faults.add(where, f"{named}is a folder, expected a recipe file")
    except OSError as error:
        faults.add(where, f"{named}cannot be read: {error.strerror or error}")
    else:
        return _decode_and_parse(data, source, faults)
    return None


def _decode_and_parse(data: bytes, source: str, faults: Faults) -> Node | None:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        mark = Mark(source, before.count("\n") + 1, len(before) - before.rfind("\n"))
        faults.add(mark, f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8")
        return None
    return parse(text, source, faults)


def parse(text: str, source: str, faults: Faults, *, positions: bool = True) -> Node | None:
    """The tree of a YAML text; None if it is not YAML. Without `positions`, every mark is `source` alone."""
    try:
        return _TreeBuilder(text, source, faults, positions).document()
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        mark = Mark(source, at.line + 1, at.column + 1) if at and positions else Mark(source)
        faults.add(mark, _syntax_message(error))
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        mark = Mark(source, before.count("\n") + 1, len(before) - before.rfind("\n")) if positions else Mark(source)
        faults.add(mark, f"character U+{ord(text[error.position]):04X} is not allowed in YAML; remove it")
    return None


def _syntax_message(error: yaml.MarkedYAMLError) -> str:
    problem = re.sub(r"\s+", " ", error.problem or "cannot be read").replace("<stream end>", "end of file")
    context = f" {error.context}" if error.context else ""
    if error.context_mark and error.problem_mark and error.context_mark.line != error.problem_mark.line:
        context += f" that begins in line {error.context_mark.line + 1}"
    hint = "; indent with spaces, not tabs" if "'\\t'" in problem else ""
    return f"not YAML{context}: {problem}{hint}"


class _TreeBuilder:
    """Builds nodes from the parser's events, where anchors, aliases and tags are still to be seen."""

    def __init__(self, text: str, source: str, faults: Faults, positions: bool):
        self.events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.SafeLoader)
        self.source, self.faults, self.positions = source, faults, positions

    def mark(self, event: yaml.Event) -> Mark:
        at = event.start_mark
        assert at is not None
        return Mark(self.source, at.line + 1, at.column + 1) if self.positions else Mark(self.source)

    def document(self) -> Node:
        next(self.events)  # StreamStart
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            return Scalar("", True, self.mark(event))
        root = self.node(next(self.events), 0)
        next(self.events)  # DocumentEnd
        event = next(self.events)
        if isinstance(event, yaml.DocumentStartEvent):
            self.faults.add(self.mark(event), "a second document begins here; a recipe is one document")
        return root

    def node(self, event: yaml.Event, depth: int) -> Node:
        mark = self.mark(event)
        if isinstance(event, yaml.AliasEvent):
            self.faults.add(mark, f"alias '*{getattr(event, 'anchor', '')}' is not read; write the value out")
            return Refused(mark)
        if anchor := getattr(event, "anchor", None):
            self.faults.add(mark, f"anchor '&{anchor}' is not read; write the value out where it is needed")
        node = self.content(event, mark, depth)
        if given := getattr(event, "tag", None):
            tag = given.replace("tag:yaml.org,2002:", "!!")
            self.faults.add(mark, f"tag {tag!r} is not read; types are declared by the component that has the field")
            return Refused(mark)
        return node

    def content(self, event: yaml.Event, mark: Mark, depth: int) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(event.value, event.style is None, mark)
        if depth == DEEPEST:
            raise yaml.MarkedYAMLError(None, None, f"nested more than {DEEPEST} levels deep", event.start_mark)  # type: ignore[arg-type]
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
                items.append(self.node(event, depth + 1))
            return ListNode(items, mark)
        return self.mapping(mark, depth)

    def mapping(self, mark: Mark, depth: int) -> Node:
        entries: dict[str, Entry] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.node(event, depth + 1)
            value = self.node(next(self.events), depth + 1)
            if isinstance(key, Refused):
                continue
            if not isinstance(key, Scalar):
                self.faults.add(key.mark, "a key is a mapping or a list; a key is a word")
            elif key.plain and key.text == "<<":
                self.faults.add(key.mark, "merge key '<<' is not read; write the fields out, or use extends: FILE")
            elif key.text in entries:
                first = entries[key.text].mark
                earlier = f"; first given in line {first.line}, column {first.column}" if first.line else ""
                self.faults.add(key.mark, f"key {key.text!r} is given twice{earlier}; keep one")
            else:
                entries[key.text] = Entry(key.mark, value)
        return MappingNode(entries, mark)
