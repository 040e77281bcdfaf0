"""Recurrent cells: what one is, the built-in ones, and how any of them is run over time.

@seqapps.cells.register("mine")
class Mine(PointwiseCell): ...
"""

from seqapps.cells.cell import Cell, LinearCell, PointwiseCell, State
from seqapps.cells.gru import GRU
from seqapps.cells.indrnn import IndRNN
from seqapps.cells.lengths import Lengths
from seqapps.cells.lstm import LSTM
from seqapps.cells.mingru import MinGRU
from seqapps.cells.minimal_gated import MinimalGatedUnit
from seqapps.cells.minlstm import MinLSTM
from seqapps.cells.qrnn import QRNN
from seqapps.cells.rnn import RNN
from seqapps.cells.sru import SRU, SRU2
from seqapps.cells.torch_layers import cell_from_torch, copy_to_torch
from seqapps.cells.unroll import unroll
from seqapps.registry import registry

__all__ = [
    "GRU",
    "LSTM",
    "QRNN",
    "RNN",
    "SRU",
    "SRU2",
    "Cell",
    "IndRNN",
    "Lengths",
    "LinearCell",
    "MinGRU",
    "MinLSTM",
    "MinimalGatedUnit",
    "PointwiseCell",
    "State",
    "cell_from_torch",
    "copy_to_torch",
    "register",
    "unroll",
]

register = registry("cells").register
