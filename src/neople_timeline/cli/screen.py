"""What every command says on the terminal and how: hostile names stay text, waiting is told."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from neople_timeline.errors import LONGEST_WAIT, NEW_WAIT_AFTER, ConfigError, NotOver, Refused, RetryLater
from neople_timeline.models import Plan, Usage, number_of, round_seconds
from neople_timeline.plan import Forecast
from neople_timeline.settings import Settings, read_settings
from neople_timeline.summary import Published
from neople_timeline.verify import Verification
from neople_timeline.warehouse.audit import Owed
from neople_timeline.warehouse.state import Gaps

T = TypeVar("T")

COMPLETE, INDEBTED, WRONG, FAILED = range(4)
"""The exit codes: done, finished with debt, wrong usage or settings, failed."""
LISTED = 20
"""Lines of a list that a terminal shows; the report has them all."""


class Screen(Console):
    """A console whose reader may leave, as `head` does: that is no debt."""

    def on_broken_pipe(self) -> None:
        """End as rich does, but for the exit code."""
        try:
            super().on_broken_pipe()
        except SystemExit:
            raise SystemExit(FAILED) from None


out = Screen(highlight=False, soft_wrap=True, emoji=False)
err = Screen(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def read_day(text: str) -> date:
    """Read a day from the command line; one that makes no sense, or of which there can be no data, is a ConfigError."""
    now, calendar = datetime.now(UTC), read_settings().calendar
    newest = calendar.last_over(now)
    if text == "yesterday":
        return newest
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is not a day: write it as 2026-11-15 (or `yesterday`)") from None
    if day < calendar.first_day:
        raise ConfigError(f"{day} is before {calendar.first_day}, the first day of which the API has data")
    if day > calendar.day_at(now):
        begins = f"it begins at {calendar.starts_at:%H:%M} in Korea"
        raise ConfigError(f"the day {day} has not begun ({begins}): the newest day that is over is {newest}")
    return day


def read_days(first: str, last: str | None) -> tuple[date, date]:
    """Read the first and the last day of a range, which may be one; the wrong way round is a ConfigError."""
    days = read_day(first), read_day(last or first)
    if days[0] > days[1]:
        raise ConfigError(f"the first day {days[0]} is after the last day {days[1]}")
    return days


def say_pages(settings: Settings, published: Published) -> None:
    """Say where the pages are and which of them were mailed."""
    mailed = f", mailed to {settings.report_to}"
    out.print(f"Report: {published.url}{mailed if published.mailed else ''}", markup=False)
    if published.week_url:
        out.print(f"Weekly: {published.week_url}{mailed if published.week_mailed else ''}", markup=False)


def say_report(settings: Settings, published: Published, day: date) -> None:
    """Say where the pages are, and what keeps a mail back or a day from being complete."""
    say_pages(settings, published)
    if published.waiting:
        out.print(
            f"Still to be collected: {number_of(published.waiting, 'earlier day')}. Each daily run takes some;"
            " `neople-timeline retry` takes all now."
        )
    if published.is_provisional:
        out.print(
            "This is what there was before the day was over, marked as provisional. It is not mailed: the day's mail"
            " leaves when a run after its end has collected it anew."
        )
    elif not published.is_proven and not published.mailed:
        out.print(
            f"The day is not computed and proven yet, and not mailed: `neople-timeline day {day}` takes it to its end."
        )


def say_plainly(text: str) -> None:
    """Say beside the output what may repeat words of others."""
    err.print(make_plain(text), markup=False)


def patiently(step: Callable[[], T], say: Callable[[str], None] = say_plainly, pause: float = 5.0) -> T:
    """Repeat a step that asks to be repeated later, for hours if need be; the first time after `pause` at the most."""
    waited, longest = 0.0, pause
    while True:
        began = time.monotonic()
        try:
            return step()
        except NotOver as error:
            raise Refused(f"{error}. `day DATE --unfinished` collects what there is of it now.") from None
        except RetryLater as error:
            if time.monotonic() - began >= NEW_WAIT_AFTER.total_seconds():
                waited, longest = 0.0, pause
            if waited >= LONGEST_WAIT.total_seconds():
                raise
            seconds = min(longest, max(error.seconds, 1.0))
            until = "" if waited else f", for {LONGEST_WAIT // timedelta(hours=1)} hours at most; Ctrl-C loses nothing"
            say(f"{error}; trying again in {seconds:.0f} s{until}")
            time.sleep(seconds)
            waited, longest = waited + seconds, min(longest * 2, 600.0)


def watch(name: str, step: Callable[[], T], pause: float = 5.0) -> T:
    """Repeat a step as `patiently` does; a terminal shows meanwhile what is done and for how long."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    # Switched off for a file: the end of a bar would leave an empty line there.
    with Progress(*columns, console=err, transient=True, disable=not err.is_interactive) as bar:
        bar.add_task(name, total=None)
        return patiently(step, pause=pause)


def say_plan(plan: Plan, first: date) -> None:
    """Tell what a plan will take."""
    earlier = len([one for one in plan.days if one < first])
    debts = f" (and debts of {number_of(earlier, 'earlier day')})" if earlier else ""
    work = f"{number_of(plan.pending, 'character-day')} to collect" if plan.pending else "everything is there already"
    out.print(f"{number_of(plan.characters, 'character')}, {number_of(len(plan.days), 'day')}{debts}: {work}.")


def say_usage(used: Usage, rate: int) -> None:
    """Tell what the requests were used for, if there were any."""
    if used.requests:
        out.print(f"{used.describe(rate)}.")


def say_verification(result: Verification) -> int:
    """Tell what verifying found, and name the exit code that says the same."""
    for finding in result.disagreements[:LISTED]:
        out.print(f"  {finding}", markup=False)
    for debt in result.owed[:LISTED]:
        out.print(f"  owed: {show_debt(debt)}", markup=False)
    if len(result.owed) > LISTED:
        out.print(f"  … and {len(result.owed) - LISTED:,} more: `neople-timeline owed` lists them all")
    for key in result.orphans[:LISTED]:
        out.print(f"  orphaned, never read: {key}", markup=False)
    if len(result.orphans) > LISTED:
        out.print(f"  … and {number_of(len(result.orphans) - LISTED, 'more orphan')}")
    out.print(
        f"Verified {number_of(result.checked, 'character-day')} with {number_of(result.events, 'event')}:"
        f" {number_of(len(result.disagreements), 'disagreement')}, {len(result.owed):,} owed,"
        f" {result.missing:,} of unknown characters, {number_of(len(result.orphans), 'orphaned object')}."
    )
    if result.unfinished:
        days = _list_days(result.unfinished)
        finish = "another run is at work on it, or `neople-timeline day` has to finish it"
        out.print(f"Landed and not loaded yet: {days}: {finish}")
    if result.uncollected:
        out.print(f"Never collected: {_list_days(result.uncollected)}")
    if result.provisional:
        again = "not proven until `neople-timeline day` has asked again"
        out.print(f"Asked for before its end, and {again}: {_list_days(result.provisional)}")
    if not result.ok:
        return FAILED
    is_whole = not (result.owed or result.unfinished or result.uncollected or result.provisional)
    return COMPLETE if is_whole else INDEBTED


def show_debt(debt: Owed) -> str:
    """Write what is owed on a line: the day, who, why, and how often it was tried."""
    name = f" ({make_plain(debt.name)})" if debt.name else ""
    return f"{debt.day}  {'/'.join(debt.character)}{name}  {make_plain(debt.reason)}  (tries: {debt.attempts})"


def say_gaps(gaps: Gaps) -> int:
    """Say beside the output what is lacking of some days, and name the exit code that says the same."""
    if gaps.absent:
        err.print(f"Never collected: {_list_days(gaps.absent)}")
    if gaps.unproven:
        err.print(f"Not proven, or computed before its last rows came: {_list_days(gaps.unproven)}")
    if gaps.owed:
        err.print(f"Owed: {number_of(gaps.owed, 'character-day')}; `neople-timeline owed` lists them.")
    return INDEBTED if gaps.absent or gaps.unproven or gaps.owed else COMPLETE


def _list_days(days: Sequence[date]) -> str:
    more = f" and {len(days) - LISTED:,} more" if len(days) > LISTED else ""
    return f"{', '.join(map(str, days[:LISTED]))}{more}"


def say_forecast(settings: Settings, forecast: Forecast) -> None:
    """Tell what a backfill would take."""
    table = Table("", "", show_header=False, box=None)
    table.add_row("characters", f"{forecast.characters:,}")
    table.add_row("character-days there already", f"{forecast.there:,}")
    table.add_row("character-days to collect", f"{forecast.pending:,}")
    how = "about" if forecast.is_estimate else "at least"
    table.add_row(f"requests, {how}", f"{forecast.requests:,}")
    seconds = forecast.requests / settings.neople_api_rate
    time_needed = "under 1 s" if 0 < seconds < 1 else round_seconds(seconds)
    table.add_row(f"time at {settings.neople_api_rate:,} requests/s, {how}", time_needed)
    out.print(table)


def make_plain(text: str) -> str:
    """Strip what could steer a terminal from text written by strangers."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
