"""torch's fused recurrent layers: oneDNN and ATen on a CPU, cuDNN on a GPU.

They are run one direction at a time on padded input. Packed sequences would leave oneDNN's fused LSTM, and their
backward pass is quadratic in the sequence length. On padding the fused layers run on; outputs there are cut off by the
caller, h after each sequence's last token is picked from the outputs, and the LSTM's c, of which they return only the
last, is kept by a further input channel that is 1 on padding and whose weights there close the input gate and open the
forget gate.
"""

from __future__ import annotations

import torch
from torch import Tensor

from seqapps.cells.cell import Cell, PointwiseCell, State
from seqapps.cells.gru import GRU
from seqapps.cells.lengths import Lengths
from seqapps.cells.lstm import LSTM
from seqapps.cells.rnn import RNN

__all__ = ["Native"]

_SHUT = 1e4  # sigmoid(±1e4) is exactly 0 or 1 in every floating-point format


class Native:
    """Runs `lstm`, `gru` and `rnn` through `torch.lstm`, `torch.gru`, `torch.rnn_tanh` and `torch.rnn_relu`."""

    rank = 0

    def refuses(self, cell: Cell, x: Tensor) -> str | None:
        """Only exactly these classes, with the options that torch has: a subclass may compute something else."""
        if type(cell) not in (LSTM, GRU, RNN) or not cell.plain:
            return "torch has fused layers for the plain LSTM, GRU and RNN only"
        if getattr(cell.recurrent, "mask", None) is not None:
            return "torch's fused layers have no recurrent dropout; weight_drop stays on them"
        return None

    def unroll(self, cell: Cell, x: Tensor, state: State, lengths: Lengths, final: bool) -> tuple[Tensor, State | None]:
        assert isinstance(cell, PointwiseCell)
        weights = [cell.input_projection.weight, cell.recurrent.weight]
        if cell.input_projection.bias is not None:
            weights += [cell.input_projection.bias, cell.recurrent.bias]
        if isinstance(cell, LSTM):
            return self._lstm(cell, x, state, lengths, final, weights)
        if isinstance(cell, GRU):
            layer = torch.gru
        else:
            assert isinstance(cell, RNN)
            layer = torch.rnn_tanh if cell.nonlinearity == "tanh" else torch.rnn_relu
        outputs, h = layer(x, state[0][None], weights, len(weights) == 4, 1, 0.0, cell.training, False, False)
        return outputs, (self._last(outputs, h, lengths),) if final else None

    def _lstm(
        self, cell: LSTM, x: Tensor, state: State, lengths: Lengths, final: bool, weights: list[Tensor]
    ) -> tuple[Tensor, State | None]:
        if final and not lengths.equal:
            x = torch.cat([x, lengths.padding.to(x.dtype)], -1)
            weights = [torch.cat([weights[0], self._padding_column(cell, weights[0])], -1), *weights[1:]]
        initial = [state[0][None], state[1][None]]
        outputs, h, c = torch.lstm(x, initial, weights, len(weights) == 4, 1, 0.0, cell.training, False, False)
        return outputs, (self._last(outputs, h, lengths), c[0]) if final else None

    @staticmethod
    def _padding_column(cell: LSTM, weight: Tensor) -> Tensor:
        """(4 H, 1): weights of the padding channel, i shut and f open."""
        column = weight.new_zeros(4, cell.hidden_size)
        column[0], column[1] = -_SHUT, _SHUT
        return column.view(-1, 1)

    @staticmethod
    def _last(outputs: Tensor, h: Tensor, lengths: Lengths) -> Tensor:
        """(B, H): the output at each sequence's last token."""
        return h[0] if lengths.equal else outputs.flatten(0, 1).index_select(0, lengths.last)
