"""torch's fused recurrent layers: oneDNN and ATen on a CPU, cuDNN on a GPU.

They are run one direction at a time on padded input. Packed sequences would leave oneDNN's fused LSTM, and their
backward pass is quadratic in the sequence length. On padding the fused layers run on; outputs there are cut off by the
caller, h after each sequence's last token is picked from the outputs, and the LSTM's c, of which they return only the
last, is kept by a further input channel that is 1 on padding and whose weights there close the input gate and open the
forget gate. The same channel silences a relu network on padding, where it could grow beyond all numbers. Where much
would be padding on a CPU, time is cut into segments, each run on the sequences still going on.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from seqapps.cells.cell import Cell, PointwiseCell, State
from seqapps.cells.gru import GRU
from seqapps.cells.lengths import Lengths
from seqapps.cells.lstm import LSTM
from seqapps.cells.regularizers import is_plain_linear
from seqapps.cells.rnn import RNN
from seqapps.kernels.c_library import works

__all__ = ["Native"]

_WIDE = 384  # units from which oneDNN's LSTM in bf16 is slower than generated steps
_SHUT = 1e4  # sigmoid(±1e4) is exactly 0 or 1 in every floating-point format


class Native:
    """Runs `lstm`, `gru` and `rnn` through `torch.lstm`, `torch.gru`, `torch.rnn_tanh` and `torch.rnn_relu`."""

    rank = 0

    def refuses(self, cell: Cell, x: Tensor) -> str | None:
        """Only exactly these classes, with the options that torch has: a subclass may compute something else."""
        if not isinstance(cell, PointwiseCell) or type(cell) not in (LSTM, GRU, RNN) or not cell.plain:
            return "torch has fused layers for the plain LSTM, GRU and RNN only"
        if not (is_plain_linear(cell.recurrent) and is_plain_linear(cell.input_projection)):
            return "one of its products is no plain linear module"
        if getattr(cell.recurrent, "mask", None) is not None:
            return "torch's fused layers have no recurrent dropout; weight_drop stays on them"
        return None

    def defers(self, cell: Cell, x: Tensor) -> bool:
        """In bf16 training on a CPU generated steps are faster: for a GRU always, for an LSTM that is wide.

        There the numbers depend on the kind of processor anyway.
        """
        if not (x.device.type == "cpu" and torch.is_autocast_enabled("cpu") and torch.is_grad_enabled()):
            return False
        return (isinstance(cell, GRU) or (isinstance(cell, LSTM) and cell.hidden_size >= _WIDE)) and works()

    def unroll(self, cell: Cell, x: Tensor, state: State, lengths: Lengths, final: bool) -> tuple[Tensor, State | None]:
        assert isinstance(cell, PointwiseCell)
        weights = [cell.input_projection.weight, cell.recurrent.weight]
        if cell.input_projection.bias is not None:
            weights += [cell.input_projection.bias, cell.recurrent.bias]
        grows = isinstance(cell, RNN) and cell.nonlinearity == "relu"
        if not lengths.equal and (grows or (isinstance(cell, LSTM) and final)):
            x = torch.cat([x, lengths.padding.to(x.dtype)], -1)
            weights = [torch.cat([weights[0], _padding_column(cell, weights[0])], -1), *weights[1:]]
        if x.device.type == "cpu" and len(lengths.segments) > 1:
            outputs, last = _in_segments(cell, weights, x, state, lengths)
        else:
            outputs, last = _fused(cell, weights, x, state)
        if not final:
            return outputs, None
        h = last[0] if lengths.equal else outputs.flatten(0, 1).index_select(0, lengths.last)
        return outputs, (h, *last[1:])


def _fused(cell: Cell, weights: list[Tensor], x: Tensor, state: State) -> tuple[Tensor, State]:
    """torch's fused layer over all steps of x: outputs and the state after the last step."""
    trained = torch.is_grad_enabled()  # cuDNN keeps what a backward pass needs only if told so
    options = (weights, len(weights) == 4, 1, 0.0, trained, False, False)
    if isinstance(cell, LSTM):
        outputs, h, c = torch.lstm(x, [state[0][None], state[1][None]], *options)
        return outputs, (h[0], c[0])
    if isinstance(cell, GRU):
        layer = torch.gru
    else:
        assert isinstance(cell, RNN)
        layer = torch.rnn_tanh if cell.nonlinearity == "tanh" else torch.rnn_relu
    outputs, h = layer(x, state[0][None], *options)
    return outputs, (h[0],)


def _in_segments(cell: Cell, weights: list[Tensor], x: Tensor, state: State, lengths: Lengths) -> tuple[Tensor, State]:
    """`_fused` piece by piece in time, each on the sequences that have not ended before it."""
    x = x.index_select(1, lengths.order)
    state = tuple(s.index_select(0, lengths.order) for s in state)
    outputs, ended = [], []
    for start, stop, rows in lengths.segments:
        ended.append([s[rows:] for s in state])
        piece, state = _fused(cell, weights, x[start:stop, :rows], tuple(s[:rows] for s in state))
        outputs.append(F.pad(piece, (0, 0, 0, len(lengths) - rows)))
    last = [torch.cat([s, *(rows[k] for rows in reversed(ended))]) for k, s in enumerate(state)]
    back = lengths.order.argsort()
    return torch.cat(outputs).index_select(1, back), tuple(s.index_select(0, back) for s in last)


def _padding_column(cell: Cell, weight: Tensor) -> Tensor:
    """(gates H, 1): weights of the padding channel. LSTM: i shut and f open; RNN: the largest negative number or so."""
    if isinstance(cell, RNN):
        return weight.new_full((cell.hidden_size, 1), torch.finfo(weight.dtype).min / 4)
    column = weight.new_zeros(4, cell.hidden_size)
    column[0], column[1] = -_SHUT, _SHUT
    return column.view(-1, 1)
