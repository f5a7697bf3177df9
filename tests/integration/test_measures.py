"""What monitoring is told of a day, what others may build on, and the mails to those who run it."""

from dataclasses import asdict, replace
from datetime import date
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import psycopg
import pytest
from collected_day import collect_day

from neople_timeline import pipeline
from neople_timeline.settings import Settings
from neople_timeline.summary import Spending
from neople_timeline.warehouse.connection import connect_reader
from neople_timeline.warehouse.state import read_state

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
SIGNED, UNSIGNED = 2**63, 2**64


def query(settings: Settings, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(settings.warehouse_url) as connection:
        return connection.execute(statement.encode(), values).fetchall()


def test_a_day_is_measured_as_it_is(settings: Settings) -> None:
    day = collect_day(settings)
    ((events,),) = query(settings, "SELECT count(*) FROM timeline.event")
    ((characters,),) = query(settings, "SELECT count(*) FROM timeline.character")
    ((requests,),) = query(settings, "SELECT sum(requests)::integer FROM timeline.worker")

    found = pipeline.measure_day(settings, day)

    assert (found.events, found.characters, found.requests) == (events, characters, requests)
    assert (found.owed, found.owed_in_all, found.unreadable, found.missing) == (0, 0, 0, 0)
    assert found.used_share is not None
    assert 0 < found.used_share <= 1
    assert found.lag_seconds is not None
    assert 0 < found.lag_seconds < 2 * 86400


def test_the_ledger_tells_what_each_collector_was_allowed_used_and_wasted(settings: Settings) -> None:
    day = collect_day(settings)
    statement = OPERATIONS.read_text("utf-8").partition("```sql")[2].partition("```")[0]

    rows = query(settings, statement.strip().rstrip(";"))

    spending = read_page_spending(settings, day)
    assert {(kind, last_day) for _, kind, last_day, *_ in rows} == {("daily", day)}
    allowed, used, wasted, seconds, least = (sum(row[place] for row in rows) for place in range(4, 9))
    assert (used, wasted) == (spending.usage.requests, spending.usage.wasted)
    assert seconds == pytest.approx(spending.usage.seconds)
    assert allowed == pytest.approx(spending.usage.allowed(spending.rate), abs=len(rows))
    assert least == pytest.approx(spending.usage.least_seconds(spending.rate))


def read_page_spending(settings: Settings, day: date) -> Spending:
    with connect_reader(settings) as connection:
        spending = read_state(connection, day, day).spending
    assert spending
    return spending


def test_debts_are_measured_on_their_day_and_in_all(settings: Settings) -> None:
    day = collect_day(settings)
    query(
        settings,
        "UPDATE timeline.collection SET state = 'owed', raw_key = NULL WHERE (server_id, character_id) IN"
        " (SELECT server_id, character_id FROM timeline.collection LIMIT 3) RETURNING 1",
    )

    assert pipeline.measure_day(settings, day).owed == 3
    assert pipeline.measure_day(settings, date(2026, 1, 1)).owed == 0
    assert pipeline.measure_day(settings, date(2026, 1, 1)).owed_in_all == 3


def test_a_day_that_was_never_planned_has_figures_too(settings: Settings) -> None:
    found = asdict(pipeline.measure_day(settings, date(2026, 1, 1)))

    assert {name for name, value in found.items() if value is None} == {
        "requests", "wasted", "used_share", "collecting_seconds", "lag_seconds",
    }  # fmt: skip
    assert {value for value in found.values() if value is not None} == {0}


def test_a_days_digest_is_the_sum_of_its_characters_digests_and_follows_every_change(settings: Settings) -> None:
    day = collect_day(settings)
    rows = query(settings, "SELECT digest, events FROM timeline.collection WHERE raw_key IS NOT NULL")

    (total,) = pipeline.total_days(settings, [day, date(2026, 1, 1)])

    assert total.day == day
    assert (total.characters, total.events) == (len(rows), sum(events for _, events in rows))
    assert int(total.digest, 16) == sum(digest for digest, _ in rows) % UNSIGNED
    query(settings, "UPDATE timeline.collection SET digest = digest # 1 WHERE digest <> 0 RETURNING 1")
    assert pipeline.total_days(settings, [day])[0].digest != total.digest


def test_an_alert_is_mailed_once_and_shows_hostile_text_as_text(settings: Settings, smtp: Any) -> None:
    day = date(2026, 11, 15)
    title, lines = "[failed] run\r\nBcc: x@example.org", ["<b>\u202eabc\x00", "http://localhost:8080/dags/a/runs/b"]

    assert pipeline.mail_alert(settings, "failed run-1", day, title, lines)
    assert not pipeline.mail_alert(settings, "failed run-1", day, title, lines)
    assert pipeline.mail_alert(settings, "failed run-2", day, title, lines)

    mails = [message_from_bytes(path.read_bytes(), policy=default) for path in (smtp.maildir / "new").iterdir()]
    assert len(mails) == 2
    for mail in mails:
        assert (mail["Subject"], mail["Bcc"]) == ("[failed] run Bcc: x@example.org", None)
        assert mail.get_content().split() == ["<b>abc", "http://localhost:8080/dags/a/runs/b"]


def test_without_mail_there_is_no_alert(settings: Settings) -> None:
    assert not pipeline.mail_alert(replace(settings, smtp_url=""), "late", date(2026, 11, 15), "late", ["late"])
