"""Plots of gradients through time, of gates and of Jacobians; in the style of `seqapps.report.plots`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from seqapps.report.plots import INK, MUTED, SERIES, figure

__all__ = ["Decay", "Histogram", "Spread", "decays", "histograms", "spreads"]

_LOWEST = 1e-12  # of a decay's axis: further down a curve leaves the picture
_DASHES: Any = ("-", (0, (4, 2)), (0, (1, 1.5)))


class Decay(NamedTuple):
    """One curve by distance from 0, with the band around it; `run` and `state` number what it is of."""

    name: str
    run: int
    state: int
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


class Histogram(NamedTuple):
    """Counts in equal bins from 0 to 1."""

    name: str
    run: int
    counts: Sequence[int]


class Spread(NamedTuple):
    """Single values of one run, all above 0."""

    name: str
    run: int
    values: Sequence[float]


def decays(panels: Sequence[tuple[str, Sequence[Decay]]], axis: str, gone: float, medians: Sequence[float]) -> str:
    """Curves on a logarithmic scale, one small plot per panel, all on the same scales.

    `gone` is the level below which nothing counts; each of `medians` a distance that is marked.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    every = [curve for _, curves in panels for curve in curves]
    lowest = max(_LOWEST, min(min(curve.low) for curve in every))
    highest = max(max(curve.high) for curve in every)
    with figure(7.6, 2.7 * rows + 0.3) as (drawn, svg):
        for n, (title, curves) in enumerate(panels):
            axes = drawn.add_subplot(rows, columns, n + 1)
            axes.set_autoscale_on(False)
            axes.set_yscale("log")
            axes.axhline(gone, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
            for median in sorted(set(medians)):
                axes.axvline(median, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
            for curve in curves:
                _draw_decay(axes, curve)
            axes.set_title(title)
            axes.set_xlabel(axis if n >= len(panels) - columns else "")
            axes.set_ylim(min(lowest, gone) / 3, 3 * max(1.0, highest))
            axes.set_xlim(0, max(1, max(len(curve.mean) for curve in every) - 1))
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            axes.yaxis.set_major_locator(LogLocator(numticks=7))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_formatter(FuncFormatter(_power))
        _legend(drawn, [(curve.name, curve.run, curve.state) for curve in every])
    return svg[0]


def _draw_decay(axes: Axes, curve: Decay) -> None:
    distances = np.arange(len(curve.mean))
    colour = SERIES[curve.run % len(SERIES)]
    axes.fill_between(distances, curve.low, curve.high, color=colour, alpha=0.13, linewidth=0)
    axes.plot(distances, curve.mean, color=colour, linewidth=1.6, linestyle=_DASHES[curve.state % len(_DASHES)])


def histograms(panels: Sequence[tuple[str, Sequence[Histogram]]], axis: str) -> str:
    """Shares of values per bin as stairs, one small plot per panel, the same vertical scale in all."""
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    every = [one for _, found in panels for one in found]
    highest = max(max(one.counts) / max(1, sum(one.counts)) for one in every)
    with figure(7.6, 1.75 * rows + 0.3) as (drawn, svg):
        for n, (title, found) in enumerate(panels):
            axes = drawn.add_subplot(rows, columns, n + 1)
            axes.set_autoscale_on(False)
            for one in found:
                shares = 100 * np.array(one.counts) / max(1, sum(one.counts))
                edges = np.linspace(0, 1, len(shares) + 1)
                colour = SERIES[one.run % len(SERIES)]
                axes.stairs(shares, edges, color=colour, linewidth=1.4, fill=False)
                axes.stairs(shares, edges, color=colour, alpha=0.13, fill=True)
            axes.set_title(title)
            axes.set_xlim(0, 1)
            axes.set_ylim(0, 105 * highest)
            axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
            axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.set_ylabel("% of values" if n % columns == 0 else "")
            axes.set_xlabel(axis if n >= len(panels) - columns else "")
            axes.grid(axis="x", visible=False)
        _legend(drawn, [(one.name, one.run, 0) for one in every])
    return svg[0]


def spreads(panels: Sequence[tuple[str, Sequence[Spread]]], axis: str) -> str:
    """Every value as a dot on a logarithmic scale, a row per run, its median as a bar; a line marks 1."""
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    deepest = max(len(found) for _, found in panels)
    every = [value for _, found in panels for one in found for value in one.values]
    with figure(7.6, rows * (0.95 + 0.3 * deepest)) as (drawn, svg):
        for n, (title, found) in enumerate(panels):
            axes = drawn.add_subplot(rows, columns, n + 1)
            axes.set_autoscale_on(False)
            axes.set_xscale("log")
            axes.axvline(1.0, color=INK, linewidth=0.9)
            for row, one in enumerate(found):
                _draw_spread(axes, row, one)
            axes.set_yticks(range(len(found)), [one.name for one in found], color=INK)
            axes.set_ylim(deepest - 0.4, -0.6)
            axes.set_xlim(min(0.7, min(every) / 1.25), max(1.4, max(every) * 1.25))
            axes.set_title(title)
            axes.set_xlabel(axis if n >= len(panels) - columns else "")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=6))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.grid(axis="y", visible=False)
    return svg[0]


def _draw_spread(axes: Axes, row: int, one: Spread) -> None:
    colour = SERIES[one.run % len(SERIES)]
    # Dots in a fixed zigzag, so that equal data give an equal picture.
    offsets = 0.24 * ((np.arange(len(one.values)) * 0.618) % 1 - 0.5)
    axes.plot(one.values, row + offsets, "o", color=colour, markersize=2.6, alpha=0.5, markeredgewidth=0)
    median = float(np.median(one.values))
    axes.plot([median, median], [row - 0.28, row + 0.28], color=colour, linewidth=2.2)


def _legend(drawn: Any, entries: Sequence[tuple[str, int, int]]) -> None:
    """One row of names under all plots, none twice; left out where there is only one."""
    named = {
        name: Line2D([], [], color=SERIES[run % len(SERIES)], linestyle=_DASHES[state % len(_DASHES)], linewidth=1.6)
        for name, run, state in entries
    }
    if len(named) > 1:
        drawn.legend(
            list(named.values()), list(named), loc="outside lower left", ncols=min(4, len(named)), frameon=False
        )


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _power(value: float, _: int) -> str:
    """1e-3 as 10⁻³: the font is the browser's, without formulas."""
    exponent = round(np.log10(value)) if value > 0 else 0
    return "1" if exponent == 0 else "10" + str(exponent).translate(_SUPERSCRIPTS)
