"""Trees of tensors: what a generator carries from step to step, in whatever nesting suits it."""

from __future__ import annotations

from typing import Any, TypeAlias

from torch import Tensor

from seqapps.errors import ShapeError

__all__ = ["Tree", "check_rows", "select"]

Tree: TypeAlias = Any  # a tensor, None, or a tuple, NamedTuple, list or dict of trees


def select(tree: Tree, rows: Tensor) -> Tree:
    """The tree whose tensors have these rows of the old ones, in this order; rows may occur more than once.

    Raises:
        ShapeError: a leaf is neither a tensor nor None.
    """
    if tree is None:
        return None
    if isinstance(tree, Tensor):
        return tree.index_select(0, rows)
    if isinstance(tree, dict):
        return {key: select(child, rows) for key, child in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(select(child, rows) for child in tree))
    if isinstance(tree, (tuple, list)):
        return type(tree)(select(child, rows) for child in tree)
    raise ShapeError(f"search: a state holds {type(tree).__name__}, expected tensors, None, tuples, lists or dicts")


def check_rows(tree: Tree, rows: int, name: str) -> None:
    """Raise ShapeError unless every tensor of the tree has that many rows."""
    if isinstance(tree, Tensor):
        if tree.dim() == 0 or len(tree) != rows:
            raise ShapeError(f"search: {name} has a tensor of shape {tuple(tree.shape)}, expected {rows} rows")
    elif isinstance(tree, (tuple, list, dict)):
        for child in tree.values() if isinstance(tree, dict) else tree:
            check_rows(child, rows, name)
