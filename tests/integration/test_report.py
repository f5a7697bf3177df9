"""The report of days that the sandbox API told, through PostgreSQL and the lake to page and mail."""

import csv
import io
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from collected_day import work_off
from reported_day import DAY, PAGE, query, read_mails

from mail_catcher import Smtp
from neople_timeline import pipeline
from neople_timeline.errors import ConfigError, RetryLater
from neople_timeline.lake import open_lake
from neople_timeline.models import week_of
from neople_timeline.report import publish
from neople_timeline.report.page import render_page
from neople_timeline.report.places import adventure_key
from neople_timeline.settings import Settings
from neople_timeline.summary import BEST_RARITIES, DROP_ROUTES, OATH_DROP_ROUTES
from neople_timeline.warehouse.connection import connect, connect_reader
from neople_timeline.warehouse.days import PAGES_LOCK
from neople_timeline.warehouse.profiles import read_profiles
from neople_timeline.warehouse.summary import read_summary
from sandbox_control import SandboxApi


@pytest.fixture
def collected(settings: Settings, sandbox_api: SandboxApi) -> Settings:
    """A warehouse and a lake that hold two days of 40 characters, proven."""
    pipeline.import_roster(settings, sandbox_api.read("roster.csv"))
    for day in (DAY - timedelta(days=1), DAY):
        collect_day(settings, day)
    return settings


def collect_day(settings: Settings, day: date) -> None:
    work_off(settings, pipeline.plan_day(settings, day))


def test_the_page_lands_in_the_lake_and_one_mail_leaves_however_often_it_is_asked(
    collected: Settings, smtp: Smtp
) -> None:
    published = [pipeline.publish_report(collected, DAY) for _ in range(3)]
    assert [one.mailed for one in published] == [True, False, False]
    with connect(collected) as connection:
        summary = read_summary(connection, DAY, collected.calendar)
    lake = open_lake(collected)
    assert lake.get(PAGE) == render_page(summary, "ko", lake.list_keys("reports"))
    assert {(one.url, one.debts) for one in published} == {(f"{collected.lake_url}/{PAGE}", 0)}
    (mail,) = read_mails(smtp)
    assert str(DAY) in mail["Subject"]
    assert mail["To"] == "players@example.org"
    plain = mail.get_body(("plain",))
    assert plain is not None
    assert published[0].url in plain.get_content()
    assert query(collected, "SELECT edition, day, sent_at IS NOT NULL FROM timeline.mail") == [("daily", DAY, True)]


def test_the_summary_says_what_postgresql_holds(collected: Settings) -> None:
    with connect(collected) as connection:
        summary = read_summary(connection, DAY, collected.calendar)
        again = read_summary(connection, DAY, collected.calendar)
        before = read_summary(connection, DAY - timedelta(days=1), collected.calendar)
    assert summary == again
    assert summary.figures is not None
    assert summary.yesterday is not None
    assert summary.is_whole
    assert summary.last_week is None
    assert [figures.day for figures in summary.trend] == [DAY - timedelta(days=1), DAY]
    (counts,) = query(
        collected,
        "SELECT count(*), count(DISTINCT character_id),"
        " count(*) FILTER (WHERE item_rarity = '에픽' AND code IN (505, 513, 504, 507, 514, 520, 521)),"
        f" count(*) FILTER (WHERE code = 209) FROM timeline.event WHERE day = '{DAY}'",
    )
    figures = summary.figures
    assert (figures.events, figures.active, figures.epic, figures.legions) == counts
    assert sum(summary.hours) == figures.events
    assert (
        sum(
            drop.count
            for drop in summary.drops
            if drop.rarity == "에픽" and drop.code in (505, 513, 504, 507, 514, 520, 521)
        )
        == figures.epic
    )
    ((best, primevals),) = query(
        collected,
        "SELECT count(*), count(*) FILTER (WHERE item_rarity = '태초') FROM timeline.event"
        f" WHERE day = '{DAY}' AND (item_rarity IN ('태초', '신화', '에픽')"
        " AND code IN (505, 513, 504, 507, 514, 520, 521)"
        " OR item_rarity = '태초' AND code IN (550, 551, 552, 554, 555, 557))",
    )
    assert summary.best_drop_count == best
    assert len(summary.best_drops) == min(best, max(20, primevals))
    assert list(summary.best_drops) == sorted(
        summary.best_drops, key=lambda drop: (BEST_RARITIES.index(drop.rarity), drop.minute)
    )
    channels = query(
        collected,
        f"SELECT channel_name, channel_no, count(*) FROM timeline.event WHERE day = '{DAY}' AND item_rarity = '태초'"
        " AND code IN (505, 513, 504, 507, 514, 520, 521) AND channel_name IS NOT NULL GROUP BY 1, 2",
    )
    assert summary.channel_count == len(channels)
    assert {(one.name, one.number, one.primeval) for one in summary.channels} <= set(channels)
    assert [one.primeval for one in summary.channels] == sorted((count for *_, count in channels), reverse=True)[:5]
    assert (summary.state.planned, summary.state.owed, summary.state.is_verified) == (40, 0, True)
    assert summary.state.spending is not None
    used = summary.state.spending.usage
    assert 40 <= used.requests <= used.allowed(summary.state.spending.rate)
    assert len(summary.board.rows) == 40
    assert (summary.board.week, summary.board.last) == (week_of(DAY), DAY)
    assert before.board.last == DAY, "the day before is told with the whole week's clears"
    clears = {
        goal: sum(row.clears[place] for row in summary.board.rows) for place, goal in enumerate(summary.board.goals)
    }
    assert clears == {goal: goal.clears for goal in summary.board.goals}
    for content in summary.board.contents:
        modes = [
            {goal.is_hard for goal, count in zip(summary.board.goals, row.clears, strict=True)
             if count and (goal.kind, goal.name) == (content.kind, content.name)}
            for row in summary.board.rows
        ]  # fmt: skip
        assert (content.characters, content.hard) == (sum(map(bool, modes)), sum(True in one for one in modes))
    assert len(summary.board.contents) == len({(goal.kind, goal.name) for goal in summary.board.goals})


def test_what_is_made_or_moved_is_no_drop_and_who_was_missing_before_is_new(collected: Settings) -> None:
    ((server, character),) = query(
        collected,
        f"SELECT server_id, character_id FROM timeline.event WHERE day = '{DAY}' AND item_rarity IS NOT NULL LIMIT 1",
    )
    mine = f"day = '{DAY}' AND server_id = '{server}' AND character_id = '{character}'"
    assert query(
        collected,
        "UPDATE timeline.event SET item_rarity = '태초', code = CASE ordinal % 2 WHEN 0 THEN 511 ELSE 516 END"
        f" WHERE {mine} RETURNING code",
    )
    query(
        collected,
        "UPDATE timeline.collection SET state = 'missing', raw_key = NULL"
        f" WHERE day < '{DAY}' AND character_id = '{character}' RETURNING day",
    )
    with connect(collected) as connection:
        summary = read_summary(connection, DAY, collected.calendar)
    assert summary.best_drops
    assert {drop.code for drop in summary.best_drops} <= {*DROP_ROUTES, *OATH_DROP_ROUTES}
    assert [(one.person.server_id, one.person.character_id) for one in summary.newcomers] == [(server, character)]


def test_kinds_of_events_that_nobody_knows_and_columns_that_went_empty_are_told(
    settings: Settings, sandbox_api: SandboxApi, smtp: Smtp
) -> None:
    pipeline.import_roster(settings, sandbox_api.read("roster.csv"))
    collect_day(settings, DAY - timedelta(days=1))
    sandbox_api.fail({"fault": "unknown_code"})
    collect_day(settings, DAY)
    query(settings, f"UPDATE timeline.event SET item_name = NULL WHERE day = '{DAY}' RETURNING 1")
    with connect(settings) as connection:
        summary, before = (read_summary(connection, day, settings.calendar) for day in (DAY, DAY - timedelta(days=1)))
    told = query(
        settings, f"SELECT code, name, count(*) FROM timeline.event WHERE day = '{DAY}' AND code = 999 GROUP BY 1, 2"
    )
    assert [(one.code, one.name, one.events) for one in summary.novelties] == told != []
    assert summary.emptied == ("item_name",)
    assert (before.novelties, before.emptied) == ((), ())
    pipeline.publish_report(settings, DAY)
    plain = read_mails(smtp)[0].get_body(("plain",))
    assert plain is not None
    assert re.search(r"999 .+item_name", plain.get_content(), re.DOTALL)


def test_a_day_that_was_owed_and_is_complete_later_is_mailed_twice_and_not_again(
    collected: Settings, smtp: Smtp
) -> None:
    where = f"day = '{DAY}' AND bucket = 0"
    owe = f"UPDATE timeline.collection SET state = 'owed', reason = 'timed out' WHERE {where} RETURNING 1"
    owed = len(query(collected, owe))
    assert owed
    with connect(collected) as connection:
        summary = read_summary(connection, DAY, collected.calendar)
    assert (summary.is_whole, summary.yesterday, summary.hours_before) == (False, None, None)
    assert [pipeline.publish_report(collected, DAY).debts for _ in range(2)] == [owed, owed]
    query(collected, f"UPDATE timeline.collection SET state = 'verified' WHERE day = '{DAY}' RETURNING 1")
    assert [pipeline.publish_report(collected, DAY).mailed for _ in range(2)] == [True, False]
    subjects = sorted(mail["Subject"] for mail in read_mails(smtp))
    assert len(subjects) == 2
    assert subjects[0].startswith(f"[수집 대기 {owed}건]")
    assert subjects[1].startswith("[수집 완료]")


def test_the_last_day_of_a_week_brings_the_week_and_its_mail_once(
    settings: Settings, sandbox_api: SandboxApi, smtp: Smtp
) -> None:
    wednesday, thursday = date(2026, 10, 21), date(2026, 10, 15)
    pipeline.import_roster(settings, sandbox_api.read("roster.csv"))
    work_off(settings, pipeline.plan_backfill(settings, thursday, wednesday))
    assert pipeline.publish_report(settings, wednesday - timedelta(days=1)).week_url is None
    published = [pipeline.publish_report(settings, wednesday) for _ in range(2)]
    week = f"reports/week={thursday}/index.html"
    assert [(one.mailed, one.week_url) for one in published] == [
        (True, f"{settings.lake_url}/{week}"),
        (False, f"{settings.lake_url}/{week}"),
    ]
    assert sorted(mail["Subject"][:12].strip() for mail in read_mails(smtp)) == [
        f"{thursday} ~",
        "2026-10-20 던",
        "2026-10-21 던",
    ]
    ((events, active),) = query(
        settings,
        "SELECT count(*), count(DISTINCT character_id) FROM timeline.event"
        f" WHERE day BETWEEN '{thursday}' AND '{wednesday}'",
    )
    with connect(settings) as connection:
        summary = read_summary(connection, wednesday, settings.calendar, first=thursday)
    assert summary.figures is not None
    assert (summary.figures.events, summary.figures.active, sum(summary.hours)) == (events, active, events)
    assert (summary.state.planned, summary.last_week) == (280, None)
    primevals = [drop for drop in summary.best_drops if drop.rarity == "태초"]
    assert len(primevals) == sum(
        drop.count for drop in summary.drops if drop.rarity == "태초" and drop.code not in (516, 556)
    )
    assert primevals == sorted(primevals, key=lambda drop: drop.minute, reverse=True)
    assert any(drop.is_oath for drop in primevals)
    counts = Counter(drop.person.character_id for drop in primevals if not drop.is_oath)
    assert summary.star is not None
    assert summary.star.count == max(counts.values()) == counts[summary.star.drop.person.character_id]
    assert summary.star.drop.minute == min(
        drop.minute for drop in primevals if not drop.is_oath and counts[drop.person.character_id] == summary.star.count
    )
    page = open_lake(settings).get(week).decode()
    assert "던파 타임라인 주간 리포트" in page
    assert 'href="../day=2026-10-20/index.html"' in page
    assert "day=2026-10-19" not in page


def test_every_character_and_adventure_of_a_small_roster_has_a_page_that_says_what_postgresql_holds(
    collected: Settings,
) -> None:
    pipeline.publish_report(collected, DAY)
    lake = open_lake(collected)
    rows = query(
        collected,
        "SELECT server_id, character_id, sum(events) FROM timeline.mart_characters_by_day GROUP BY 1, 2",
    )
    assert len(rows) == 40
    for server, character, events in rows:
        page = lake.get(f"reports/characters/{server}/{character}.html").decode()
        assert f">{events:,}</dd>" in page
        assert f'href="../../day={DAY}/index.html"' in page
    adventures = query(
        collected,
        "SELECT DISTINCT ON (server_id, character_id) server_id, adventure_name FROM timeline.character"
        " ORDER BY server_id, character_id, day DESC",
    )
    expected = {adventure_key(str(server), str(name)) for server, name in adventures if name}
    assert set(lake.list_keys("reports/adventures")) == expected
    daily = lake.get(PAGE).decode()
    links = set(re.findall(r'href="\.\./((?:characters|adventures)/[^"]+)"', daily))
    assert len(links) > 40
    assert links <= {key.removeprefix("reports/") for key in lake.list_keys("reports")}


def test_the_best_drops_of_a_character_are_the_rarest_and_of_these_the_newest(collected: Settings) -> None:
    named = query(collected, "SELECT server_id, character_id FROM timeline.roster ORDER BY 2 DESC LIMIT 20")
    with connect(collected) as connection:
        profiles = read_profiles(connection, DAY, {(str(server), str(character)) for server, character in named})
    drops = [[(BEST_RARITIES.index(one.rarity), one.minute) for one in profile.best_drops] for profile in profiles]
    assert any(len({place for place, _ in of_one}) > 1 for of_one in drops)
    for of_one in drops:
        newest_first = sorted(of_one, key=lambda drop: drop[1], reverse=True)
        assert of_one == sorted(newest_first, key=lambda drop: drop[0])


def test_the_page_in_airflow_cannot_write(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="no schema yet"):
        pipeline.show_coverage(settings)
    assert query(settings, "SELECT count(*) FROM pg_namespace WHERE nspname = 'timeline'") == [(0,)]
    connect(settings).close()
    with connect_reader(settings) as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("DELETE FROM timeline.mail")
    assert b"</html>" in pipeline.show_coverage(settings)


def test_the_calendar_leads_back_and_forth(settings: Settings) -> None:
    connect(settings).close()
    newest = settings.calendar.last_over(datetime.now(UTC))

    def follow(page: bytes, word: str) -> date | None:
        link = re.search(rf'href="\?until=([0-9-]+)">{word}<', page.decode())
        return date.fromisoformat(link[1]) if link else None

    page = pipeline.show_coverage(settings)
    assert follow(page, "다음 달") is None
    earlier = follow(page, "이전 달")
    assert earlier is not None
    assert follow(pipeline.show_coverage(settings, earlier), "다음 달") == newest

    before = follow(pipeline.show_coverage(settings, earlier), "이전 달")
    assert before is not None
    later = follow(pipeline.show_coverage(settings, before), "다음 달")
    assert later is not None
    assert follow(pipeline.show_coverage(settings, later), "이전 달") == before, "the pages leave no month out"


def test_a_day_of_the_calendar_leads_to_its_report_if_there_is_one(settings: Settings) -> None:
    connect(settings).close()
    link = f'href="reports/day={DAY}/index.html">이날의 일일 리포트<'
    assert link not in pipeline.show_coverage(settings, day=DAY).decode()
    open_lake(settings).put(PAGE, b"<html>")
    assert link in pipeline.show_coverage(settings, day=DAY).decode()
    assert "이날의 일일 리포트" not in pipeline.show_coverage(settings).decode()


def test_an_export_has_every_row_once_and_no_formula(collected: Settings) -> None:
    query(collected, f"UPDATE timeline.character SET character_name = E'=1+1\\r\\nx' WHERE day = '{DAY}' RETURNING 1")
    rows = list(
        csv.DictReader(io.StringIO("".join(pipeline.export_table(collected, "character", DAY, DAY)), newline=""))
    )
    assert {row["character_name"] for row in rows} == {"'=1+1 x"}
    assert len(rows) == 40
    events = list(csv.DictReader(io.StringIO("".join(pipeline.export_table(collected, "event", DAY, DAY)), newline="")))
    assert sorted((row["character_id"], row["occurred_minute"], int(row["code"])) for row in events) == sorted(
        query(collected, f"SELECT character_id, occurred_minute, code FROM timeline.event WHERE day = '{DAY}'")
    )
    assert {row["character_name"] for row in events} == {"'=1+1 x"}
    adventures = {row["character_id"]: row["adventure_name"] for row in rows}
    assert [row["adventure_name"] for row in events] == [adventures[row["character_id"]] for row in events]
    weeks = csv.DictReader(pipeline.export_table(collected, "mart_luck_by_week", DAY, DAY))
    assert [row["week"] for row in weeks] == [f"{week_of(DAY)}"] * 40  # of a day, the week that it is in
    with pytest.raises(ConfigError, match="there is no table 'nope'"):
        next(pipeline.export_table(collected, "nope", DAY, DAY))


def test_a_day_of_100_000_characters_is_told_in_two_megabytes_and_a_thousand_pages(settings: Settings) -> None:
    with connect(settings) as connection:
        connection.execute(Path(__file__).with_name("crowd.sql").read_bytes())
        connection.execute("ANALYZE")
    with connect(settings) as connection:
        page = render_page(read_summary(connection, DAY, settings.calendar), "ko")
    assert b"100,000" in page
    assert len(page) < 2_000_000
    pipeline.publish_report(replace(settings, smtp_url=""), DAY)
    assert 50 <= len(open_lake(settings).list_keys("reports/characters")) <= 1000


def test_a_publisher_that_was_paused_and_lost_its_lock_overwrites_no_newer_page(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wake_up(*arguments: Any) -> bytes:
        monkeypatch.undo()
        assert query(settings, f"SELECT pg_try_advisory_lock({PAGES_LOCK}, 0)") == [(False,)]
        query(settings, "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'")
        pipeline.publish_report(settings, DAY, "newer")
        return render_page(*arguments)

    monkeypatch.setattr(publish, "render_page", wake_up)
    with pytest.raises(RetryLater):
        pipeline.publish_report(settings, DAY, "older")
    assert "newer" in open_lake(settings).get(PAGE).decode()
