"""Publishes a day and, when it is over, its week: pages into the lake, and one mail each."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Final

import psycopg

from neople_timeline.errors import ConfigError
from neople_timeline.lake import Lake
from neople_timeline.models import end_of_week, week_of
from neople_timeline.report.mail import build_mail
from neople_timeline.report.outbox import address_mail, make_message_id, send_once
from neople_timeline.report.page import list_neighbours, page_key, render_page
from neople_timeline.report.places import adventure_key, character_key, day_key
from neople_timeline.report.profiles import list_adventures, render_adventure, render_character
from neople_timeline.settings import Settings
from neople_timeline.summary import Published, Summary
from neople_timeline.warehouse.days import begin_page, hold_pages, record_page
from neople_timeline.warehouse.mail import choose_edition
from neople_timeline.warehouse.marts import take_generation
from neople_timeline.warehouse.profiles import read_newest_day, read_profiles
from neople_timeline.warehouse.summary import read_summary

PAGE_TYPE: Final = "text/html; charset=utf-8"
WRITERS: Final = 8
"""Pages of characters that travel to the lake at once."""
Pages = dict[str, Callable[[], bytes]]
"""How to draw each page, by its key."""


def publish_reports(
    settings: Settings, lake: Lake, connection: psycopg.Connection, days: Iterable[date]
) -> dict[date, Published]:
    """Publish several days one after the other; who is on them gets a page once.

    A day whose mail is refused for good keeps no other from being published: the first such ConfigError is raised last.
    """
    written: set[str] = set()
    published: dict[date, Published] = {}
    errors: list[ConfigError] = []
    for day in days:
        try:
            published[day] = publish_report(settings, lake, connection, day, written=written)
        except ConfigError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return published


def publish_report(
    settings: Settings,
    lake: Lake,
    connection: psycopg.Connection,
    day: date,
    failure: str | None = None,
    written: set[str] | None = None,
) -> Published:
    """Write the pages of a day, of its characters and, on a week's last day, of the week; mail each edition once.

    A week of which a day was never planned has a page and no mail: its figures would pass for the week's. A day that
    still runs or is not proven brings no week and no mail, so that its one mail is left for the whole day; `failure`
    says what keeps it from that. A mail that fails raises after the pages are in the lake, and the page counts as
    outdated until it is out. `written` are the pages of characters that need not be written again; it grows.
    """
    with hold_pages(connection):
        begin_page(connection, day)
        generation = take_generation(connection)
        of_day, of_week = read_summaries(settings, connection, day, failure)
        editions = [of_day, of_week] if of_week else [of_day]
        write_pages(settings, lake, connection, editions, set() if written is None else written)
        mailed = (failure is not None or of_day.is_settled) and mail_report(settings, connection, of_day)
        week_mailed = bool(of_week and not of_week.state.absent and mail_report(settings, connection, of_week))
        if failure is None:  # else the page is outdated from the start: a later run tells how it ended
            record_page(connection, day, generation)
    return Published(
        lake.describe(page_key(of_day)),
        mailed,
        of_day.state.owed,
        lake.describe(page_key(of_week)) if of_week else None,
        week_mailed=week_mailed,
        is_provisional=of_day.is_provisional,
        is_proven=of_day.state.is_verified,
        waiting=len(of_day.state.waiting),
    )


def read_summaries(
    settings: Settings, connection: psycopg.Connection, day: date, failure: str | None
) -> tuple[Summary, Summary | None]:
    """Read a day and, if it is the last of its week and there to stay, the week."""
    summary, week = read_summary(connection, day, settings.calendar, failure), week_of(day)
    if day == end_of_week(week) and summary.figures is not None and failure is None and summary.is_settled:
        return summary, read_summary(connection, day, settings.calendar, first=week)
    return summary, None


def write_pages(
    settings: Settings, lake: Lake, connection: psycopg.Connection, summaries: Sequence[Summary], written: set[str]
) -> None:
    """Draw the editions and the characters that they link to, and write all of them."""
    profiles = draw_profiles(settings, lake, connection, summaries)
    pages = {key: draw for key, draw in profiles.items() if key not in written}
    known = {*profiles, *(page_key(summary) for summary in summaries)}
    etags = lake.etags({*pages, *(page_key(summary) for summary in summaries)})
    connection.execute("SELECT 1")  # fails if the lock is lost: others may have written since what was read here
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda key: write_page(lake, key, pages[key](), etags), pages))
    written |= set(pages)
    for summary in summaries:  # one by one: what draws the charts is not made for threads
        write_page(lake, page_key(summary), draw_report(settings, lake, summary, known), etags)


def draw_report(settings: Settings, lake: Lake, summary: Summary, known: Collection[str]) -> bytes:
    """Draw the page of an edition, pointing to those before it that are in the lake."""
    days = (day_key(summary.day - timedelta(days=back)) for back in range(1, 8))
    beside = {key for key in (*days, *(key for _, key in list_neighbours(summary))) if lake.etag(key) is not None}
    return render_page(summary, settings.report_language, {*known, *beside})


def draw_profiles(
    settings: Settings, lake: Lake, connection: psycopg.Connection, summaries: Sequence[Summary]
) -> Pages:
    """Say how to draw the pages of characters and adventures as of the newest day."""
    newest = read_newest_day(connection)
    if newest is None:
        return {}
    profiles = read_profiles(connection, newest, {key for summary in summaries for key in summary.list_people()})
    adventures = list_adventures(profiles)
    own = {character_key(profile.person): profile for profile in profiles}
    shared = {adventure_key(adventure.server_id, adventure.name): adventure for adventure in adventures}
    editions = {page_key(summary) for summary in summaries}
    last_days = {day_key(profile.days[-1].day) for profile in profiles}
    known = {*own, *shared, *editions, *(key for key, etag in lake.etags(last_days - editions).items() if etag)}
    language = settings.report_language
    return {
        **{key: partial(render_character, profile, language, known) for key, profile in own.items()},
        **{key: partial(render_adventure, adventure, language, known) for key, adventure in shared.items()},
    }


def write_page(lake: Lake, key: str, page: bytes, etags: Mapping[str, str | None]) -> None:
    """Write a page, unless somebody wrote it since its entity tag was seen: that is RetryLater."""
    lake.replace(key, page, etag=etags[key], content_type=PAGE_TYPE)


def mail_report(settings: Settings, connection: psycopg.Connection, summary: Summary) -> bool:
    """Send the mail that a day or week asks for now; False when it was sent before, or nobody is to get it."""
    if not (settings.smtp_url and settings.report_to):
        return False
    kind = "weekly" if summary.is_week else "daily"
    edition = choose_edition(connection, kind, summary.first, is_complete=summary.is_complete)
    message_id = make_message_id(edition, summary.first, settings.report_from, settings.lake_url)
    message = build_mail(summary, edition, settings.report_language, locate_page(settings, page_key(summary)))
    address_mail(message, settings.report_from, settings.report_to, message_id, datetime.now(UTC))
    return send_once(settings, connection, edition, summary.first, message)


def locate_page(settings: Settings, key: str) -> str:
    """Give the address under which readers find a page: a link if it is told where pages are served."""
    return (
        f"{settings.report_url}/{key.removeprefix('reports/')}" if settings.report_url else f"{settings.lake_url}/{key}"
    )
