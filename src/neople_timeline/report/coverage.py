"""The page inside Airflow: a calendar of what is there and what is owed, the latest report and the quota."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import psycopg

from neople_timeline.lake import Lake
from neople_timeline.models import add_months, days_between, end_of_month
from neople_timeline.report.environment import make_environment
from neople_timeline.report.places import day_key
from neople_timeline.settings import Language
from neople_timeline.warehouse.coverage import Coverage, CoveredDay, list_newest_days, read_coverage

MONTHS: Final = 6
REPORTS_LOOKED_FOR: Final = 14
SERVED: Final = re.compile(r"(day|week)=\d{4}-\d\d-\d\d/index\.html|(characters|adventures)/[a-z]+/[0-9a-z]+\.html")
"""What is served of the lake: the report's own pages, and nothing beside them."""


@dataclass(frozen=True)
class Cell:
    """One day of the calendar and what there is of it."""

    day: date
    kind: str
    """verified, collected, owed, running, absent or future."""
    open: int


@dataclass(frozen=True)
class Month:
    """A month in weeks of seven cells from Thursday to Wednesday, as players count; None pads the ends."""

    first: date
    weeks: tuple[tuple[Cell | None, ...], ...]


def show_coverage(
    connection: psycopg.Connection, lake: Lake, language: Language, last: date, newest: date, chosen: date | None
) -> bytes:
    """Render the page for the months up to `last`, with what is owed of a chosen day; `newest` is the last one over."""
    first = add_months(last.replace(day=1), 1 - MONTHS)
    reports = (day for day in list_newest_days(connection, REPORTS_LOOKED_FOR) if lake.etag(day_key(day)) is not None)
    coverage = read_coverage(connection, first, last, chosen, next(reports, None))
    has_report = chosen is not None and lake.etag(day_key(chosen)) is not None
    return render_coverage(coverage, language, newest, has_report=has_report)


def read_report(lake: Lake, path: str) -> bytes | None:
    """Read a page of the report by its path below `reports/`; None for what is not there or no page."""
    found = lake.read(f"reports/{path}") if SERVED.fullmatch(path) else None
    return found.data if found else None


def render_coverage(coverage: Coverage, language: Language, newest: date, *, has_report: bool) -> bytes:
    """Render the page, with a link to the chosen day's report if it has one; the same values give the same bytes."""
    template = make_environment(language, is_week=False).get_template("coverage.html.j2")
    last = coverage.last
    page = template.render(
        coverage=coverage,
        has_report=has_report,
        months=list(list_months(coverage)),
        earlier=coverage.first - timedelta(days=1),
        later=min(newest, end_of_month(add_months(last.replace(day=1), MONTHS))) if last < newest else None,
        weekdays=(3, 4, 5, 6, 0, 1, 2),
    )
    return page.encode()


def list_months(coverage: Coverage) -> Iterator[Month]:
    """Cut the days into months, the newest first."""
    known = {day.day: day for day in coverage.days}
    cells = [
        _make_cell(day, known.get(day), coverage.last)
        for day in days_between(coverage.first, end_of_month(coverage.last))
    ]
    for first in sorted({cell.day.replace(day=1) for cell in cells}, reverse=True):
        row: list[Cell | None] = [None] * ((first.weekday() - 3) % 7)
        row += [cell for cell in cells if cell.day.replace(day=1) == first]
        row += [None] * (-len(row) % 7)
        yield Month(first, tuple(tuple(row[at : at + 7]) for at in range(0, len(row), 7)))


def _make_cell(day: date, covered: CoveredDay | None, last: date) -> Cell:
    if day > last:
        return Cell(day, "future", 0)
    if covered is None:
        return Cell(day, "absent", 0)
    if covered.owed:
        return Cell(day, "owed", covered.owed)
    if covered.planned:
        return Cell(day, "running", covered.planned)
    return Cell(day, "verified" if covered.is_verified else "collected", 0)
