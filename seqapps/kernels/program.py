"""A pointwise rule as straight-line code: what generated kernels are written from.

A program computes, for one sequence and one hidden unit, numbers from numbers. Its operations are few and plain, so
that each language a kernel is generated in needs one small table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

__all__ = ["ALIKE", "OPERATIONS", "Builder", "Operand", "Program", "Statement"]

Operand: TypeAlias = "str | float"  # the name of a value, or a constant

# What a statement can be, and what it means on tensors.
OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "neg": torch.neg,
    "abs": torch.abs,
    "sign": torch.sign,
    "sqrt": torch.sqrt,
    "exp": torch.exp,
    "log": torch.log,
    "log1p": torch.log1p,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "gt": torch.gt,
    "ge": torch.ge,
    "lt": torch.lt,
    "le": torch.le,
    "eq": torch.eq,
    "ne": torch.ne,
    "and": torch.logical_and,
    "or": torch.logical_or,
    "not": torch.logical_not,
    "where": torch.where,
}
COMPARISONS = frozenset({"gt", "ge", "lt", "le", "eq", "ne", "and", "or", "not"})  # their results are truth values


# What the languages that kernels are generated in write alike.
ALIKE = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "neg": "-{0}",
    "sign": "sign({0})",
    "exp": "exponential({0})",
    "log": "logarithm({0})",
    "log1p": "logarithm1p({0})",
    "sigmoid": "sigmoid({0})",
    "tanh": "tangent({0})",
    "maximum": "larger({0}, {1})",
    "minimum": "smaller({0}, {1})",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "and": "{0} & {1}",
    "or": "{0} | {1}",
}


class Statement(NamedTuple):
    """`result = operation(*operands)`."""

    result: str
    operation: str
    operands: tuple[Operand, ...]


@dataclass(frozen=True)
class Program:
    """Straight-line code.

    Attributes:
        inputs: names of the values that come in.
        statements: in order; every name is given once.
        outputs: names or constants.
    """

    inputs: tuple[str, ...]
    statements: tuple[Statement, ...]
    outputs: tuple[Operand, ...]

    def run(self, values: Sequence[Tensor]) -> list[Tensor]:
        """The outputs for tensors of one shape, or shapes that broadcast."""
        known: dict[str, Tensor] = dict(zip(self.inputs, values, strict=True))

        def tensor(operand: Operand) -> Tensor:
            return known[operand] if isinstance(operand, str) else values[0].new_tensor(operand)

        for result, operation, operands in self.statements:
            known[result] = OPERATIONS[operation](*map(tensor, operands))
        return [tensor(output) for output in self.outputs]


@dataclass
class Builder:
    """Writes a program; the same computation is written once, and what changes nothing not at all."""

    statements: list[Statement] = field(default_factory=list)
    _known: dict[tuple[str, tuple[Operand, ...]], str] = field(default_factory=dict)

    def __call__(self, operation: str, *operands: Operand) -> Operand:
        """The result of an operation."""
        simple = _simplified(operation, operands)
        if simple is not None:
            return simple
        key = (operation, operands)
        if key not in self._known:
            self._known[key] = f"v{len(self.statements)}"
            self.statements.append(Statement(self._known[key], operation, operands))
        return self._known[key]

    def program(self, inputs: Sequence[str], outputs: Sequence[Operand]) -> Program:
        """What was written, as far as the outputs need it."""
        needed = {output for output in outputs if isinstance(output, str)}
        kept = []
        for statement in reversed(self.statements):
            if statement.result in needed:
                kept.append(statement)
                needed.update(operand for operand in statement.operands if isinstance(operand, str))
        return Program(tuple(inputs), tuple(reversed(kept)), tuple(outputs))


def _simplified(operation: str, operands: tuple[Operand, ...]) -> Operand | None:
    """The result where it is an operand or a constant; None where there is something to compute.

    x * 0 counts as 0: the generated backward pass multiplies with gradients that are zero everywhere.
    """
    if operation in ("add", "mul"):
        neutral = 0.0 if operation == "add" else 1.0
        a, b = operands
        if a == neutral:
            return b
        if b == neutral:
            return a
        if operation == "mul" and 0.0 in (a, b):
            return 0.0
    if operation == "sub" and operands[1] == 0.0:
        return operands[0]
    if operation == "div" and operands[1] == 1.0:
        return operands[0]
    if operation == "where" and operands[1] == operands[2]:
        return operands[1]
    if all(isinstance(operand, float) for operand in operands) and operation not in COMPARISONS | {"where"}:
        return float(OPERATIONS[operation](*(torch.tensor(operand, dtype=torch.float64) for operand in operands)))
    return None
