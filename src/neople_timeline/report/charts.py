"""The charts: SVG for the page, whose colours follow its light or dark style, and PNG for the mail.

PNG charts hold digits and signs only, since the machine that draws them may have no Korean font; SVG charts leave the
drawing of their text to the reader's fonts.
"""

import io
import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from math import nan
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from neople_timeline.report.words import show_text
from neople_timeline.summary import RARITIES, Attempts, DayFigures


@dataclass(frozen=True)
class Colours:
    """What a chart is painted with."""

    ink: str
    faint: str
    main: str
    second: str
    edge: str
    rarities: Mapping[str, str]


PAGE: Final = Colours(
    "#010100", "#010101", "#010102", "#010103", "#010104",
    {rarity: f"#0202{rank:02x}" for rank, rarity in enumerate((*RARITIES, ""))},
)  # fmt: skip
"""Stand-ins, which become the variables of the page's style sheet."""

MAIL: Final = Colours(
    "#1f2430", "#d5d9e2", "#2563a8", "#b45309", "#ffffff",
    dict(zip(
        (*RARITIES, ""),
        ("#0aa89f", "#c94fae", "#d99a00", "#e06c00", "#d85454", "#d100d1", "#8f4fe0", "#3aa6c0", "#8a8f98", "#8a8f98"),
        strict=True,
    )),
)  # fmt: skip
"""Real colours, for a white ground."""

_VARIABLES: Final = {
    **{getattr(PAGE, part.name): f"var(--{part.name})" for part in fields(Colours) if part.name != "rarities"},
    **{stand_in: f"var(--rarity-{rank})" for rank, stand_in in enumerate(PAGE.rarities.values())},
}
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none", "font.family": ["DejaVu Sans"], "font.size": 10, "text.parse_math": False,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "axes.unicode_minus": False,
    "axes.facecolor": "none", "xtick.major.size": 0, "ytick.major.size": 0,
}  # fmt: skip
_WIDTH: Final = 4.6


@dataclass(frozen=True)
class Bar:
    """One horizontal bar: its label, and its pieces as (colour, length)."""

    label: str
    pieces: tuple[tuple[str, int], ...]

    @property
    def length(self) -> int:
        """The whole bar."""
        return sum(length for _, length in self.pieces)


@mpl.rc_context(_STYLE)
def draw_bars(bars: Sequence[Bar], colours: Colours) -> Figure:
    """Draw labelled horizontal bars, each with its length written at its end."""
    figure, axes = _start(0.2 + 0.32 * len(bars), colours, left=0.37, right=0.86, top=0.98, bottom=0.02)
    for row, bar in enumerate(bars):
        start = 0
        for colour, length in bar.pieces:
            axes.barh(row, length, 0.64, start, color=colour, edgecolor=colours.edge, linewidth=0.7)
            start += length
        place = (bar.length, row)
        axes.annotate(f"{bar.length:,}", place, (5, 0), textcoords="offset points", va="center", color=colours.ink)
    axes.set_yticks(range(len(bars)), [show_text(bar.label, 15) for bar in bars])
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.set_xlim(0, max([bar.length for bar in bars] + [1]))
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    return figure


@mpl.rc_context(_STYLE)
def draw_hours(hours: Sequence[int], before: Sequence[int] | None, first_hour: int, colours: Colours) -> Figure:
    """Draw events by hour from the hour at which a day starts: bars, and a line for the day before."""
    order = [(first_hour + offset) % 24 for offset in range(24)]
    figure, axes = _start(2.3, colours)
    axes.bar(range(24), [hours[hour] for hour in order], 0.74, color=colours.main)
    if before is not None:
        axes.plot(range(24), [before[hour] for hour in order], color=colours.second, lw=2, marker="o", ms=3.5)
    axes.set_xticks(range(0, 24, 3), [f"{order[at]:02}" for at in range(0, 24, 3)])
    axes.set_xlim(-0.6, 23.6)
    _number_axis(axes, colours)
    return figure


@mpl.rc_context(_STYLE)
def draw_trend(days: Sequence[DayFigures], whole: Collection[date], last: date, colours: Colours) -> Figure:
    """Draw two rows over the 14 days up to `last`: primeval drops as labelled bars, and events as a line.

    The bars and points of days that are not `whole` are hollow.
    """
    figure = Figure(figsize=(_WIDTH, 2.6), facecolor="none")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.2))
    figure.subplots_adjust(left=0.14, right=0.97, top=0.96, bottom=0.11, hspace=0.25)
    places = [(day.day - last).days for day in days]
    primeval = colours.rarities["태초"]
    fills = [primeval if day.day in whole else "none" for day in days]
    upper.bar(places, [day.primeval for day in days], 0.66, color=fills, edgecolor=primeval, linewidth=1)
    for place, day in zip(places, days, strict=True):
        at = (place, day.primeval)
        upper.annotate(str(day.primeval), at, (0, 2), textcoords="offset points", ha="center", color=colours.ink)
    upper.set_yticks([])
    upper.set_ylim(0, max(day.primeval for day in days) * 1.3 + 1)
    upper.spines["left"].set_visible(False)
    events = dict(zip(places, (day.events for day in days), strict=True))
    span = range(min(places), max(places) + 1)  # the line breaks where a day was not collected
    lower.plot(span, [events.get(place, nan) for place in span], color=colours.main, lw=2.2, marker="o", ms=4.5)
    partial = [day for day in days if day.day not in whole]
    lower.plot(
        [(day.day - last).days for day in partial], [day.events for day in partial], lw=0, marker="o", ms=4.5,
        color=colours.main, mfc=colours.edge,
    )  # fmt: skip
    lower.set_ylim(0, max(day.events for day in days) * 1.15 + 1)
    shown = list(range(-12, 1, 3))
    lower.set_xticks(shown, [(last + timedelta(days=at)).strftime("%m-%d") for at in shown])
    lower.set_xlim(-13.6, 0.6)
    for axes in (upper, lower):
        _dress(axes, colours)
    _number_axis(lower, colours)
    return figure


@mpl.rc_context(_STYLE)
def draw_success(attempts: Sequence[Attempts], colours: Colours) -> Figure:
    """Draw the success rate of plain attempts by target level; a mark's area grows with the attempts behind it."""
    figure, axes = _start(2.3, colours)
    for code, colour, marker, shift in ((401, colours.main, "o", -0.12), (402, colours.second, "s", 0.12)):
        tried = [one for one in attempts if one.code == code and one.tried]
        most = max([one.tried for one in tried], default=1)
        places = [one.level + shift for one in tried]
        rates = [100 * one.succeeded / one.tried for one in tried]
        sizes = [22 + 90 * one.tried / most for one in tried]
        axes.scatter(places, rates, sizes, color=colour, marker=marker, linewidths=0)
    levels = sorted({one.level for one in attempts if one.tried}) or [1]
    axes.set_ylim(-6, 108)
    axes.set_yticks([0, 25, 50, 75, 100], ["0%", "25%", "50%", "75%", "100%"])
    axes.set_xticks(levels[:: max(1, (len(levels) + 6) // 9)])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda level, _: f"+{level:g}"))
    axes.set_xlim(levels[0] - 0.8, levels[-1] + 0.8)
    axes.grid(axis="y", color=colours.faint, linewidth=0.8)
    return figure


def to_svg(figure: Figure, name: str) -> str:
    """Give a figure as SVG to stand inside a page; `name` keeps its ids apart from those of other charts."""
    buffer = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)  # the reader's fonts have it
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(buffer, metadata=nothing)  # type: ignore[no-untyped-call]
    svg = buffer.getvalue()
    svg = re.sub("<[^>]*>", lambda tag: _adopt_tag(tag[0], name), svg[svg.index("<svg") :])
    return re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true" focusable="false">', svg
    )


def to_png(figure: Figure) -> bytes:
    """Give a figure as PNG on white, twice as dense as it is shown."""
    buffer = io.BytesIO()
    figure.set_facecolor("#ffffff")
    figure.set_dpi(200)
    with mpl.rc_context(_STYLE):
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def _adopt_tag(tag: str, name: str) -> str:
    """Make a tag of a drawing part of the page; only tags are touched, never the text between them."""
    tag = (
        tag.replace(' id="', f' id="{name}-')
        .replace("url(#", f"url(#{name}-")
        .replace('xlink:href="#', f'href="#{name}-')
    )
    for stand_in, variable in _VARIABLES.items():
        tag = tag.replace(stand_in, variable)
    return tag


def _start(height: float, colours: Colours, **edges: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH, height), facecolor="none")
    axes = figure.subplots()
    figure.subplots_adjust(**{"left": 0.14, "right": 0.98, "top": 0.95, "bottom": 0.13} | edges)
    _dress(axes, colours)
    return figure, axes


def _dress(axes: Axes, colours: Colours) -> None:
    axes.tick_params(colors=colours.ink)
    for spine in axes.spines.values():
        spine.set_color(colours.faint)


def _number_axis(axes: Axes, colours: Colours) -> None:
    top = axes.get_ylim()[1]
    size, letter = next(((size, letter) for size, letter in ((1e6, "M"), (1e3, "k")) if top >= 10 * size), (1, ""))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / size:,g}{letter if value else ''}"))
    axes.grid(axis="y", color=colours.faint, linewidth=0.8)
