"""The page: one HTML document that needs nothing beside it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from markupsafe import Markup

from neople_timeline.models import end_of_week, week_of
from neople_timeline.report import charts
from neople_timeline.report.charts import Bar
from neople_timeline.report.environment import make_environment
from neople_timeline.report.places import day_key, make_linker, week_key
from neople_timeline.report.words import ROUTES, make_speaker, show_change, show_content, show_text
from neople_timeline.settings import Language
from neople_timeline.summary import (
    EQUIPMENT_ROUTES,
    OATH_ROUTES,
    RARITIES,
    SAFE_ROUTES,
    TREND_DAYS,
    Content,
    DropCount,
    Summary,
)

MOST_BARS: Final = 12
"""Raids that are drawn, and legions."""
HEADLINES: Final = ("primeval", "epic", "legendary", "events", "active", "raids", "legions")


@dataclass(frozen=True)
class Headline:
    """One figure and how it moved; `changes` are (against what, written change)."""

    name: str
    value: int
    changes: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Pivot:
    """Counts by route (rows, each with its sum) and rarity (columns), and the sums of the columns."""

    rarities: tuple[str, ...]
    rows: tuple[tuple[int, tuple[int, ...], int], ...]
    sums: tuple[int, ...]
    moved: tuple[tuple[int, tuple[int, ...], int], ...]
    """The row of the account safe, which is no gain and in no sum."""


def render_page(summary: Summary, language: Language, known: Collection[str] = ()) -> bytes:
    """Render the page of a day or week; the same values give the same bytes. `known` are the pages it may point to."""
    template = make_environment(language, is_week=summary.is_week).get_template("report.html.j2")
    drops, oaths = pivot_drops(summary.drops, EQUIPMENT_ROUTES), pivot_drops(summary.drops, OATH_ROUTES)
    page = template.render(
        summary=summary,
        headlines=list_headlines(summary),
        lead=write_lead(summary, language),
        notices=list_notices(summary, language),
        drops=drops,
        oaths=oaths,
        charts={name: Markup(svg) for name, svg in _draw_charts(summary, drops, language).items()},  # noqa: S704 - drawn by us
        link=make_linker(page_key(summary), known),
        neighbours=list_neighbours(summary),
        most_bars=MOST_BARS,
    )
    return page.encode()


def page_key(summary: Summary) -> str:
    """Name the object of a report's page."""
    return week_key(summary.first) if summary.is_week else day_key(summary.day)


def list_neighbours(summary: Summary) -> tuple[tuple[str, str], ...]:
    """List the reports beside this one, as (key of what it is called, key of the page)."""
    if summary.is_week:
        return (("week_before", week_key(summary.first - timedelta(days=7))),)
    week = week_of(summary.day)
    finished = week if summary.day == end_of_week(week) else week - timedelta(days=7)
    return (("yesterday", day_key(summary.day - timedelta(days=1))), ("weekly", week_key(finished)))


def list_headlines(summary: Summary) -> tuple[Headline, ...]:
    """List the headline figures with their change against yesterday and last week, where these are known."""
    today = summary.figures
    if today is None:
        return ()
    earlier = {"yesterday": summary.yesterday, "last_week": summary.last_week}
    return tuple(
        Headline(
            name,
            getattr(today, name),
            tuple(
                (against, show_change(getattr(today, name), getattr(figures, name)))
                for against, figures in earlier.items()
                if figures is not None
            ),
        )
        for name in HEADLINES
    )


def write_lead(summary: Summary, language: Language) -> str:
    """Say in a sentence or two what kind of day it was."""
    say = make_speaker(language, is_week=summary.is_week)
    today = summary.figures
    if today is None:
        return say("lead_unknown")
    if today.primeval:
        lead = say("lead_primeval", primeval=f"{today.primeval:,}")
        others = [day for day in summary.trend if day.day != summary.day]
        whole = [day for day in others if day.day in summary.whole]
        if not summary.is_week and len(whole) > 2 and today.primeval > max(day.primeval for day in others):
            days = len(whole) + 1
            record = "lead_record" if days == TREND_DAYS else "lead_record_of_some"
            lead += " " + say(record, days=days, last=TREND_DAYS)
        return lead
    return say("lead_epic", epic=f"{today.epic:,}") if today.epic else say("lead_quiet")


def list_notices(summary: Summary, language: Language) -> list[str]:
    """Say which days were left out or are still to be collected, and what the API tells anew or no more."""
    say = make_speaker(language, is_week=summary.is_week)
    absent, waiting = summary.state.absent, summary.state.waiting
    codes = ", ".join(f"{one.code} {show_text(one.name)} ({one.events:,})" for one in summary.novelties)
    return [
        *([say("absent_banner", days=", ".join(map(str, absent)))] if absent else []),
        *([say("waiting_banner", count=len(waiting), first=waiting[0], last=waiting[-1])] if waiting else []),
        *([say("unknown_banner", codes=codes)] if codes else []),
        *([say("emptied_banner", columns=", ".join(summary.emptied))] if summary.emptied else []),
    ]


def pivot_drops(drops: tuple[DropCount, ...], routes: tuple[int, ...]) -> Pivot:
    """Arrange the gains of some routes by route and rarity, both in their fixed order; the account safe apart."""
    counts = {(drop.code, drop.rarity): drop.count for drop in drops if drop.code in routes}
    found = {rarity for _, rarity in counts}
    rarities = tuple(rarity for rarity in (*RARITIES, *sorted(found - set(RARITIES))) if rarity in found)
    by_route = {code: tuple(counts.get((code, rarity), 0) for rarity in rarities) for code in routes}
    found_routes = [(code, row, sum(row)) for code, row in by_route.items() if any(row)]
    rows = tuple(route for route in found_routes if route[0] not in SAFE_ROUTES)
    moved = tuple(route for route in found_routes if route[0] in SAFE_ROUTES)
    sums = tuple(sum(row[place] for _, row, _ in rows) for place in range(len(rarities)))
    return Pivot(rarities, rows, sums, moved)


def _draw_charts(summary: Summary, drops: Pivot, language: Language) -> dict[str, str]:
    figures = {}
    if bars := _make_drop_bars(drops, language):
        figures["drops"] = charts.draw_bars(bars, charts.PAGE)
    for kind, contents in summary.board.by_kind.items():
        figures[kind] = charts.draw_bars(_make_content_bars(contents[:MOST_BARS], language), charts.PAGE)
    if any(one.tried for one in summary.attempts):
        figures["attempts"] = charts.draw_success(summary.attempts, charts.PAGE)
    if any(summary.hours):
        figures["hours"] = charts.draw_hours(summary.hours, summary.hours_before, summary.first_hour, charts.PAGE)
    if len(summary.trend) > 1:
        figures["trend"] = charts.draw_trend(summary.trend, summary.whole, summary.day, charts.PAGE)
    return {name: charts.to_svg(figure, name) for name, figure in figures.items()}


def _make_drop_bars(drops: Pivot, language: Language) -> list[Bar]:
    colours = [charts.PAGE.rarities.get(rarity, charts.PAGE.rarities[""]) for rarity in drops.rarities]
    return [Bar(ROUTES[language][code], tuple(zip(colours, row, strict=True))) for code, row, _ in drops.rows]


def _make_content_bars(contents: Sequence[Content], language: Language) -> list[Bar]:
    hard, other = charts.PAGE.second, charts.PAGE.main
    return [
        Bar(show_content(one.kind, one.name, language), ((hard, one.hard), (other, one.characters - one.hard)))
        for one in contents
    ]
