"""The contract of cells."""

from __future__ import annotations

from typing import Any

from seqapps.cells import Cell
from seqapps.recipe.schema import fields_of
from seqapps.testing.declarations import DECLARATIONS
from seqapps.testing.regularization import REGULARIZATION
from seqapps.testing.sequences import SEQUENCES, unusual_sizes_work
from seqapps.testing.shapes import SAVING, SHAPES, biases_are_left_out_on_request
from seqapps.testing.subject import Subject, checked_signature, description

__all__ = ["check_cell"]


def check_cell(cell_class: type[Cell], input_size: int = 3, hidden_size: int = 0, /, **fields: Any) -> None:
    """Raises AssertionError, in one sentence, unless a cell keeps the contract; see `seqapps.testing`.

    Args:
        cell_class: a subclass of Cell.
        input_size: E of the cells that are made.
        hidden_size: H of them, where it matters; 0 = 4, and 1 is tried, too.
        fields: of the cell, as in a recipe; the others take their defaults.
    """
    subject = Subject(
        description(cell_class, fields),
        lambda input_size=input_size, hidden_size=hidden_size or 4: cell_class(input_size, hidden_size, **fields),
    )
    subject.require(
        isinstance(cell_class, type) and issubclass(cell_class, Cell),
        "it is no Cell",
        "derive it from Cell, PointwiseCell or LinearCell of seqapps.cells",
    )
    checked_signature(subject, cell_class, fields, ("input_size", "hidden_size"))
    subject.run(SHAPES)
    if "bias" in {field.name for field in fields_of(cell_class)}:
        subject.run([biases_are_left_out_on_request], fields)
    subject.run(SEQUENCES)
    subject.run(SAVING)
    subject.run([unusual_sizes_work], bool(hidden_size))
    subject.run(DECLARATIONS)
    subject.run(REGULARIZATION)
