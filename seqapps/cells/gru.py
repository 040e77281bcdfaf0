"""Gated recurrent unit."""

from __future__ import annotations

import torch
from torch import Tensor

from seqapps.cells.cell import PointwiseCell, State

__all__ = ["GRU"]


class GRU(PointwiseCell):
    """Gated recurrent unit (Cho et al. 2014), with the reset gate acting after the recurrent product, as in cuDNN.

        r_t = sigmoid(W_r x_t + b_r + U_r h_{t-1} + d_r)                 reset
        z_t = sigmoid(W_z x_t + b_z + U_z h_{t-1} + d_z)                 update: how much of the old state is kept
        n_t = tanh(W_n x_t + b_n + r_t * (U_n h_{t-1} + d_n))            the candidate
        h_t = (1 - z_t) * n_t + z_t * h_{t-1}

    Cho et al. write r_t inside the product, U_n (r_t * h_{t-1}); that is another model, and not pointwise. The output
    is h_t. Gate order r z n, that of torch.nn.GRU, whose weight_ih_l0, bias_ih_l0, weight_hh_l0 and bias_hh_l0 are
    `input_projection` and `recurrent`.

    Fields:
        bias: whether there are b and d.
    """

    gates = 3
    gate_names = ("reset", "update")
    keep_gates = (1,)
    plain = True  # is it exactly torch's?

    def pointwise(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        (h,) = state
        x_r, x_z, x_n = projected.chunk(3, -1)
        h_r, h_z, h_n = recurrent.chunk(3, -1)
        r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
        h = (1 - z) * torch.tanh(x_n + r * h_n) + z * h
        return h, (h,)
