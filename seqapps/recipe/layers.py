"""A recipe's layers put on top of one another: the files that it extends, the file itself, and `--set` settings.

Mappings are merged, everything else is replaced; a component whose `type` changes is replaced with all its fields.
Every value keeps the position where it was given.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seqapps.recipe.nodes import Entry, Faults, ListNode, MappingNode, Node, Refused, Scalar, parse, read_file
from seqapps.recipe.spec import Mark

__all__ = ["bases", "merge", "read_layers"]


def read_layers(path: Path, settings: Sequence[str], faults: Faults) -> Node | None:
    """The tree of `path` with what it extends underneath and `settings` on top; None if a layer cannot be read."""
    root = _read_with_bases(path, faults, ())
    for setting in settings:
        root = _apply(root, setting, faults)
    return root


def bases(path: Path) -> list[Path]:
    """The files that `path` extends, nearest first, up to one that cannot be read (reading the recipe reports it)."""
    found: list[Path] = []
    while isinstance(root := read_file(path, Faults()), MappingNode):
        entry = root.entries.get("extends")
        if entry is None or not isinstance(entry.value, Scalar):
            break
        path = path.parent / entry.value.text
        if path in found:
            break
        found.append(path)
    return found


def _read_with_bases(path: Path, faults: Faults, below: tuple[Path, ...], opened_at: Mark | None = None) -> Node | None:
    if path.resolve() in below:
        chain = " -> ".join(file.name for file in (*below, path))
        faults.add(opened_at or Mark(str(path)), f"{path} extends itself: {chain}; remove one 'extends'")
        return None
    root = read_file(path, faults, opened_at)
    if not isinstance(root, MappingNode) or "extends" not in root.entries:
        return root
    value = root.entries["extends"].value
    own = MappingNode({key: entry for key, entry in root.entries.items() if key != "extends"}, root.mark)
    if isinstance(value, Refused):
        return None
    if not isinstance(value, Scalar) or not value.text or value.is_null:
        faults.add(value.mark, "'extends' holds something else than a file name; expected extends: FILE")
        return None
    base = _read_with_bases(path.parent / value.text, faults, (*below, path.resolve()), value.mark)
    if base is None:
        return None
    if not isinstance(base, MappingNode):
        faults.add(value.mark, f"{path.parent / value.text} holds no recipe: expected a mapping of sections")
        return None
    return merge(base, own)


def merge(lower: Node, upper: Node) -> Node:
    """`upper` over `lower`: mappings key by key, unless `type` changes; a bare component name counts as its `type`."""
    if not isinstance(upper, MappingNode):
        return upper
    lower = _as_mapping(lower, upper.mark)
    if _type_of(upper) not in (None, _type_of(lower)):
        return upper
    entries = dict(lower.entries)
    for key, entry in upper.entries.items():
        entries[key] = Entry(entry.mark, merge(entries[key].value, entry.value)) if key in entries else entry
    return MappingNode(entries, upper.mark)


def _as_mapping(node: Node, mark: Mark) -> MappingNode:
    """A bare component name as the mapping that it stands for; of what is neither, nothing is kept."""
    if isinstance(node, MappingNode):
        return node
    if isinstance(node, Scalar) and not node.is_null:
        return MappingNode({"type": Entry(node.mark, node)}, node.mark)
    return MappingNode({}, mark)


def _type_of(node: MappingNode) -> str | None:
    entry = node.entries.get("type")
    return entry.value.text if entry and isinstance(entry.value, Scalar) else None


def _apply(root: Node | None, setting: str, faults: Faults) -> Node | None:
    key, equals, text = setting.partition("=")
    key = key.strip()
    mark = Mark(f"--set {key}")
    faults.open(mark.source)
    names = key.split(".")
    if not equals or not all(names):
        faults.add(mark, "expected KEY=VALUE, with dots between the names of KEY: --set model.encoder.cell=gru")
        return root
    value = parse(text, mark.source, faults, positions=False)
    if value is None or root is None:
        return root
    if isinstance(root, Scalar) and root.is_null:
        root = MappingNode({}, root.mark)
    return _put(root, names, value, mark, faults)


def _put(node: Node, names: list[str], value: Node, mark: Mark, faults: Faults) -> Node:
    """`node` with `value` at `names`, mappings made on the way where there are none."""
    if not names:
        return value
    if isinstance(node, ListNode):
        faults.add(mark, f"{names[0]!r} cannot be set inside a list; set the whole list")
        return node
    inside = _as_mapping(node, mark)
    name = names[0]
    old = inside.entries.get(name, Entry(mark, MappingNode({}, mark)))
    if len(names) == 1 and name == "type" and isinstance(value, Scalar) and value.text != _type_of(inside):
        return MappingNode({"type": Entry(mark, value)}, mark)
    changed = _put(old.value, names[1:], value, mark, faults)
    entry = Entry(mark if len(names) == 1 else old.mark, changed)
    return MappingNode({**inside.entries, name: entry}, inside.mark)
