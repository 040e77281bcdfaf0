"""Sequences made by rule: what a model has to remember, or to look ahead for, is known."""

from seqapps.data.sources.synthetic.adding_problem import AddingProblem
from seqapps.data.sources.synthetic.addition import Addition
from seqapps.data.sources.synthetic.addition_text import AdditionText
from seqapps.data.sources.synthetic.agreement import Agreement
from seqapps.data.sources.synthetic.brackets import Brackets
from seqapps.data.sources.synthetic.copy import Copy
from seqapps.data.sources.synthetic.lookahead import Lookahead
from seqapps.data.sources.synthetic.slots import Slots
from seqapps.data.sources.synthetic.synthetic import Labelled, Synthetic

__all__ = [
    "AddingProblem",
    "Addition",
    "AdditionText",
    "Agreement",
    "Brackets",
    "Copy",
    "Labelled",
    "Lookahead",
    "Slots",
    "Synthetic",
]
