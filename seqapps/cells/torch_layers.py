"""Cells from and to the layers of torch.nn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from seqapps.cells.cell import PointwiseCell
from seqapps.cells.gru import GRU
from seqapps.cells.lstm import LSTM
from seqapps.cells.rnn import RNN
from seqapps.errors import ComponentError, ShapeError

__all__ = ["cell_from_torch", "copy_to_torch"]


def cell_from_torch(module: nn.RNNBase, layer: int = 0, *, reverse: bool = False) -> PointwiseCell:
    """A cell that computes what one layer and direction of a `torch.nn.LSTM`, `GRU` or `RNN` does.

        unroll(cell_from_torch(nn.LSTM(5, 6)), x, None, lengths)       is the packed nn.LSTM, padded again
        unroll(cell_from_torch(lstm, reverse=True), x, None, lengths, reverse=True)

    Parameters are copies, of the same dtype and on the same device. Dropout between layers and `batch_first` are not a
    cell's.

    Args:
        layer: from 0, the first.
        reverse: the direction that reads from the last token to the first.

    Raises:
        ComponentError: `module` is something else, or a subclass, which may compute something else.
        ShapeError: it has no such layer or direction.
    """
    names = _names(module, layer, reverse)
    weight = module.get_parameter(names[0])
    made = _like(module, layer).to(weight)
    with torch.no_grad():
        for name, parameter in zip(names, _parameters(made), strict=True):
            parameter.copy_(module.get_parameter(name))
    return made


def copy_to_torch(cell: PointwiseCell, module: nn.RNNBase, layer: int = 0, *, reverse: bool = False) -> None:
    """Let one layer and direction of a `torch.nn.LSTM`, `GRU` or `RNN` compute what `cell` does.

    Args:
        layer: from 0, the first.
        reverse: the direction that reads from the last token to the first.

    Raises:
        ComponentError: the module cannot compute the cell's rule: another kind, or options that torch does not have.
        ShapeError: another size, no such layer or direction, or a bias on one side only.
    """
    names = _names(module, layer, reverse)
    reason = _difference(cell, module)
    if reason:
        raise ComponentError(f"copy_to_torch: torch.nn.{type(module).__name__} cannot hold this cell: {reason}")
    parameters = list(_parameters(cell))
    targets = [module.get_parameter(name) for name in names]
    ours, theirs = [tuple(p.shape) for p in parameters], [tuple(t.shape) for t in targets]
    if ours != theirs:
        raise ShapeError(
            f"copy_to_torch: the cell's parameters have shapes {ours}, those of layer {layer} {theirs}; make the module"
            f" with sizes ({cell.input_size}, {cell.hidden_size}) and bias={cell.input_projection.bias is not None}"
        )
    with torch.no_grad():
        for parameter, target in zip(parameters, targets, strict=True):
            target.copy_(parameter)


def _names(module: nn.RNNBase, layer: int, reverse: bool) -> list[str]:
    """What torch calls the parameters of a layer and direction, in our order."""
    if type(module) not in (nn.LSTM, nn.GRU, nn.RNN):
        raise ComponentError(f"{type(module).__name__}: not a torch.nn.LSTM, GRU or RNN; pass one of these")
    if not 0 <= layer < module.num_layers:
        raise ShapeError(f"layer is {layer}, expected 0 to {module.num_layers - 1}")
    if reverse and not module.bidirectional:
        raise ShapeError("reverse is true, but the module reads in one direction; pass reverse=False")
    kinds = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if module.bias else [])]
    kinds += ["weight_hr"] if module.proj_size else []
    return [f"{kind}_l{layer}{'_reverse' if reverse else ''}" for kind in kinds]


def _parameters(cell: PointwiseCell) -> Iterator[Tensor]:
    """In the order of `_names`."""
    yield from (cell.input_projection.weight, cell.recurrent.weight)
    if cell.input_projection.bias is not None:
        yield from (cell.input_projection.bias, cell.recurrent.bias)
    if isinstance(cell, LSTM) and cell.projection is not None:
        yield cell.projection.weight


def _like(module: nn.RNNBase, layer: int) -> PointwiseCell:
    """A cell of the same rule and sizes."""
    below = (module.proj_size or module.hidden_size) * (2 if module.bidirectional else 1)
    input_size = module.input_size if layer == 0 else below
    if type(module) is nn.LSTM:
        return LSTM(input_size, module.hidden_size, projection=module.proj_size or None, bias=module.bias)
    if type(module) is nn.GRU:
        return GRU(input_size, module.hidden_size, bias=module.bias)
    nonlinearity: Literal["tanh", "relu"] = "tanh" if module.nonlinearity == "tanh" else "relu"
    return RNN(input_size, module.hidden_size, nonlinearity=nonlinearity, bias=module.bias)


def _difference(cell: PointwiseCell, module: nn.RNNBase) -> str | None:
    """What `cell` computes that `module` does not."""
    counterpart = {nn.LSTM: LSTM, nn.GRU: GRU, nn.RNN: RNN}[type(module)]
    if type(cell) is not counterpart:
        return f"it is a {type(cell).__name__}, expected {counterpart.__name__}"
    if isinstance(cell, RNN) and cell.nonlinearity != module.nonlinearity:
        return f"its nonlinearity is {cell.nonlinearity}, the module's {module.nonlinearity}"
    if isinstance(cell, LSTM):  # torch has projections, though not in the layers that run a plain cell
        known = cell.peephole == "none" and not cell.coupled and not cell.layer_norm
    else:
        known = cell.plain
    return None if known else "it has options that torch does not have"
