"""What is owed: listed, kept, paid first by the next run, and published anew on the days it touched and no others."""

import time
from datetime import date, timedelta
from typing import Any

import pytest
from place import COMPLETE, DAY, INDEBTED, Place, owe
from test_crashes import read_lake

from neople_timeline.lake import open_lake
from neople_timeline.models import CharacterKey

FIRST, SECOND = DAY - timedelta(days=2), DAY - timedelta(days=1)


@pytest.fixture
def whole_place(place: Place) -> Place:
    """A place whose runs go to the end, marts and report included."""
    place.light = False
    return place


def players(place: Place, number: int) -> list[Any]:
    """Name some who play on the second day."""
    of = {(server, character) for _, server, character, *_ in place.world.truth(SECOND)}
    return [key for key in place.world.characters() if tuple(key) in of][:number]


def select(objects: dict[str, bytes], *parts: str) -> dict[str, bytes]:
    return {key: data for key, data in objects.items() if any(part in key for part in parts)}


def make_due(place: Place) -> None:
    """Let the time pass after which debts are tried again."""
    place.query("UPDATE timeline.collection SET next_try_at = now() WHERE state = 'owed' RETURNING 1")


def run(place: Place, *arguments: str, ends: int = COMPLETE) -> str:
    done = place.start(*arguments)
    assert done.wait() == ends, done.text
    return done.text


def test_the_next_run_pays_debts_first_and_publishes_only_what_they_touched(whole_place: Place) -> None:
    place = whole_place
    debtors = players(place, 2)
    run(place, "day", str(FIRST))
    place.world.fail(*({"fault": "status_500", "character": one.character_id} for one in debtors))
    said = run(place, "day", str(SECOND), ends=INDEBTED)
    assert " 2 owed, " in said
    place.assert_indebted(owe(debtors, "HTTP 500", [SECOND]), FIRST, SECOND)
    assert "HTTP 500" in run(place, "owed", ends=INDEBTED)
    incomplete = read_lake(place)
    assert all(one.character_id in incomplete[f"reports/day={SECOND}/index.html"].decode() for one in debtors)

    place.world.fail()
    make_due(place)
    place.world.forget_stats()
    said = run(place, "day", str(DAY))
    assert "debts of 1 earlier day)" in said
    assert f"The report of {SECOND} is written anew" in said
    assert place.world.stats()["by_character"].keys() >= {one.character_id for one in debtors}
    place.assert_complete(FIRST, SECOND, DAY)

    complete = read_lake(place)
    untouched = [f"day={FIRST}/"]
    assert select(incomplete, *untouched) == select(complete, *untouched)
    assert len(select(complete, *untouched)) > 8
    assert debtors[0].character_id not in complete[f"reports/day={SECOND}/index.html"].decode()
    changed = {key for key, data in select(complete, f"day={SECOND}/").items() if incomplete.get(key) != data}
    assert {key.partition("/")[0] for key in changed} >= {"events", "characters", "marts", "reports"}
    assert place.query(f"SELECT sum(events) FROM timeline.mart_servers_by_day WHERE day = '{SECOND}'") == [
        (place.world.truth(SECOND).total(),)
    ]


@pytest.mark.slow
def test_a_debt_paid_in_the_next_week_changes_the_week_that_was_reported(whole_place: Place) -> None:
    place, tuesday = whole_place, date(2026, 10, 13)
    wednesday, thursday = tuesday + timedelta(days=1), tuesday + timedelta(days=2)
    debtor = next(key for key in place.world.characters() if (*key,) in {e[1:3] for e in place.world.truth(tuesday)})
    place.world.fail({"fault": "status_500", "character": debtor.character_id, "times": 5})
    run(place, "day", str(tuesday), ends=INDEBTED)
    run(place, "day", str(wednesday))
    week = f"reports/week={tuesday - timedelta(days=5)}/index.html"
    before = read_lake(place)[week]
    make_due(place)
    said = run(place, "day", str(thursday))
    assert [f"The report of {day} is written anew" in said for day in (tuesday, wednesday)] == [True, True]
    assert read_lake(place)[week] != before
    place.assert_complete(tuesday, wednesday, thursday)


@pytest.mark.parametrize(
    "at",
    [
        pytest.param("neople_timeline.pipeline:refine_shard", marks=pytest.mark.slow),
        "neople_timeline.pipeline:build_marts",
        pytest.param("neople_timeline.pipeline:prove_days", marks=pytest.mark.slow),
        pytest.param("neople_timeline.pipeline:republish_reports", marks=pytest.mark.slow),
    ],
)
def test_a_crash_while_debts_are_paid_leaves_no_day_half_published(whole_place: Place, at: str) -> None:
    place = whole_place
    debtors = players(place, 1)
    place.world.fail({"fault": "status_500", "character": debtors[0].character_id})
    run(place, "day", str(SECOND), ends=INDEBTED)
    place.world.fail()
    make_due(place)
    assert place.start("day", str(DAY), fault={"at": at}).wait() < 0
    run(place, "day", str(DAY))
    place.assert_complete(SECOND, DAY)
    assert debtors[0].character_id not in read_lake(place)[f"reports/day={SECOND}/index.html"].decode()
    assert place.query(f"SELECT sum(events) FROM timeline.mart_servers_by_day WHERE day = '{SECOND}'") == [
        (place.world.truth(SECOND).total(),)
    ]
    assert place.query("SELECT count(*) FROM timeline.day WHERE verified_at IS NULL") == [(0,)]


def test_a_debt_that_is_not_due_is_left_and_a_retry_pays_it_now(whole_place: Place) -> None:
    place = whole_place
    debtor = players(place, 1)
    place.world.fail({"fault": "html_200", "character": debtor[0].character_id})
    run(place, "day", str(SECOND), ends=INDEBTED)
    place.world.fail()
    run(place, "day", str(DAY))
    place.assert_indebted(owe(debtor, "not the JSON", [SECOND]), SECOND, DAY)
    ((key, reason),) = place.query("SELECT object_key, reason FROM timeline.unread_letter")
    assert open_lake(place.settings).get(key).startswith(b"<!DOCTYPE html>")
    assert "not the JSON" in reason
    place.world.forget_stats()
    run(place, "retry")
    assert place.world.stats()["by_character"].keys() == {debtor[0].character_id}
    assert place.query("SELECT count(*) FROM timeline.unread_letter") == [(0,)]
    place.assert_complete(SECOND, DAY)
    assert "Nothing is owed" in run(place, "retry")


def test_a_letter_that_still_cannot_be_read_is_not_called_replayed(place: Place) -> None:
    debtor = players(place, 1)
    place.world.fail({"fault": "html_200", "character": debtor[0].character_id})
    run(place, "day", str(SECOND), ends=INDEBTED)
    run(place, "retry", ends=INDEBTED)
    letters = place.query("SELECT object_key FROM timeline.unread_letter")
    assert len(set(letters)) == 2
    assert "0 orphaned objects" in run(place, "verify", str(SECOND), ends=INDEBTED)
    place.assert_indebted(owe(debtor, "not the JSON", [SECOND]), SECOND)


@pytest.mark.slow
def test_a_collector_that_fails_twice_at_one_character_keeps_both_letters(place: Place) -> None:
    ((server, first),) = place.query(
        "SELECT server_id, character_id FROM timeline.roster ORDER BY slot % 2, server_id, character_id LIMIT 1"
    )
    place.world.switch(latency_seconds=0.3)
    place.world.fail({"fault": "html_200", "character": first})
    collecting = place.start("day", str(DAY))
    while not place.query("SELECT 1 FROM timeline.dead_letter"):
        assert collecting.process.poll() is None, collecting.text
        time.sleep(0.05)
    make_due(place)
    assert collecting.wait() == INDEBTED, collecting.text
    keys = {key for (key,) in place.query("SELECT object_key FROM timeline.dead_letter")}
    assert len(keys) == 2
    assert place.query("SELECT count(*) FROM timeline.worker") == [(1,)]
    assert {open_lake(place.settings).get(key)[:15] for key in keys} == {b"<!DOCTYPE html>"}
    place.assert_indebted(owe([CharacterKey(server, first)], "not the JSON"))


def test_a_character_added_late_gets_its_history_by_a_backfill(whole_place: Place) -> None:
    place = whole_place
    (late,) = players(place, 1)
    run(place, "roster", "remove", f"{late.server_id},{late.character_id}")
    run(place, "day", str(SECOND))
    assert not place.query(f"SELECT 1 FROM timeline.collection WHERE character_id = '{late.character_id}'")
    place.query(f"INSERT INTO timeline.roster VALUES ('{late.server_id}', '{late.character_id}') RETURNING 1")

    said = run(place, "backfill", str(FIRST), str(DAY), "--dry-run")
    assert figures(said) == [60, 59, 2 * 60 + 1, 59 * 2 + 1]
    assert not place.query(f"SELECT 1 FROM timeline.collection WHERE character_id = '{late.character_id}'")

    place.world.forget_stats()
    said = run(place, "backfill", str(FIRST), str(DAY))
    assert f"The report of {SECOND} is written anew" in said
    place.assert_complete(FIRST, SECOND, DAY)
    assert place.world.stats()["by_character"].keys() == {one.character_id for one in place.world.characters()}
    said = run(place, "backfill", str(FIRST), str(DAY), "--dry-run")
    assert figures(said) == [60, 180, 0, 0]
    place.world.forget_stats()
    assert "everything is there already" in run(place, "backfill", str(FIRST), str(DAY))
    assert place.world.stats()["requests"] == 0


def figures(said: str) -> list[int]:
    """Read characters, days there, days to collect and requests."""
    return [int(line.split()[-1].replace(",", "")) for line in said.splitlines()[:4]]


def test_verify_lists_what_nobody_points_to(place: Place) -> None:
    run(place, "day", str(DAY))
    orphans = [
        f"raw/day={DAY}/worker-00000099-0123abcd-000001.jsonl.zst",
        f"dead/day={DAY}/worker-00000099-0123abcd-000002.bin",
    ]
    for orphan in orphans:
        open_lake(place.settings).put(orphan, b"whatever")
    said = run(place, "verify", str(DAY))
    assert [orphan for orphan in orphans if orphan not in said] == []
    assert "2 orphaned objects" in said
    run(place, "day", str(DAY))
    place.assert_complete()


@pytest.mark.slow
def test_a_character_that_is_gone_is_missing_and_comes_back(place: Place) -> None:
    (gone,) = players(place, 1)
    place.world.fail({"fault": "missing_character", "character": gone.character_id})
    said = run(place, "day", str(DAY))
    assert " 1 of unknown characters, " in said
    place.assert_indebted(owe([gone], "missing: DNF001"))
    place.world.fail()
    run(place, "day", str(DAY), "--again")
    place.assert_complete()


def test_an_api_that_suddenly_knows_nobody_makes_nobody_missing_but_waits(place: Place) -> None:
    run(place, "day", str(SECOND))
    place.world.fail({"fault": "missing_character"})
    waiting = place.start("day", str(DAY))
    deadline = time.monotonic() + 60
    while "the API knows none of 40 characters" not in waiting.text:
        assert waiting.process.poll() is None, waiting.text
        assert time.monotonic() < deadline, waiting.text
        time.sleep(0.05)
    assert place.query("SELECT count(*) FROM timeline.collection WHERE state = 'missing'") == [(0,)]
    (gone,) = players(place, 1)
    place.world.fail({"fault": "missing_character", "character": gone.character_id})
    assert waiting.wait() == COMPLETE, waiting.text
    place.assert_indebted(owe([gone], "missing: DNF001"), SECOND, DAY)


@pytest.mark.slow
def test_days_long_ago_are_asked_for_in_one_chain_per_character(place: Place) -> None:
    days = [date(2026, 9, 1) + timedelta(days=offset) for offset in range(10)]
    run(place, "backfill", str(days[0]), str(days[-1]))
    events = place.world.truth(*days)
    place.assert_complete(*days)
    pages = {key.character_id: 1 for key in place.world.characters()}
    for character in pages:
        of_character = sum(count for event, count in events.items() if event[2] == character)
        pages[character] = max(1, -(-of_character // 100))
    asked = place.world.stats()["by_character"]
    twice = {character: count - pages[character] for character, count in asked.items() if count > pages[character]}
    assert asked.keys() == pages.keys()
    assert len(twice) <= 6, "only chains whose pages repeat a row are read twice"
