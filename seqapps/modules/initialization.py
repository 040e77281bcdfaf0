"""How the parameters of a recurrent layer start, for any cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from seqapps.cells import Cell
from seqapps.errors import ComponentError

__all__ = ["Initialization", "chrono_bias", "initialize_recurrent", "set_memory_bias"]

Initialization = Literal["cell", "orthogonal", "identity", "xavier"]

_RULES: dict[str, Callable[[Tensor], Tensor]] = {
    "orthogonal": nn.init.orthogonal_,
    "identity": nn.init.eye_,
    "xavier": nn.init.xavier_uniform_,
}


def initialize_recurrent(cell: Cell, initialization: Literal["orthogonal", "identity", "xavier"]) -> None:
    """Draw the matrices that multiply the old state anew, each gate's block by itself; biases stay as they are.

    A matrix whose rows are no multiple of `hidden_size`, such as the projection of an LSTM's output, is one block.

        orthogonal    Saxe, McClelland and Ganguli 2013 (arXiv 1312.6120)
        identity      Le, Jaitly and Hinton 2015 (arXiv 1504.00941), who mean it for the simple network with relu
        xavier        uniform in ±sqrt(6 / (rows + columns)), Glorot and Bengio 2010

    Raises ComponentError if the cell has no such matrix.
    """
    if not cell.recurrent_names():
        raise ComponentError(
            f"initialization: {type(cell).__name__} has no linear module that multiplies its old state;"
            " remove initialization"
        )
    with torch.no_grad():
        for name in cell.recurrent_names():
            weight = getattr(cell, name).weight
            rows = len(weight) if len(weight) % cell.hidden_size else cell.hidden_size
            for block in weight.split(rows):
                _RULES[initialization](block)


def chrono_bias(cell: Cell, longest: int) -> Tensor:
    """(H,) biases of gates that keep, for memories of 1 to `longest` steps: log(U[1, longest - 1]).

    Tallec and Ollivier 2018 (arXiv 1804.11188), eq. 16 and 17. A gate sigmoid(log(u)) = 1 - 1 / (1 + u) forgets with a
    time constant of 1 + u steps.
    """
    like = cell.input_projection.weight
    return torch.empty(cell.hidden_size, dtype=like.dtype, device=like.device).uniform_(1, longest - 1).log()


def set_memory_bias(cell: Cell, field: str, value: float | Tensor) -> None:
    """`cell.set_memory_bias(value)`; ComponentError naming the recipe's `field` if the cell has nothing to set."""
    if not cell.keep_gates and not cell.write_gates:
        raise ComponentError(f"{field}: {type(cell).__name__} has no gate that keeps its old state; remove {field}")
    if cell.input_projection.bias is None:
        raise ComponentError(
            f"{field}: {type(cell).__name__} has no biases; set 'bias: true' in the cell, or remove {field}"
        )
    cell.set_memory_bias(value)
