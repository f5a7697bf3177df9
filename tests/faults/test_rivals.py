"""Several workers on the same character-days: paused and back, delivered twice, backfills beside the daily run."""

import signal
import time
from datetime import timedelta
from typing import Any

import pytest
from place import COMPLETE, DAY, Place, Run, in_sessions, params

from neople_timeline.lake import open_lake

LAKE, LEDGER = "neople_timeline.lake:Lake", "neople_timeline.warehouse.ledger"
LOAD, PERMITS = "neople_timeline.warehouse.parts", "neople_timeline.warehouse.permits"

COLLECTING: dict[str, dict[str, Any]] = {
    "after its first claim": {"at": f"{LEDGER}:claim_characters", "after": True},
    "before it puts an object": {"at": f"{LAKE}.put_new", "match": "raw/", "call": 2},
    "before it commits": {"at": f"{LEDGER}:commit_landed", "call": 2},
    "after it committed": {"at": f"{LEDGER}:commit_landed", "after": True, "call": 2},
    "before it renews its permits": {"at": f"{PERMITS}:PermitLease.renew", "call": 2},
    "before it renews its claims": {"at": f"{LEDGER}:keep_alive", "call": 2},
}
PUBLISHING: dict[str, dict[str, Any]] = {
    "before it replaces events": {"at": f"{LAKE}.replace", "match": "events/"},
    "before it replaces characters": {"at": f"{LAKE}.replace", "match": "characters/"},
    "before it records a part": {"at": f"{LOAD}:record_part"},
    "in the middle of a COPY": {"at": "psycopg:Copy.write", "after": True, "call": 2},
}
EARLIER = DAY - timedelta(days=3)


@pytest.fixture
def slow_place(place: Place) -> Place:
    """A place with a limit so low that a day takes three seconds, and far from the API."""
    place.world.switch(latency_seconds=0.06)
    place.lower_limit()
    return place


def list_raw_objects(place: Place) -> set[str]:
    return {key for (key,) in place.query("SELECT DISTINCT raw_key FROM timeline.collection WHERE raw_key <> ''")}


def land_again(place: Place, fault: dict[str, Any] | None = None) -> Run:
    """Start a run that collects the day once more, and give it back when everything of it has landed."""
    before = list_raw_objects(place)
    run = place.start("day", str(DAY), "--again", fault=fault)
    deadline = time.monotonic() + 300
    while before & list_raw_objects(place):
        assert time.monotonic() < deadline, run.text
        time.sleep(0.1)
    return run


def wait_for_a_lock(place: Place, run: Run) -> None:
    """Wait until somebody waits for the lock of another."""
    deadline = time.monotonic() + 300
    while not place.query(
        "SELECT FROM pg_locks JOIN pg_database d ON d.oid = database"
        " WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
    ):
        assert run.process.poll() is None, run.text
        assert time.monotonic() < deadline, run.text
        time.sleep(0.05)


@pytest.mark.parametrize("fault", params(COLLECTING, "before it commits"))
def test_a_collector_paused_past_its_lease_wins_nothing(slow_place: Place, fault: dict[str, Any]) -> None:
    place = slow_place
    paused = place.start("day", str(DAY), fault={**fault, "action": "stop"})
    paused.wait_until_stopped()
    committed = place.committed()
    run = place.day()
    assert run.wait() == COMPLETE, run.text
    place.assert_complete()
    keys = place.query("SELECT character_id, raw_key FROM timeline.collection ORDER BY 1")
    assert committed <= {character for character, _ in keys}
    paused.go_on()
    assert paused.wait() == COMPLETE, paused.text
    assert place.query("SELECT character_id, raw_key FROM timeline.collection ORDER BY 1") == keys
    place.assert_complete()
    place.assert_kept_the_limit()


@pytest.mark.parametrize("fault", params(PUBLISHING, "before it replaces characters"))
@pytest.mark.parametrize(
    "cut_off", params({"its session lives": False, "its session is gone": True}, "its session is gone")
)
def test_a_publisher_that_is_paused_and_comes_back_spoils_nothing(
    place: Place, fault: dict[str, Any], *, cut_off: bool
) -> None:
    paused = place.start("day", str(DAY), fault={**fault, "action": "stop"})
    paused.wait_until_stopped()
    if cut_off:
        in_sessions(place, "pg_terminate_backend")
        run = place.start("day", str(DAY), "--again")
        assert run.wait() == COMPLETE, run.text
        place.assert_complete()
    else:  # it holds the lock, so the other waits when everything has landed again
        run = land_again(place)
    paused.go_on()
    assert paused.wait() == COMPLETE, paused.text
    assert run.wait() == COMPLETE, run.text
    place.assert_complete()


def test_a_rival_that_landed_the_same_events_anew_is_waited_for(place: Place) -> None:
    stop = {"at": f"{LOAD}:record_part", "action": "stop"}
    first = place.start("day", str(DAY), fault=stop)
    first.wait_until_stopped()
    second = land_again(place, stop)
    first.go_on()
    second.wait_until_stopped()
    wait_for_a_lock(place, first)  # to compare what it loaded with answers that are in other objects now
    second.go_on()
    assert first.wait() == COMPLETE, first.text
    assert second.wait() == COMPLETE, second.text
    place.assert_complete()


def test_a_day_delivered_twice_at_once_is_asked_for_once(slow_place: Place) -> None:
    place = slow_place
    # As long as in production a claim lasts and an answer may take: a slow machine is no reason to ask again.
    runs = [place.start("day", str(DAY), UNHURRIED="1") for _ in range(2)]
    assert [run.wait() for run in runs] == [COMPLETE, COMPLETE], runs[0].text + runs[1].text
    place.assert_complete()
    assert place.world.stats()["timeline_repeated"] == 0
    place.assert_kept_the_limit()


@pytest.mark.slow
def test_a_day_delivered_twice_again_and_again_is_the_same_day(place: Place) -> None:
    runs = [place.start("day", str(DAY), "--again") for _ in range(2)]
    assert [run.wait() for run in runs] == [COMPLETE, COMPLETE], runs[0].text + runs[1].text
    place.assert_complete()


def test_two_backfills_and_the_daily_run_over_the_same_days_are_one_truth(slow_place: Place) -> None:
    place = slow_place
    runs = [
        place.start("backfill", str(EARLIER), str(DAY)),
        place.start("backfill", str(EARLIER), str(DAY)),
        place.start("day", str(DAY)),
    ]
    assert [run.wait() for run in runs] == [COMPLETE] * 3, "".join(run.text for run in runs)
    days = [EARLIER + timedelta(days=offset) for offset in range(4)]
    place.assert_complete(*days)
    place.assert_kept_the_limit()
    assert place.query("SELECT count(*) FROM timeline.day WHERE verified_at IS NULL") == [(0,)]


@pytest.mark.slow
def test_a_backfill_that_is_killed_beside_others_costs_them_nothing(slow_place: Place) -> None:
    place = slow_place
    dying = place.start("backfill", str(EARLIER), str(DAY), fault={"at": f"{LEDGER}:commit_landed", "call": 2})
    while not place.query("SELECT 1 FROM timeline.collection WHERE worker_id IS NOT NULL LIMIT 1"):
        assert dying.process.poll() is None, dying.text
        time.sleep(0.02)
    other = place.start("backfill", str(EARLIER), str(DAY))
    daily = place.day()
    assert dying.wait() == -signal.SIGKILL
    assert [other.wait(), daily.wait()] == [COMPLETE, COMPLETE], other.text + daily.text
    place.assert_complete(*(EARLIER + timedelta(days=offset) for offset in range(4)))
    landed = {key for (key,) in place.query("SELECT DISTINCT raw_key FROM timeline.collection")}
    assert set(open_lake(place.settings).list_keys("raw/")) >= landed
