"""Quasi-recurrent pooling."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from seqapps.cells.cell import LinearCell

__all__ = ["QRNN"]


class QRNN(LinearCell):
    """Quasi-recurrent network (Bradbury, Merity, Xiong and Socher 2016, arXiv 1611.01576) with windows of one token.

        z_t = tanh(W_z x_t + b_z)
        f_t = sigmoid(W_f x_t + b_f)
        i_t = sigmoid(W_i x_t + b_i)                            ifo only
        o_t = sigmoid(W_o x_t + b_o)                            fo and ifo
        f:      h_t = f_t * h_{t-1} + (1 - f_t) * z_t
        fo:     c_t = f_t * c_{t-1} + (1 - f_t) * z_t,          h_t = o_t * c_t
        ifo:    c_t = f_t * c_{t-1} + i_t * z_t,                h_t = o_t * c_t

    The state is c_t (h_t for f), the output h_t. Gate order z f, z f o or z f i o, all `input_projection`; torch.nn has
    no counterpart. The paper convolves over windows of k tokens (equation 1) and writes no biases; this is k = 1 (wider
    windows: a convolution below). Its zoneout is that of any recurrent layer.

    Fields:
        pooling: f, fo or ifo.
        bias: whether there is b.
    """

    keep_gates = (1,)

    def __init__(
        self, input_size: int, hidden_size: int, /, *, pooling: Literal["f", "fo", "ifo"] = "fo", bias: bool = True
    ):
        self.pooling = pooling
        self.gates = 1 + len(pooling)
        self.gate_names = {"f": ("forget",), "fo": ("forget", "output"), "ifo": ("forget", "input", "output")}[pooling]
        self.write_gates = (2,) if pooling == "ifo" else ()
        super().__init__(input_size, hidden_size, bias=bias)

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        blocks = projected.chunk(self.gates, -1)
        z, f = torch.tanh(blocks[0]), torch.sigmoid(blocks[1])
        return f, (torch.sigmoid(blocks[2]) if self.pooling == "ifo" else 1 - f) * z

    def readout(self, projected: Tensor, state: Tensor) -> Tensor:
        if self.pooling == "f":
            return state
        return torch.sigmoid(projected.chunk(self.gates, -1)[-1]) * state
