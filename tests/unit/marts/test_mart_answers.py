"""Each mart against a handful of rows whose answer was worked out by hand."""

from datetime import date

import duckdb
from rows import FRIDAY, THURSDAY, Row, character, event, pick, run, run_all

from neople_timeline.catalogue import VIEWS

KNOWN_CODES = duckdb.sql(next(view.sql for view in VIEWS if view.name == "codes")).to_arrow_table().to_pylist()


def test_drops_are_counted_by_rarity_route_dungeon_and_channel() -> None:
    drop: Row = {"item_rarity": "태초", "dungeon_name": "죽은 성", "channel_name": "바하이트", "channel_no": 4}
    rows = run(
        "drops_by_day",
        [
            event(505, **drop, is_mist_gear=True),
            event(505, character="b", **drop),
            event(505, **drop | {"channel_no": 5}),
            event(513, item_rarity="태초", dungeon_name="죽은 성"),
            event(505, **drop | {"item_rarity": "에픽"}),
        ],
    )
    assert pick(rows, "item_rarity", "route_code", "dungeon_name", "channel_no", "drops", "mist_gear_drops") == [
        ("에픽", 505, "죽은 성", 4, 1, 0),
        ("태초", 505, "죽은 성", 4, 2, 1),
        ("태초", 505, "죽은 성", 5, 1, 0),
        ("태초", 513, "죽은 성", None, 1, 0),
    ]


def test_upgrades_purchases_and_exchanges_are_no_drops() -> None:
    not_drops = [506, 508, 510, 511, 512, 517, 518, 519, 553, 601, 602, 401, 201, 9999]
    assert run("drops_by_day", [event(code, item_rarity="에픽") for code in not_drops]) == []


def test_every_route_of_equipment_and_of_oath_items_is_a_drop() -> None:
    equipment, oath = [504, 505, 507, 513, 514, 520, 521], [550, 551, 552, 554, 555, 557]
    rows = run("drops_by_day", [event(code, item_rarity="에픽") for code in equipment + oath])
    assert pick(rows, "item_family", "route_code", "drops") == [
        *[("equipment", code, 1) for code in equipment],
        *[("oath", code, 1) for code in oath],
    ]


def test_items_through_the_safe_are_netted_and_never_drops() -> None:
    moves = ["out", "out", "out", "in", None]
    rows = run("drops_by_day", [event(516, item_rarity="태초", safe_move=move) for move in moves])
    assert pick(rows, "route_code", "drops", "safe_net") == [(516, 0, 2)]


def test_an_unknown_rarity_is_kept_without_a_rank() -> None:
    rows = run("drops_by_day", [event(505, item_rarity="전설보다 위"), event(505), event(505, item_rarity="커먼")])
    assert pick(rows, "item_rarity", "rarity_rank", "drops") == [
        ("전설보다 위", None, 1),
        ("커먼", 1, 1),
        (None, None, 1),
    ]


def test_activity_counts_events_characters_and_drops_by_korean_hour() -> None:
    rows = run(
        "activity_by_hour",
        [
            event(505, "2026-11-12 06:00"),
            event(401, "2026-11-12 06:59"),
            event(9999, "2026-11-12 06:59", character="b"),
            event(550, "2026-11-13 05:59"),
        ],
    )
    assert pick(rows, "hour", "events", "characters", "drops") == [(5, 1, 1, 1), (6, 3, 2, 1)]


def test_drops_are_counted_by_channel_and_korean_hour_and_those_without_a_channel_too() -> None:
    channel: Row = {"channel_name": "바하이트", "channel_no": 4}
    rows = run(
        "drops_by_channel",
        [
            event(505, "2026-11-12 23:59", item_rarity="태초", **channel),
            event(504, "2026-11-12 23:00", item_rarity="에픽", **channel),
            event(550, "2026-11-12 23:30", item_rarity="태초", **channel),
            event(505, "2026-11-13 00:00", item_rarity="처음 보는 등급", **channel),
            event(505, "2026-11-12 23:00", item_rarity="태초", **channel | {"channel_no": 5}),
            event(513, "2026-11-12 23:00", item_rarity="태초"),
            event(511, "2026-11-12 23:00", item_rarity="태초"),
            event(516, "2026-11-12 23:00", item_rarity="태초", safe_move="out"),
        ],
    )
    counted = ("drops", "primeval_drops", "epic_drops", "oath_drops", "oath_primeval_drops")
    assert pick(rows, "hour", "channel_name", "channel_no", *counted) == [
        (0, "바하이트", 4, 1, 0, 0, 0, 0),
        (23, "바하이트", 4, 2, 1, 1, 1, 1),
        (23, "바하이트", 5, 1, 1, 0, 0, 0),
        (23, None, None, 1, 1, 0, 0, 0),
    ]


def test_whichever_way_a_day_is_cut_its_events_drops_and_clears_add_up() -> None:
    events = [event(row["code"], ordinal=number, item_rarity="태초") for number, row in enumerate(KNOWN_CODES)]
    events += [event(9999), event(201, character="b", raid_name="아스라한"), event(505, server="bakal")]
    people = [character("a"), character("b", adventure_name="모험", guild_id="g"), character("a", server="bakal")]
    day = run_all("day", events, people, [THURSDAY])
    week = run_all("week", events, people, [THURSDAY])

    def add(rows: list[Row], column: str) -> int:
        return sum(row[column] for row in rows)

    drops = sum(row["role"] == "drop" for row in KNOWN_CODES) + 1
    clears = sum(row["role"] == "clear" for row in KNOWN_CODES) + 1
    for name in ("characters_by_day", "servers_by_day", "activity_by_hour", "codes_by_day"):
        assert add(day[name], "events") == len(events), name
    assert add(day["drops_by_day"], "drops") == drops == add(day["drops_by_item"], "drops")
    for name in ("characters_by_day", "servers_by_day", "drops_by_channel"):
        assert add(day[name], "drops") + add(day[name], "oath_drops") == drops, name
    assert add(day["characters_by_day"], "raid_clears") + add(day["characters_by_day"], "legion_clears") == clears
    assert add(week["clears_by_week"], "clears") == clears == add(week["clears_by_character"], "clears")


def test_a_character_of_whom_only_unknown_codes_came_was_active() -> None:
    rows = run("characters_by_day", [event(9999)], [character("a")])
    assert pick(rows, "events", "first_minute", "drops") == [(1, "2026-11-12 21:00", 0)]


def test_items_are_counted_with_the_characters_that_got_them() -> None:
    ring = {"item_id": "r", "item_name": "반지", "item_rarity": "태초"}
    rows = run(
        "drops_by_item",
        [
            event(505, **ring),
            event(505, **ring, is_mist_gear=True),
            event(505, **ring, server="bakal"),
            event(504, **ring),
            event(511, **ring),
            event(516, **ring, safe_move="out"),
            event(550, **ring),
        ],
    )
    assert pick(rows, "item_family", "item_name", "route", "drops", "mist_gear_drops", "characters") == [
        ("equipment", "반지", "pot and box", 1, 0, 1),
        ("equipment", "반지", "dungeon drop", 3, 1, 2),
        ("oath", "반지", "dungeon drop", 1, 0, 1),
    ]


def test_a_characters_day_has_its_counts_and_a_rest_day_is_kept() -> None:
    events = [
        event(505, "2026-11-12 21:00", item_rarity="태초"),
        event(513, "2026-11-12 21:01", item_rarity="에픽"),
        event(550, "2026-11-13 02:00", item_rarity="태초"),
        event(516, "2026-11-12 22:00", item_rarity="태초", safe_move="out"),
        event(201, "2026-11-12 20:00", raid_name="아스라한"),
        event(209, "2026-11-12 20:00", region_name="이스핀즈"),
        event(505, "2026-11-12 21:00", server="bakal", item_rarity="에픽"),
    ]
    rows = run("characters_by_day", events, [character("a", guild_name="길드"), character("z")])
    assert pick(rows, "character_id", "guild_name", "events", "first_minute", "last_minute") == [
        ("a", "길드", 6, "2026-11-12 20:00", "2026-11-13 02:00"),
        ("z", None, 0, None, None),
    ]
    counted = (
        "drops",
        "primeval_drops",
        "epic_drops",
        "oath_drops",
        "oath_primeval_drops",
        "raid_clears",
        "legion_clears",
    )
    assert pick(rows, *counted) == [(2, 1, 1, 1, 1, 1, 1), (0, 0, 0, 0, 0, 0, 0)]


def test_adventures_guilds_and_servers_add_up_their_characters() -> None:
    people = [
        character("a", adventure_name="모험", guild_id="g", guild_name="길드"),
        character("b", adventure_name="모험", guild_id="g", guild_name="길드"),
        character("c", guild_id="h", guild_name="다른 길드"),
        character("a", server="bakal", adventure_name="모험"),
    ]
    events = [event(505, item_rarity="태초"), event(505, item_rarity="에픽"), event(401, character="c")]
    counted = ("characters", "active_characters", "events", "drops", "primeval_drops", "epic_drops")
    assert pick(run("adventures_by_day", events, people), "server_id", "adventure_name", *counted) == [
        ("bakal", "모험", 1, 0, 0, 0, 0, 0),
        ("cain", "모험", 2, 1, 2, 2, 1, 1),
    ]
    assert pick(run("guilds_by_day", events, people), "guild_name", *counted) == [
        ("길드", 2, 1, 2, 2, 1, 1),
        ("다른 길드", 1, 1, 1, 0, 0, 0),
    ]
    assert pick(run("servers_by_day", events, people), "server_id", *counted) == [
        ("bakal", 1, 0, 0, 0, 0, 0),
        ("cain", 3, 2, 3, 2, 1, 1),
    ]


def test_tickets_and_safe_attempts_stay_out_of_the_plain_rate() -> None:
    rows = run(
        "enhancements_by_day",
        [
            event(401, before_level=11, after_level=12, is_success=False),
            event(401, before_level=11, after_level=12, is_success=True),
            event(401, before_level=0, after_level=12, is_success=True, ticket_item_name="+12 강화권"),
            event(401, before_level=0, after_level=12, is_success=False, ticket_item_name="+12 강화권", is_safe=True),
            event(401, before_level=11, after_level=12, is_success=True, is_safe=True),
            event(402, before_level=11, after_level=12, is_success=True, is_safe=False),
            event(403, after_level=3, is_success=False),
            event(404, before_level=0, after_level=1),
            event(405, after_level=1),
        ],
    )
    assert [tuple(row.values())[1:] for row in rows] == [
        ("amplify", 12, 1, 1, 0, 0, 0, 0),
        ("refine", 3, 1, 0, 0, 0, 0, 0),
        ("reinforce", 12, 2, 1, 2, 1, 1, 1),
        ("remodel", 1, 1, 0, 0, 0, 0, 0),
    ]


def test_luck_is_drops_per_dungeon_run_and_those_with_none_are_listed() -> None:
    def drop(character: str, minute: str, rarity: str, code: int = 505, dungeon: str = "성") -> Row:
        return event(code, f"2026-11-12 {minute}", character, item_rarity=rarity, dungeon_name=dungeon)

    events = [
        drop("a", "20:00", "태초"),
        drop("a", "20:00", "에픽", code=513),
        drop("a", "20:05", "레전더리"),
        drop("a", "20:05", "레전더리", dungeon="숲"),
        drop("a", "20:10", "태초", code=550),
        drop("b", "20:00", "에픽"),
        drop("b", "20:05", "레어"),
        drop("c", "20:00", "에픽"),
        event(504, character="d", item_rarity="태초"),
    ]
    people = [character(name, events=1) for name in "abcd"] + [
        character("d", FRIDAY, character_name="새 이름", events=0)
    ]
    rows = run("luck_by_week", events, people)
    names = (
        "character_id",
        "dungeon_runs",
        "primeval_drops",
        "epic_drops",
        "primeval_per_run",
        "epic_per_run",
        "luck_rank",
    )
    assert pick(rows, *names) == [
        ("a", 4, 1, 1, 0.25, 0.25, 1),
        ("b", 2, 0, 1, 0.0, 0.5, 3),
        ("c", 1, 0, 1, 0.0, 1.0, 2),
        ("d", 0, 0, 0, None, None, None),
    ]
    assert pick(rows, "character_name", "active_days")[3] == ("새 이름", 1)


def test_luck_of_a_month_takes_all_its_days_and_ranks_each_month_by_itself() -> None:
    events = [event(505, f"{day} 20:00", item_rarity="에픽") for day in ("2026-11-01", "2026-11-30", "2026-12-01")]
    people = [character("a", row["day"]) for row in events]
    rows = run("luck_by_month", events, people, [date(2026, 11, 12), date(2026, 12, 31)])
    assert pick(rows, "month", "dungeon_runs", "luck_rank") == [(date(2026, 11, 1), 2, 1), (date(2026, 12, 1), 1, 1)]


def test_moves_through_the_safe_are_netted_per_adventure() -> None:
    people = [character("a", adventure_name="모험"), character("b", adventure_name="모험"), character("c")]
    events = [
        event(516, character="a", item_rarity="태초", safe_move="in"),
        event(516, character="b", item_rarity="태초", safe_move="out"),
        event(516, character="b", item_rarity="태초", safe_move="out"),
        event(556, character="b", item_rarity="태초", safe_move="in"),
        event(516, character="c", item_rarity="에픽"),
    ]
    names = ("adventure_name", "item_family", "item_rarity", "put_in", "taken_out", "unknown_moves", "net")
    assert pick(run("safe_moves_by_day", events, people), *names) == [
        ("모험", "equipment", "태초", 1, 2, 0, 1),
        ("모험", "oath", "태초", 1, 0, 0, -1),
        (None, "equipment", "에픽", 0, 0, 1, 0),
    ]


def test_characters_of_one_id_on_two_servers_are_two() -> None:
    people = [character("a", server=server, adventure_name=server) for server in ("cain", "prey")]
    moves = [event(516, server=server, item_rarity="태초", safe_move="in") for server in ("cain", "prey")]
    rows = run("safe_moves_by_day", moves, people)
    assert pick(rows, "server_id", "adventure_name", "put_in") == [("cain", "cain", 1), ("prey", "prey", 1)]
    people = [character("a", server=server, character_name=server) for server in ("cain", "prey")]
    rows = run("changes_by_day", [event(101, server=server) for server in ("cain", "prey")], people)
    assert pick(rows, "server_id", "character_name") == [("cain", "cain"), ("prey", "prey")]


def test_renames_advances_and_new_characters_are_listed_one_by_one() -> None:
    events = [
        event(101, "2026-11-12 07:00"),
        event(103, "2026-11-12 07:01", job_grow_name="眞 런처"),
        event(102, "2026-11-12 07:02", before_name="옛", after_name="새"),
        event(105, "2026-11-12 07:02", ordinal=1, before_name="앞", after_name="뒤"),
        event(104, "2026-11-12 07:03", reached_level=115),
        event(301, "2026-11-12 07:04"),
    ]
    names = ("kind", "character_name", "before_name", "after_name", "job_grow_name", "reached_level")
    assert pick(run("changes_by_day", events, [character("a")]), *names) == [
        ("created", "name of a", None, None, None, None),
        ("job advanced", "name of a", None, None, "眞 런처", None),
        ("renamed", "name of a", "옛", "새", None, None),
        ("adventure renamed", "name of a", "앞", "뒤", None, None),
        ("level reached", "name of a", None, None, None, 115),
    ]


def test_unknown_codes_and_new_texts_are_seen() -> None:
    events = [
        event(505, name="아이템 획득(던전 드랍)"),
        event(505, name="아이템 획득(던전 드랍)", character="b"),
        event(505, name="던전에서 얻음"),
        event(9999, name="서약 획득(새 방법)"),
    ]
    rows = run("codes_by_day", events)
    assert pick(rows, "code", "name", "is_known", "is_renamed", "events", "characters") == [
        (505, "던전에서 얻음", True, True, 1, 1),
        (505, "아이템 획득(던전 드랍)", True, False, 2, 2),
        (9999, "서약 획득(새 방법)", False, False, 1, 1),
    ]
