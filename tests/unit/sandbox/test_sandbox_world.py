import hashlib
import json
from collections import Counter
from datetime import date
from itertools import pairwise
from typing import Any

import pytest

from neople_timeline.sandbox.catalogue import FIRST_DAY, WORDS
from neople_timeline.sandbox.world import DAY_MINUTES, SIX, World, count_events, game_day_of, minute_text

WORLD = World(1, 2000)
DAY = date(2026, 11, 14).toordinal()
OATH_DAY = date(2026, 3, 26).toordinal()


def rows_of(world: World, indices: range, days: range) -> list[dict[str, Any]]:
    return [json.loads(event.row) for index in indices for day in days for event in world.block(index, day)]


@pytest.fixture(scope="module")
def busy() -> list[dict[str, Any]]:
    return rows_of(WORLD, range(1200), range(DAY, DAY + 1))


def test_the_world_is_the_same_everywhere_and_for_ever() -> None:
    digest = hashlib.sha256()
    world = World(1, 500)
    for index in range(0, 500, 25):
        for day in (FIRST_DAY, date(2020, 8, 9).toordinal(), OATH_DAY - 1, OATH_DAY, DAY):
            digest.update("\n".join(event.row for event in world.block(index, day)).encode())
            digest.update(repr(world.population.character(index)).encode())
    assert digest.hexdigest() == "d34e49739bfc60b3e9f81f1f7e6fe9c6d525a65866dc4a4cf03363feec0c8ea9"


def test_a_day_does_not_depend_on_what_was_asked_before() -> None:
    there = [WORLD.block(index, day) for index in range(20) for day in range(DAY, DAY + 5)]
    fresh = World(1, 2000)
    back = [fresh.block(index, day) for index in reversed(range(20)) for day in reversed(range(DAY, DAY + 5))]
    assert there == back[::-1]


def test_days_differ_by_seed_character_and_day() -> None:
    days = [WORLD.block(index, day) for index in range(20) for day in (DAY, DAY + 1)]
    days += [World(2, 2000).block(index, DAY) for index in range(20)]
    played = [day for day in days if day]
    assert len(played) > 30
    assert len(set(played)) == len(played)


def test_events_lie_in_their_game_day_newest_first() -> None:
    for index in range(100):
        events = WORLD.block(index, DAY)
        minutes = [event.minute for event in events]
        assert minutes == sorted(minutes, reverse=True)
        assert all(DAY * DAY_MINUTES + SIX <= minute < (DAY + 1) * DAY_MINUTES + SIX for minute in minutes)
        assert all(json.loads(event.row)["date"] == minute_text(event.minute) for event in events)


def test_rows_have_the_four_fields_of_the_api(busy: list[dict[str, Any]]) -> None:
    assert {tuple(row) for row in busy} == {("code", "name", "date", "data")}


def test_a_mean_day_has_some_22_events_and_a_heavy_tail() -> None:
    counts = [len(WORLD.block(index, day)) for index in range(700) for day in range(DAY, DAY + 7)]
    assert 20 < sum(counts) / len(counts) < 26
    assert sum(count > 100 for count in counts) > 100
    assert sum(count > 300 for count in counts) > 5


def test_some_characters_never_do_anything() -> None:
    quiet = [index for index in range(300) if not any(WORLD.block(index, day) for day in range(DAY, DAY + 30))]
    assert 5 < len(quiet) < 60


def test_evenings_are_busy_and_mornings_are_not(busy: list[dict[str, Any]]) -> None:
    hours = Counter(row["date"][11:13] for row in busy)
    assert len(hours) == 24
    assert hours["22"] > 8 * hours["06"]


def test_all_codes_but_the_rare_ones_of_a_life_occur_on_one_day(busy: list[dict[str, Any]]) -> None:
    codes = {row["code"] for row in busy}
    assert {entry["code"] for entry in WORDS["codes"] if entry["weight"]} <= codes


def test_all_codes_occur() -> None:
    codes = {event.code for index in range(400) for day in range(DAY, DAY + 30) for event in WORLD.block(index, day)}
    youth = {
        event.code for index in range(60) for event in WORLD.block(index, WORLD.population.character(index).first_day)
    }
    assert codes | youth == {entry["code"] for entry in WORDS["codes"]}


def test_equal_rows_in_one_minute_occur() -> None:
    repeated = sum(count > 1 for index in range(300) for count in Counter(WORLD.block(index, DAY)).values())
    assert repeated > 10


def test_oath_items_come_with_their_day() -> None:
    before = {row["code"] for row in rows_of(WORLD, range(300), range(OATH_DAY - 2, OATH_DAY))}
    after = {row["code"] for row in rows_of(WORLD, range(300), range(OATH_DAY, OATH_DAY + 2))}
    assert not before & set(range(550, 558))
    assert set(range(550, 558)) <= after


def test_nothing_happens_before_the_first_day_or_the_creation() -> None:
    assert WORLD.block(0, FIRST_DAY - 1) == ()
    young = next(index for index in range(200) if WORLD.population.character(index).first_day > FIRST_DAY)
    born = WORLD.population.character(young).first_day
    assert not any(WORLD.block(young, day) for day in range(born - 30, born))
    assert 101 in {event.code for event in WORLD.block(young, born)}


def test_names_of_codes_have_changed() -> None:
    names = [
        {row["name"] for row in rows_of(WORLD, range(200), range(day, day + 1)) if row["code"] == 513}
        for day in (date(2020, 8, 9).toordinal(), DAY)
    ]
    assert names == [{"아이템 획득(던전)"}, {"아이템 획득(던전 카드 보상)"}]


def test_a_raid_with_phases_gives_a_row_for_each(busy: list[dict[str, Any]]) -> None:
    phases = Counter(row["data"].get("phaseName") for row in busy if row["code"] == 201)
    assert phases["추적"] == phases["토벌"] - phases["진입"] > 0
    assert phases["결전"] == phases["추격"] == phases["종막"] > 0
    assert phases[None] > 0


def test_data_is_null_for_some_codes_only(busy: list[dict[str, Any]]) -> None:
    null = {row["code"] for row in busy if row["data"] is None}
    assert null == {202, 203, 204, 205, 208, 503, 509, 515}


def test_key_order_varies_and_false_is_often_left_out(busy: list[dict[str, Any]]) -> None:
    drops = [row["data"] for row in busy if row["code"] == 505]
    assert {next(iter(data)) for data in drops} == {"itemId", "channelName"}
    mist = Counter(data.get("mistGear") for data in drops)
    assert mist[None] > mist[False] > mist[True] > 0
    assert all(data["itemRarity"] in WORDS["item_heads"] for data in drops)


def test_all_rarities_of_the_present_drop(busy: list[dict[str, Any]]) -> None:
    rarities = Counter(row["data"]["itemRarity"] for row in busy if row["data"] and "itemRarity" in row["data"])
    assert rarities["레전더리"] > rarities["에픽"] > rarities["태초"] > 0
    assert rarities["유니크"] > 0


def test_a_failed_attempt_names_its_target_and_a_ticket_never_fails(busy: list[dict[str, Any]]) -> None:
    attempts = [row["data"] for row in busy if row["code"] in {401, 402}]
    plain = [data for data in attempts if "ticket" not in data]
    assert all(data["after"] == data["before"] + 1 for data in plain)
    assert {data["result"] for data in plain} == {True, False}
    tickets = [data for data in attempts if "ticket" in data]
    assert tickets
    assert all(data["result"] and set(data["ticket"]) == {"itemId", "itemName"} for data in tickets)


def test_things_move_into_the_account_safe_and_out(busy: list[dict[str, Any]]) -> None:
    assert {row["data"]["adventureSafeMoveType"] for row in busy if row["code"] in {516, 556}} == {"in", "out"}


def test_the_last_new_name_is_the_name_of_now() -> None:
    character = WORLD.population.character(5)
    names = [
        json.loads(event.row)["data"]
        for day in range(FIRST_DAY, FIRST_DAY + 12 * 366)
        for event in WORLD.block(5, day)
        if event.code == 102
    ]
    assert len(names) == 11
    assert names[-1]["afterName"] == character.name
    assert all(old["afterName"] == new["beforeName"] for old, new in pairwise(names))


def test_a_small_world_has_one_or_two_events_a_day() -> None:
    world = World(1, 300, small=True)
    played = [sum(event.code > 105 for event in world.block(index, DAY)) for index in range(300)]
    assert set(played) <= {0, 1, 2, 3, 4, 5, 6}
    assert 350 < sum(played) < 600


def test_counts_follow_vigour() -> None:
    assert count_events(30_000 + (5 << 16), 0, 0) == 0
    assert count_events(30_000 + (5 << 16), 10, 0) == 6
    assert count_events(65_535 + (220 << 16), 16, 6) == 840


@pytest.mark.parametrize(
    ("text", "day"),
    [("2026-11-15 05:59", "2026-11-14"), ("2026-11-15 06:00", "2026-11-15"), ("2026-11-16 00:00", "2026-11-15")],
)
def test_a_game_day_runs_from_six_to_six(text: str, day: str) -> None:
    minute = date.fromisoformat(text[:10]).toordinal() * DAY_MINUTES + int(text[11:13]) * 60 + int(text[14:])
    assert minute_text(minute) == text
    assert date.fromordinal(game_day_of(minute)).isoformat() == day


def test_a_span_holds_both_its_minutes_and_nothing_else() -> None:
    events = [event for day in range(DAY + 1, DAY - 2, -1) for event in WORLD.block(8, day)]
    start, end = events[-7].minute, events[3].minute
    expected = [event for event in events if start <= event.minute <= end]
    assert list(WORLD.events(8, start, end)) == expected
    assert expected[0].minute == end
    assert expected[-1].minute == start
