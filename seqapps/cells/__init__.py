"""Recurrent cells: what one is, the built-in ones, and how any of them is run over time.

@seqapps.cells.register("mine")
class Mine(PointwiseCell): ...
"""

from seqapps.cells.cell import Cell, LinearCell, PointwiseCell, State
from seqapps.cells.gru import GRU
from seqapps.cells.lengths import Lengths
from seqapps.cells.lstm import LSTM
from seqapps.cells.rnn import RNN
from seqapps.cells.unroll import unroll
from seqapps.registry import registry

__all__ = ["GRU", "LSTM", "RNN", "Cell", "Lengths", "LinearCell", "PointwiseCell", "State", "register", "unroll"]

register = registry("cells").register
