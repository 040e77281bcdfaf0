"""A minimal gated unit as a cell for seqapps, registered as `mgu`."""

import torch

from seqapps.cells import PointwiseCell

__all__ = ["MGU"]


class MGU(PointwiseCell):
    """Minimal gated unit with one recurrent product, after Zhou et al. 2016 (arXiv 1603.09420).

        f_t = sigmoid(W_f x_t + b_f + U_f h_{t-1} + d_f)           one gate, which forgets and writes
        n_t = tanh(W_n x_t + b_n + f_t * (U_n h_{t-1} + d_n))      the candidate
        h_t = (1 - f_t) * h_{t-1} + f_t * n_t

    The output is h_t. Gate order f n; `input_projection` holds W and b, `recurrent` U and d.

    Deviations: the paper gates the old state before the product, U_n (f_t * h_{t-1}), and has one bias a gate. Gated
    after it, as in cuDNN's GRU, one product gives U h for gate and candidate, and what remains is pointwise. It is the
    torch.nn.GRU whose reset gate is f and whose update gate is 1 - f. Heck and Salem 2017 (arXiv 1701.03452) simplify
    the gate instead, to sigmoid(U_f h_{t-1} + b_f) and less.

    Fields:
        bias: whether there are b and d.
    """

    gates = 2
    gate_names = ("forget",)
    write_gates = (0,)

    def pointwise(self, projected, recurrent, state):
        (h,) = state
        x_f, x_n = projected.chunk(2, -1)
        h_f, h_n = recurrent.chunk(2, -1)
        f = torch.sigmoid(x_f + h_f)
        n = torch.tanh(x_n + f * h_n)
        h = (1 - f) * h + f * n
        return h, (h,)
