"""Plots as inline SVG: text stays text, colours follow the page's theme, equal data give equal bytes.

matplotlib draws with the colours of `_THEME`, which are then replaced by CSS variables of the page, so that one plot
serves light, dark and paper. Element ids that nothing refers to are dropped, since several plots stand on one page.
"""

from __future__ import annotations

import io
import re
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

__all__ = ["INK", "MUTED", "SERIES", "Panel", "Point", "Series", "curves", "dots", "figure", "multiples"]

INK, MUTED, _LINE = "#010203", "#010204", "#010205"
SERIES = ("#010206", "#010207", "#010208", "#010209")
_FAR = 20  # times
_MARKERS = ("o", "s", "D", "^")
_THEME = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    _LINE: "var(--line)",
    **{colour: f"var(--series-{n})" for n, colour in enumerate(SERIES, start=1)},
}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "seqapps",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "figure.facecolor": "none",
    "figure.constrained_layout.w_pad": 0.09,
    "axes.facecolor": "none",
}


class Point(NamedTuple):
    """A value with its interval, all in the unit of the axis; None where it is undefined."""

    value: float | None
    interval: tuple[float, float] | None = None


class Series(NamedTuple):
    """One model: its name, and its point in each of the small plots."""

    name: str
    points: Sequence[Point]


class Panel(NamedTuple):
    """One curve: `values[i]` at `positions[i]`, and the position that is marked as chosen, if any."""

    title: str
    positions: Sequence[float]
    values: Sequence[float]
    marked: float | None = None


def multiples(titles: Sequence[str], series: Sequence[Series], axis: str) -> str:
    """Dots with intervals: one small plot per title, each with its own scale, and in it one row per series."""
    columns = min(3, len(titles))
    rows = -(-len(titles) // columns)
    names = [one.name for one in series]
    with figure(7.6, rows * (0.85 + 0.2 * len(series))) as (drawn, svg):
        for n, title in enumerate(titles):
            axes = drawn.add_subplot(rows, columns, n + 1)
            for row, one in enumerate(series):
                if one.points[n].value is not None:
                    _draw_dots(axes, [(row, one.points[n])], row, horizontal=True)
            axes.set_yticks(range(len(names)), names if n % columns == 0 else [""] * len(names), color=INK)
            axes.set_ylim(len(names) - 0.4, -0.6)
            axes.set_title(title)
            axes.set_xlabel(axis if n >= len(titles) - columns else "")
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.margins(x=0.12)
            axes.grid(axis="y", visible=False)
    return svg[0]


def dots(labels: Sequence[str], points: Sequence[Point], axis: str, *, positive: bool = False) -> str:
    """Dots with intervals, one column per label. If `positive`, values far apart have a logarithmic axis."""
    with figure(4.6, 2.5) as (drawn, svg):
        axes = drawn.add_subplot()
        known = [(place, point) for place, point in enumerate(points) if point.value is not None]
        values = [point.value for _, point in known if point.value is not None]
        if positive and values and max(values) > _FAR * min(values):
            axes.set_yscale("log", subs=[])
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        _draw_dots(axes, known, 0, horizontal=False)
        axes.set_xticks(range(len(labels)), labels)
        axes.set_xlim(-0.5, len(labels) - 0.5)
        axes.set_ylabel(axis)
        axes.grid(axis="x", visible=False)
    return svg[0]


def curves(panels: Sequence[Panel], axis: str) -> str:
    """Curves side by side over a common kind of position, such as the epoch."""
    with figure(7.2, 2.5) as (drawn, svg):
        for n, panel in enumerate(panels):
            axes = drawn.add_subplot(1, len(panels), n + 1)
            colour = SERIES[n % len(SERIES)]
            axes.plot(panel.positions, panel.values, color=colour, linewidth=1.6, marker="o", markersize=2.5)
            if panel.marked is not None and panel.marked in panel.positions:
                chosen = panel.values[list(panel.positions).index(panel.marked)]
                axes.plot([panel.marked], [chosen], "o", markersize=8, markerfacecolor="none", color=colour)
            axes.set_title(panel.title)
            axes.set_xlabel(axis)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.margins(y=0.1)
    return svg[0]


def _draw_dots(axes: Axes, where: Sequence[tuple[float, Point]], n: int, *, horizontal: bool) -> None:
    places = [place for place, _ in where]
    values = np.array([point.value for _, point in where])
    bounds = np.array([point.interval or (point.value, point.value) for _, point in where]).reshape(-1, 2)
    # A skewed bootstrap can leave the value itself outside; matplotlib takes no negative lengths.
    reach = np.maximum(0, [values - bounds[:, 0], bounds[:, 1] - values])
    look: dict[str, Any] = {"fmt": _MARKERS[n % 4], "color": SERIES[n % 4], "markersize": 4.5, "elinewidth": 1.6}
    if horizontal:
        axes.errorbar(values, places, xerr=reach, **look)
    else:
        axes.errorbar(places, values, yerr=reach, **look)


@contextmanager
def figure(width: float, height: float) -> Iterator[tuple[Figure, list[str]]]:
    """A figure in the house style; after the block the list holds its SVG."""
    svg: list[str] = []
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # The browser's fonts draw the text; that the font which measures it lacks a glyph does not matter.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        drawn = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(drawn)
        yield drawn, svg
        written = io.StringIO()
        drawn.savefig(written, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg.append(_for_page(written.getvalue()))


def _for_page(svg: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # would apply to the whole page
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    used = set(re.findall(r"#([\w-]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: found.group() if found.group(1) in used else "", svg)
    svg = svg.replace("xlink:href", "href")
    # Equal markers have equal ids in all plots; the plot's own checksum tells them apart.
    own = f"{zlib.crc32(svg.encode()):08x}"
    svg = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{own}-", svg)
    for colour, variable in _THEME.items():
        svg = svg.replace(colour, variable)
    svg = re.sub(r"font-family: [^;\"]*; ", "", svg)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)
    return re.sub(r"\s*\n\s*", "\n", svg)
