"""Every way in which the API can answer wrongly, for some characters each, in one day for all of them together.

What passes costs nothing but requests; what lasts is owed with its reason; what is only new is kept as it came.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import pytest
from place import COMPLETE, DAY, INDEBTED, Place, World, owe

from compare_truth import compare
from neople_timeline.lake import open_lake
from neople_timeline.models import CharacterKey

Borrow = Callable[[], AbstractContextManager[Place]]


@dataclass(frozen=True)
class Wrong:
    """A fault for one character, what the ledger has to say of it if it lasts, and whether bytes came that can be kept.

    `long` ones show only in a chain of several pages.
    """

    rule: dict[str, Any]
    reason: str = ""
    bytes_came: bool = True
    long: bool = False


NO_JSON = "not the JSON of a timeline"
LASTING = {
    "reset before the answer": Wrong({"fault": "reset_before"}, "connection to the API failed", bytes_came=False),
    "reset in the body": Wrong({"fault": "reset_in_body"}, "connection to the API failed", bytes_came=False),
    "status 500": Wrong({"fault": "status_500"}, "HTTP 500 DNF999"),
    "socket error": Wrong({"fault": "error", "code": "API007"}, "API007"),
    "unavailable": Wrong({"fault": "error", "code": "API008"}, "API008"),
    "system error": Wrong({"fault": "error", "code": "API999"}, "API999"),
    "an error of another endpoint": Wrong({"fault": "error", "code": "DNF003"}, "DNF003"),
    "no such character": Wrong({"fault": "missing_character"}, "missing: DNF001", bytes_came=False),
    "no such server": Wrong({"fault": "error", "code": "DNF000"}, "missing: DNF000", bytes_came=False),
    "no such character with 200": Wrong({"fault": "error_200", "code": "DNF001"}, "missing: DNF001", bytes_came=False),
    "error with 200": Wrong({"fault": "error_200"}, "HTTP 200 DNF999"),
    "HTML with 200": Wrong({"fault": "html_200"}, NO_JSON),
    "empty 200": Wrong({"fault": "empty_200"}, NO_JSON, bytes_came=False),
    "cut JSON": Wrong({"fault": "cut_json"}, NO_JSON),
    "cursor that repeats": Wrong({"fault": "cursor_repeats"}, "repeats a cursor", long=True),
    "cursors that cycle": Wrong({"fault": "cursor_cycles"}, "repeats a cursor", long=True),
    "cursors without end": Wrong({"fault": "cursor_endless"}, "empty page that is not the last"),
    "pages that overlap": Wrong({"fault": "rows_overlap"}, "pages overlap", long=True),
    "rows outside the window": Wrong({"fault": "rows_outside_window"}, "outside the window"),
    "window cut short": Wrong({"fault": "window_cut"}, "less than was asked for"),
    "rows null": Wrong({"fault": "rows_null"}, NO_JSON),
    "timeline null": Wrong({"fault": "timeline_null"}, NO_JSON),
    "NaN": Wrong({"fault": "nan"}, NO_JSON),
    "duplicate keys": Wrong({"fault": "duplicate_keys"}, "'nickName' twice"),
    "lone surrogate": Wrong({"fault": "lone_surrogate"}, NO_JSON),
    "nested without end": Wrong({"fault": "deep_nesting"}, NO_JSON),
    "text with NUL": Wrong({"fault": "nul"}, "cannot be stored"),
}
PASSING = {
    **{name: Wrong({**wrong.rule, "times": 2}, long=wrong.long) for name, wrong in LASTING.items()
       if wrong.rule["fault"] != "nul" and not wrong.reason.startswith("missing")},
    "no answer in time": Wrong({"fault": "timeout", "times": 1}),
    "reset after the answer": Wrong({"fault": "reset_after", "times": 1}),
    "too many requests": Wrong({"fault": "too_many", "times": 1}),
    "too many, a number of seconds": Wrong({"fault": "too_many", "times": 1, "retry_after": "1"}),
    "too many, a date": Wrong({"fault": "too_many", "times": 1, "retry_after_date": 1}),
    "too many, a date in the past": Wrong({"fault": "too_many", "times": 1, "retry_after_date": -3600}),
    "too many, nonsense": Wrong({"fault": "too_many", "times": 1, "retry_after": "soon"}),
}  # fmt: skip
HARMLESS = {
    "unknown code": Wrong({"fault": "unknown_code"}),
    "new fields": Wrong({"fault": "extra_fields"}),
    "fields of other types": Wrong({"fault": "retyped_fields"}),
    "rows in disorder": Wrong({"fault": "rows_unsorted"}),
    "reset after every answer": Wrong({"fault": "reset_after"}),
    "unknown code in long chains": Wrong({"fault": "unknown_code"}, long=True),
    "rows in disorder in long chains": Wrong({"fault": "rows_unsorted"}, long=True),
}


@dataclass
class Day:
    """A day on which each character got another wrong answer."""

    place: Place
    whom: dict[str, CharacterKey]
    struck: dict[str, int]
    exit_code: int
    text: str
    debts: dict[Any, str] = field(default_factory=dict)


def choose_characters(world: World, wrongs: dict[str, Wrong]) -> dict[str, CharacterKey]:
    """Give each fault a character that plays: one of more than a page where it takes several."""
    events = dict.fromkeys(world.characters(), 0)
    for (_, server, character, *_), count in world.truth().items():
        events[CharacterKey(server, character)] += count
    long = [key for key, count in events.items() if count > 100]
    short = [key for key, count in events.items() if 5 < count <= 100]
    return {name: (long if wrong.long else short).pop() for name, wrong in wrongs.items()}


def run_day(place: Place, wrongs: dict[str, Wrong]) -> Day:
    whom = choose_characters(place.world, wrongs)
    place.world.fail(*({**wrong.rule, "character": whom[name].character_id} for name, wrong in wrongs.items()))
    run = place.day()
    struck = [rule["struck"] for rule in json.loads(place.world.read("faults"))]
    return Day(place, whom, dict(zip(wrongs, struck, strict=True)), run.wait(), run.text, place.debts())


def put_right(world: World) -> None:
    world.fail()
    world.switch(rate=1000)


@pytest.fixture(scope="module")
def bad_day(borrow_place: Borrow, sandbox_world: World) -> Iterator[Day]:
    with borrow_place() as place:
        day = run_day(place, LASTING)
        put_right(sandbox_world)
        yield day


def test_everything_that_lasts_is_owed_with_its_reason_and_all_else_is_there(bad_day: Day) -> None:
    assert bad_day.exit_code == INDEBTED, bad_day.text
    owed = {(DAY, *bad_day.whom[name]): wrong.reason for name, wrong in LASTING.items()}
    bad_day.place.assert_indebted(owed)
    assert "Traceback" not in bad_day.text


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_is_owed(bad_day: Day, name: str) -> None:
    wrong, character = LASTING[name], bad_day.whom[name]
    assert bad_day.struck[name] > 0 or name == "text with NUL"
    assert wrong.reason in bad_day.debts[DAY, *character]
    kept = bad_day.place.query(
        f"SELECT object_key, reason FROM timeline.dead_letter WHERE character_id = '{character.character_id}'"
    )
    assert len(kept) == wrong.bytes_came
    for key, reason in kept:
        assert open_lake(bad_day.place.settings).get(key)
        assert wrong.reason in reason


def test_once_the_api_is_right_again_a_retry_pays_everything(place: Place) -> None:
    bad_day = run_day(place, LASTING)
    missing = [name for name in LASTING if LASTING[name].reason.startswith("missing")]
    letters = place.query("SELECT object_key FROM timeline.unread_letter")
    assert len(letters) == sum(wrong.bytes_came for wrong in LASTING.values())
    put_right(place.world)
    place.world.forget_stats()
    run = place.start("retry")
    assert run.wait() == COMPLETE, run.text
    asked = set(place.world.stats()["by_character"])
    assert asked == {character.character_id for name, character in bad_day.whom.items() if name not in missing}
    place.assert_indebted(owe([bad_day.whom[name] for name in missing], "missing"))
    assert place.query("SELECT count(*) FROM timeline.unread_letter") == [(0,)]
    lake = open_lake(place.settings)
    assert all(lake.get(key) for (key,) in letters), "what was sent is evidence, and stays"


@pytest.fixture(scope="module")
def rough_day(borrow_place: Borrow, sandbox_world: World) -> Iterator[Day]:
    with borrow_place() as place:
        day = run_day(place, PASSING)
        put_right(sandbox_world)
        yield day


def test_what_passes_is_lived_through(rough_day: Day) -> None:
    assert rough_day.exit_code == COMPLETE, rough_day.text
    rough_day.place.assert_complete()


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_costs_nothing_but_requests(rough_day: Day, name: str) -> None:
    assert rough_day.struck[name] == PASSING[name].rule["times"]
    assert (DAY, *rough_day.whom[name]) not in rough_day.debts


def test_what_is_new_or_in_disorder_is_kept_as_it_came(place: Place) -> None:
    day = run_day(place, HARMLESS)
    assert day.exit_code == COMPLETE, day.text
    place.assert_complete()
    assert {code for (code,) in place.query("SELECT code FROM timeline.event")} >= {999}


def test_an_api_that_answers_nobody_sensibly_owes_everybody(place: Place) -> None:
    place.world.fail({"fault": "status_500"})
    run = place.day()
    assert run.wait() == INDEBTED, run.text
    assert "does not answer sensibly" in run.text
    place.assert_indebted(owe(place.world.characters(), "HTTP 500"))
    place.world.fail()
    run = place.day()
    assert run.wait() == COMPLETE, run.text
    place.assert_complete()


def test_pages_that_are_exactly_full_may_be_followed_by_an_empty_one(place: Place) -> None:
    place.world.switch(full_page_goes_on=True)
    run = place.day()
    assert run.wait() == COMPLETE, run.text
    compare(place.settings, place.world.truth(), [DAY])
