import json
from collections import Counter
from typing import Any

import pytest

from neople_timeline.sandbox.answers import Reply
from neople_timeline.sandbox.faults import NAMES, Faults
from neople_timeline.sandbox.rules import Armed, Rule, read_rule
from neople_timeline.sandbox.spoil import BYTES, INSTEAD, PAGES
from neople_timeline.sandbox.switches import RefusedError, Switches
from neople_timeline.sandbox.timeline import (
    Answer,
    Position,
    Query,
    first_position,
    make_cursor,
    read_cursor,
    read_minute,
    read_page,
)
from neople_timeline.sandbox.world import DAY_MINUTES, World, minute_text

SEED = 1
START = read_minute("20261115T0600")
END = START + DAY_MINUTES - 1


@pytest.fixture
def world() -> World:
    return World(SEED, 200)


def busy_index(world: World, least: int) -> int:
    return next(index for index in range(200) if least <= len(list(world.events(index, START, END))) < 100)


def spoiled(world: World, rule: Rule, query: Query, position: Position | None = None) -> Answer:
    position = position or first_position(query)
    page = read_page(world, query, position)
    cursor = make_cursor(query, page.next, SEED) if page.next else None
    answer = Answer('{"characterName":"이름"', query, position, page.next, [e.row for e in page.events], cursor)
    PAGES[rule.fault](rule, world, answer)
    return answer


def follow(answer: Answer) -> Position:
    assert answer.cursor is not None
    return read_cursor(answer.cursor, answer.query.index, SEED)[1]


def body_of(answer: Answer) -> Any:
    return json.loads(answer.encode())


def test_times_and_after_bound_a_rule() -> None:
    armed = Armed(Rule("cut_json", times=2, after=1), 0, SEED)
    assert [armed.strikes("timeline", "x") for _ in range(5)] == [False, True, True, False, False]
    assert armed.as_json() == {"fault": "cut_json", "times": 2, "after": 1, "struck": 2}


def test_each_counts_every_character_for_itself() -> None:
    armed = Armed(Rule("cut_json", times=1, each=True), 0, SEED)
    assert [armed.strikes("timeline", name) for name in "aabab"] == [True, False, True, False, False]


def test_a_rule_is_for_its_character_and_route() -> None:
    armed = Armed(Rule("cut_json", character="a"), 0, SEED)
    assert [armed.strikes("timeline", "a"), armed.strikes("timeline", "b"), armed.strikes("search", "a")] == [
        True,
        False,
        False,
    ]
    assert Armed(Rule("cut_json", route="*"), 0, SEED).strikes("search", "")


def test_probability_is_seeded() -> None:
    def strikes() -> list[bool]:
        armed = Armed(Rule("cut_json", probability=0.3), 0, SEED)
        return [armed.strikes("timeline", "x") for _ in range(1000)]

    assert strikes() == strikes()
    assert 240 < sum(strikes()) < 360


@pytest.mark.parametrize(
    "entry",
    [
        {"fault": "nonsense"},
        {"fault": "cut_json", "unheard": 1},
        {"fault": "cut_json", "times": "twice"},
        {"fault": "cut_json", "times": -1},
        {"fault": "cut_json", "probability": 2},
        {"fault": "error", "code": "DNF777"},
        {"fault": "unknown_code", "times": 1},
        {"fault": "nul", "after": 1},
        {"fault": "rows_null", "route": "search"},
        {},
        "cut_json",
    ],
)
def test_rules_that_make_no_sense_are_refused(world: World, entry: object) -> None:
    faults = Faults(world)
    with pytest.raises(RefusedError):
        faults.replace([{"fault": "html_200"}, entry])
    assert faults.armed == []


def test_every_fault_can_be_ordered(world: World) -> None:
    faults = Faults(world)
    faults.replace([{"fault": name} for name in sorted(NAMES)])
    assert [armed.rule.fault for armed in faults.armed] == sorted(NAMES)


@pytest.mark.parametrize(
    ("entry", "status", "code"),
    [
        ({"fault": "status_500"}, 500, "DNF999"),
        ({"fault": "error", "code": "API007"}, 500, "API007"),
        ({"fault": "error", "code": "DNF003"}, 404, "DNF003"),
        ({"fault": "error_200", "code": "DNF980"}, 200, "DNF980"),
        ({"fault": "too_many"}, 429, "API002"),
        ({"fault": "maintenance"}, 503, "DNF980"),
        ({"fault": "missing_character"}, 404, "DNF001"),
    ],
)
def test_faults_that_answer_with_an_error(entry: dict[str, str], status: int, code: str) -> None:
    rule = read_rule(entry)
    reply = INSTEAD[rule.fault](rule, Switches("key"))
    assert reply.status == status
    assert json.loads(reply.body)["error"]["code"] == code


def test_an_error_body_repeats_its_status() -> None:
    switches = Switches("key", statuses={"DNF999": 502})
    reply = INSTEAD["status_500"](Rule("status_500"), switches)
    assert json.loads(reply.body)["error"] == {"status": 502, "code": "DNF999", "message": "SYSTEM_ERROR"}
    assert reply.status == 502


@pytest.mark.parametrize(
    ("entry", "header"),
    [({"retry_after": 2}, "2"), ({"retry_after": "soon"}, "soon"), ({"retry_after_date": -3600}, "GMT"), ({}, "")],
)
def test_too_many_says_when_to_come_back(entry: dict[str, Any], header: str) -> None:
    reply = INSTEAD["too_many"](read_rule({"fault": "too_many"} | entry), Switches("key"))
    assert reply.headers.get("Retry-After", "").endswith(header)
    assert bool(reply.headers) == bool(entry)


def test_answers_with_200_that_are_no_json() -> None:
    html = INSTEAD["html_200"](Rule("html_200"), Switches("key"))
    empty = INSTEAD["empty_200"](Rule("empty_200"), Switches("key"))
    assert (html.status, html.content_type, html.body[:15]) == (200, "text/html", b"<!DOCTYPE html>")
    assert (empty.status, empty.body) == (200, b"")


def test_cut_json_ends_in_the_middle() -> None:
    reply = Reply(200, b'{"rows":[1,2,3]}')
    BYTES["cut_json"](Rule("cut_json"), reply)
    assert reply.body == b'{"rows":'


@pytest.mark.parametrize("fault", ["reset_before", "reset_in_body", "reset_after", "timeout"])
def test_faults_of_the_connection_are_left_to_the_server(fault: str) -> None:
    reply = Reply(200, b"{}")
    BYTES[fault](Rule(fault, seconds=4), reply)
    assert (reply.breaks, reply.seconds, reply.body) == (fault, 4, b"{}")


@pytest.mark.parametrize("least", [0, 12])
def test_a_repeating_cursor_leads_to_itself(world: World, least: int) -> None:
    query = Query(busy_index(world, least), START, END, 5)
    first = spoiled(world, Rule("cursor_repeats"), query)
    second = spoiled(world, Rule("cursor_repeats"), query, follow(first))
    third = spoiled(world, Rule("cursor_repeats"), query, follow(second))
    assert first.cursor == second.cursor == third.cursor
    assert second.rows == third.rows


@pytest.mark.parametrize("least", [0, 12])
def test_a_cycling_cursor_comes_back_to_the_one_before(world: World, least: int) -> None:
    query = Query(busy_index(world, least), START, END, 5)
    answers = [spoiled(world, Rule("cursor_cycles"), query)]
    for _ in range(3):
        answers.append(spoiled(world, Rule("cursor_cycles"), query, follow(answers[-1])))
    cursors = [answer.cursor for answer in answers]
    assert cursors == [cursors[0], cursors[1], cursors[0], cursors[1]]
    assert cursors[0] != cursors[1]


def test_an_endless_cursor_is_always_new(world: World) -> None:
    query = Query(busy_index(world, 12), START, END, 5)
    answers = [spoiled(world, Rule("cursor_endless"), query)]
    for _ in range(100):
        answers.append(spoiled(world, Rule("cursor_endless"), query, follow(answers[-1])))
    assert len({answer.cursor for answer in answers}) == 101
    assert answers[-1].rows == []
    shown = [row for answer in answers for row in answer.rows or []]
    assert shown == [event.row for event in world.events(query.index, START, END)]


def test_pages_overlap_by_so_many_rows(world: World) -> None:
    query = Query(busy_index(world, 25), START, END, 10)
    first = spoiled(world, Rule("rows_overlap", rows=3), query)
    second = spoiled(world, Rule("rows_overlap", rows=3), query, follow(first))
    assert first.rows is not None
    assert second.rows is not None
    assert first.rows[-3:] == second.rows[:3]
    assert first.rows + second.rows[3:] == [e.row for e in world.events(query.index, START, END)][:17]


def test_rows_outside_the_window_lie_a_minute_beside_it(world: World) -> None:
    query = Query(busy_index(world, 5), START, END, 5)
    rows = body_of(spoiled(world, Rule("rows_outside_window"), query))["timeline"]["rows"]
    assert (rows[0]["date"], rows[-1]["date"]) == ("2026-11-16 06:00", "2026-11-15 05:59")
    assert len(rows) == 7


def test_unsorted_rows_are_the_same_rows(world: World) -> None:
    query = Query(busy_index(world, 12), START, END, 100)
    rows = spoiled(world, Rule("rows_unsorted"), query).rows
    truth = [event.row for event in world.events(query.index, START, END)]
    assert rows is not None
    assert rows != truth
    assert Counter(rows) == Counter(truth)


def test_a_cut_window_says_so_and_has_the_rows_of_its_second_half(world: World) -> None:
    index = busy_index(world, 12)
    timeline = body_of(spoiled(world, Rule("window_cut"), Query(index, START, END, 5)))["timeline"]
    middle = (START + END) // 2
    assert timeline["date"] == {"start": minute_text(middle), "end": minute_text(END)}
    newest = [json.loads(event.row) for event in world.events(index, middle, END)][:5]
    assert (timeline["rows"], timeline["next"]) == (newest, None)


def test_rows_or_the_timeline_can_be_null(world: World) -> None:
    query = Query(0, START, END, 5)
    assert body_of(spoiled(world, Rule("rows_null"), query))["timeline"]["rows"] is None
    assert body_of(spoiled(world, Rule("timeline_null"), query))["timeline"] is None


@pytest.mark.parametrize("least", [0, 12])
@pytest.mark.parametrize(
    ("fault", "fragment"),
    [
        ("nan", '"ratio":NaN'),
        ("duplicate_keys", '"nickName":"하나","nickName":"둘"'),
        ("lone_surrogate", r'"nickName":"반쪽\ud83d"'),
        ("deep_nesting", '"nested":' + "[" * 50 + "]" * 50),
    ],
)
def test_what_json_should_not_hold(world: World, fault: str, fragment: str, least: int) -> None:
    quiet = next(index for index in range(200) if not list(world.events(index, START, END)))
    query = Query(busy_index(world, least) if least else quiet, START, END, 5)
    text = spoiled(world, Rule(fault, depth=50), query).encode().decode()
    assert text.count(fragment) == 1
    assert json.loads(text)["timeline"]["next" if least else "rows"] is not None


def test_an_unknown_code_becomes_part_of_the_truth(world: World) -> None:
    faults = Faults(world)
    plain = list(world.events(3, START, END))
    faults.replace([{"fault": "unknown_code", "character": world.population.id_of(3)}])
    changed = list(world.events(3, START, END))
    added = [event for event in changed if event not in plain]
    assert [json.loads(event.row)["code"] for event in added] == [999]
    assert [event for event in changed if event not in added] == plain
    assert list(world.events(4, START, END)) == list(World(SEED, 200).events(4, START, END))
    faults.replace([])
    assert list(world.events(3, START, END)) == plain


@pytest.mark.parametrize(
    ("fault", "fragment"),
    [
        ("nul", r'"nickName":"이름\u0000끝"'),
        ("extra_fields", '"newField":{"list":[1,2.50,null],"number":12345678901234567890123}'),
        ("retyped_fields", '"code":"'),
    ],
)
def test_faults_that_change_rows_for_good(world: World, fault: str, fragment: str) -> None:
    Faults(world).replace([{"fault": fault}])
    rows = [event.row for event in world.events(busy_index(world, 12), START, END)]
    assert any(fragment in row for row in rows)
    assert all(json.loads(row)["date"] for row in rows)


def test_a_changed_world_shows_in_the_envelope(world: World) -> None:
    faults = Faults(world)
    faults.replace([{"fault": "nul"}, {"fault": "extra_fields"}])
    query = Query(0, START, END, 5)
    answer = Answer('{"characterName":"이름"', query, first_position(query), None, [], None)
    faults.spoil_head(answer)
    assert body_of(answer)["characterName"] == "\0이름"
    assert body_of(answer)["newField"]["list"] == [1, 2.5, None]


def test_a_probability_chooses_characters_for_good(world: World) -> None:
    Faults(world).replace([{"fault": "unknown_code", "probability": 0.5}])
    chosen = [
        {any(event.code == 999 for event in world.block(index, day)) for day in range(740_000, 740_004)}
        for index in range(100)
    ]
    assert all(len(each) == 1 for each in chosen)
    assert 30 < sum(each == {True} for each in chosen) < 70
