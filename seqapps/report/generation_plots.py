"""Plots of written texts: how long they are, and what was attended to while they were written."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.ticker import MaxNLocator

from seqapps.report.plots import INK, SERIES, figure

__all__ = ["attention_map", "length_histogram"]

_CELL = 0.24  # inches
_EM = 9 / 72  # inches: the width of a Chinese character in the font size of labels
_NARROW = 0.62  # em: of other letters, generously
_LABEL = 14.0  # em of a token; of longer ones the beginning is shown
_FAINTEST = 0.005  # weights below are not drawn


def length_histogram(edges: Sequence[int], counts: Mapping[str, Sequence[int]], axis: str) -> str:
    """Shares of texts per bin as stairs, one line for each of `counts`; edges are one more than bins."""
    with figure(4.6, 2.7) as (drawn, svg):
        axes = drawn.add_subplot()
        for n, (name, values) in enumerate(counts.items()):
            shares = 100 * np.array(values) / max(1, sum(values))
            colour, dashes = SERIES[n % len(SERIES)], "-" if n == 0 else (0, (4, 2))
            axes.stairs(shares, np.array(edges), color=colour, linewidth=1.6, linestyle=dashes, label=name)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(bottom=0)
        axes.set_xlabel(axis)
        axes.set_ylabel("% of texts")
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.grid(axis="x", visible=False)
        drawn.legend(loc="outside lower left", ncols=len(counts), frameon=False)
    return svg[0]


def attention_map(
    source: Sequence[str],
    target: Sequence[str],
    weights: Sequence[Sequence[float]],
    p_gen: Sequence[float] | None = None,
) -> str:
    """A square for each pair of tokens, the stronger the larger the weight; source tokens above, target tokens beside.

    Of a pointer a last column of another colour, as strong as 1 - p_gen: the more probable it was that the target token
    would be taken from the source.

    The page's fonts draw the labels and no font here may have their glyphs, so the room for them is reckoned from how
    wide characters are in East Asian typography, not measured.
    """
    above, beside = ([_label(token) for token in tokens] for tokens in (source, target))
    S, T = len(source), len(target)
    drawn_weights = [(t, s, weight, SERIES[0]) for t, row in enumerate(weights) for s, weight in enumerate(row)]
    if p_gen is not None:
        above = [*above, "1 − p_gen"]
        drawn_weights += [(t, S, 1 - share, SERIES[1]) for t, share in enumerate(p_gen)]
        S += 1
    left, top = (_EM * (1 + max(map(_ems, labels))) for labels in (beside, above))
    width, height = left + S * _CELL + 0.1, top + T * _CELL + 0.1
    squares, shades = [], []
    for t, s, weight, colour in drawn_weights:
        if weight >= _FAINTEST:
            squares.append([(s, t), (s + 1, t), (s + 1, t + 1), (s, t + 1)])
            shades.append((*to_rgb(colour), min(1.0, weight)))
    with figure(width, height) as (drawn, svg):
        drawn.set_layout_engine("none")
        axes = drawn.add_axes((left / width, 0.1 / height, S * _CELL / width, T * _CELL / height))
        axes.add_collection(PolyCollection(squares, facecolors=shades, edgecolors="none"), autolim=False)
        axes.set_xlim(0, S)
        axes.set_ylim(T, 0)
        axes.set_xticks(range(S + 1), [""] * (S + 1))  # the borders of squares, for the grid
        axes.set_yticks(range(T + 1), [""] * (T + 1))
        for s, label in enumerate(above):
            axes.text(s + 0.5, -0.3, label, rotation=90, rotation_mode="anchor", ha="left", va="center", color=INK)
        for t, label in enumerate(beside):
            axes.text(-0.3, t + 0.5, label, rotation_mode="anchor", ha="right", va="center", color=INK)
        axes.spines[["top", "right"]].set_visible(True)
    return svg[0]


def _label(token: str) -> str:
    """As much of a token as there is room for."""
    if _ems(token) <= _LABEL:
        return token
    end = len(token)
    while _ems(token[:end]) > _LABEL - 1:
        end -= 1
    return token[:end] + "…"


def _ems(text: str) -> float:
    return sum(1.0 if unicodedata.east_asian_width(letter) in "WF" else _NARROW for letter in text)
