"""kill -9 at every step of the commit order, then the day once more: nothing lost, doubled, altered or paid twice."""

import io
import signal
from email import message_from_bytes
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from place import COMPLETE, Place, params

from neople_timeline.lake import open_lake

LAKE, LEDGER = "neople_timeline.lake:Lake", "neople_timeline.warehouse.ledger"
PLANNING = "neople_timeline.warehouse.planning"
LOAD, AUDIT = "neople_timeline.warehouse.parts", "neople_timeline.warehouse.audit"
PIPELINE, OUTBOX = "neople_timeline.pipeline", "neople_timeline.report.outbox"
IN_FLIGHT = 6 + 6 * 5
"""Characters that a crash may cost: those being asked for, and those gathered or waiting to be landed."""

COLLECTING: dict[str, dict[str, Any]] = {
    "before the plan": {"at": f"{PLANNING}:plan_days"},
    "after the plan": {"at": f"{PLANNING}:plan_days", "after": True},
    "after the first claim": {"at": f"{LEDGER}:claim_characters", "after": True},
    "in the middle of a chain": {"at": "neople_timeline.neople.client:Client._ask", "after": True, "call": 60},
    "before the first raw object": {"at": f"{LAKE}.put_new", "match": "raw/"},
    "after the first raw object": {"at": f"{LAKE}.put_new", "match": "raw/", "after": True},
    "before the third raw object": {"at": f"{LAKE}.put_new", "match": "raw/", "call": 3},
    "after the third raw object": {"at": f"{LAKE}.put_new", "match": "raw/", "after": True, "call": 3},
    "before the third commit": {"at": f"{LEDGER}:commit_landed", "call": 3},
    "after the third commit": {"at": f"{LEDGER}:commit_landed", "after": True, "call": 3},
}
PUBLISHING: dict[str, dict[str, Any]] = {
    "before the worker's end": {"at": f"{LEDGER}:finish_worker"},
    "before the first Parquet object": {"at": f"{LAKE}.replace", "match": "events/"},
    "after the first Parquet object": {"at": f"{LAKE}.replace", "match": "events/", "after": True},
    "before the first characters": {"at": f"{LAKE}.replace", "match": "characters/"},
    "after the second characters": {"at": f"{LAKE}.replace", "match": "characters/", "after": True, "call": 2},
    "before the first part is recorded": {"at": f"{LOAD}:record_part"},
    "after the first part is recorded": {"at": f"{LOAD}:record_part", "after": True},
    "before the rows are copied": {"at": f"{LOAD}:replace_part"},
    "after the events are copied": {"at": f"{LOAD}:_copy", "after": True},
    "after the characters are copied": {"at": f"{LOAD}:_copy", "after": True, "call": 2},
    "before the load is committed": {"at": f"{LOAD}:_mark_loaded", "after": True},
    "after the load is committed": {"at": f"{LOAD}:replace_part", "after": True},
    "before the marts": {"at": f"{PIPELINE}:build_marts"},
    "after the fifth mart object": {"at": f"{LAKE}.replace", "match": "marts/", "after": True, "call": 5},
    "before the proof": {"at": f"{AUDIT}:mark_verified"},
    "after half of the proof": {"at": f"{AUDIT}:mark_verified", "after": True},
    "after the proof": {"at": f"{AUDIT}:mark_day_verified", "after": True},
    "before the page": {"at": f"{LAKE}.replace", "match": "reports/"},
    "after the page": {"at": f"{LAKE}.replace", "match": "reports/", "after": True},
    "before the mail": {"at": f"{OUTBOX}:send_mail"},
    "after the mail": {"at": f"{OUTBOX}:send_mail", "after": True},
    "after the mail is recorded": {"at": f"{OUTBOX}:record_sent", "after": True},
}


@pytest.mark.parametrize(
    "fault", params(COLLECTING, "in the middle of a chain", "before the third raw object", "before the third commit")
)
def test_a_crash_while_collecting_costs_at_most_what_was_in_flight(place: Place, fault: dict[str, Any]) -> None:
    everyone = {character.character_id for character in place.world.characters()}
    assert place.start("day", "2026-10-17", fault=fault).wait() == -signal.SIGKILL
    committed, asked = place.committed(), place.world.stats()["by_character"].keys()
    assert len(asked - committed) <= IN_FLIGHT
    assert committed or fault.get("call", 1) == 1, "nothing was landed, however far it came"
    place.world.forget_stats()
    run = place.day()
    assert run.wait() == COMPLETE, run.text
    assert place.world.stats()["by_character"].keys() == everyone - committed
    place.assert_complete()


@pytest.mark.parametrize(
    "fault",
    params(
        PUBLISHING,
        "before the first characters",
        "before the load is committed",
        "after the fifth mart object",
        "after the page",
        "after the mail",
    ),
)
def test_a_crash_while_publishing_costs_no_request(
    mailed_place: Place, fault: dict[str, Any], clean_marts: dict[str, Any]
) -> None:
    place = mailed_place
    assert place.start("day", "2026-10-17", fault=fault).wait() == -signal.SIGKILL
    place.world.forget_stats()
    # Whether a mail left whose sender died is not known. Ten minutes later it leaves again, as the same message.
    place.query("UPDATE timeline.mail SET claimed_at = claimed_at - interval '11 minutes' RETURNING day")
    run = place.day()
    assert run.wait() == COMPLETE, run.text
    assert place.world.stats()["requests"] == 0
    place.assert_complete()
    assert read_marts(place) == clean_marts
    assert {message_from_bytes(path.read_bytes())["Message-ID"] for path in place.mails()} == {
        name for (name,) in place.query("SELECT message_id FROM timeline.mail WHERE sent_at IS NOT NULL")
    }


def test_a_day_that_is_complete_asks_nothing_and_changes_nothing(mailed_place: Place) -> None:
    place = mailed_place
    assert place.day().wait() == COMPLETE
    before = read_lake(place)
    rows = place.query("SELECT xmin, ctid, * FROM timeline.event")
    place.world.forget_stats()
    assert place.day().wait() == COMPLETE
    assert place.world.stats()["requests"] == 0
    after = read_lake(place)
    assert {key: data for key, data in after.items() if not key.startswith("reports/")} == {
        key: data for key, data in before.items() if not key.startswith("reports/")
    }
    assert place.query("SELECT xmin, ctid, * FROM timeline.event") == rows
    assert len(place.mails()) == 1
    place.assert_complete()


def test_an_object_without_a_commit_is_listed_and_never_read(place: Place) -> None:
    fault = COLLECTING["after the third raw object"]
    assert place.start("day", "2026-10-17", fault=fault).wait() == -signal.SIGKILL
    landed = {row[0] for row in place.query("SELECT DISTINCT raw_key FROM timeline.collection")} - {None}
    orphans = set(open_lake(place.settings).list_keys("raw/")) - landed
    assert len(orphans) == 1
    run = place.day()
    assert "1 orphaned object" in run.text
    place.assert_complete()


def test_a_warehouse_from_an_older_backup_collects_again_beside_what_is_in_the_lake(place: Place) -> None:
    server, _, name = place.environment["WAREHOUSE_URL"].rpartition("/")
    assert place.start("roster", "list").wait() == COMPLETE
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}_backup TEMPLATE {name}".encode())
        assert place.day().wait() == COMPLETE
        newer = open_lake(place.settings).list_keys("raw/")
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        admin.execute(f"ALTER DATABASE {name}_backup RENAME TO {name}".encode())
    run = place.day()
    assert run.wait() == COMPLETE, run.text
    assert f"{len(newer)} orphaned object" in run.text
    place.assert_complete()


@pytest.fixture
def mailed_place(place: Place, smtp: Any) -> Place:
    """A place that mails its reports."""
    place.environment |= {"SMTP_URL": smtp.url, "REPORT_TO": "players@example.org"}
    place.maildir = smtp.maildir
    place.light = False
    return place


@pytest.fixture(scope="module")
def clean_marts(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The marts of a day without a crash."""
    with request.getfixturevalue("borrow_place")() as place:
        place.light = False
        assert place.day().wait() == COMPLETE
        return read_marts(place)


def read_lake(place: Place) -> dict[str, bytes]:
    lake = open_lake(place.settings)
    return {key: lake.get(key) for key in lake.list_keys("")}


def read_marts(place: Place) -> dict[str, Any]:
    """Read every mart from the lake and from PostgreSQL, row by row."""
    objects = {key: data for key, data in read_lake(place).items() if key.startswith("marts/")}
    rows = {key: sorted(map(repr, pq.read_table(io.BytesIO(data)).to_pylist())) for key, data in objects.items()}
    tables = place.query(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'timeline' AND table_name LIKE 'mart_%'"
    )
    return rows | {name: sorted(map(repr, place.query(f"TABLE timeline.{name}"))) for (name,) in tables}
