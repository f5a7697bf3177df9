import json
from collections.abc import Mapping
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neople_timeline.sandbox.answers import ApiError
from neople_timeline.sandbox.catalogue import WORDS
from neople_timeline.sandbox.timeline import (
    ALL_CODES,
    CODE_PLACES,
    Answer,
    Position,
    Query,
    first_position,
    make_cursor,
    read_codes,
    read_cursor,
    read_limit,
    read_minute,
    read_page,
    read_query,
    read_window,
)
from neople_timeline.sandbox.world import DAY_MINUTES, Event, World, minute_text

NOW = datetime(2026, 11, 24, 9, 30)  # noqa: DTZ001  the API's dates carry no offset
WORLD = World(1, 300)
MORNING = read_minute("20261115T0600")
SEED = 1


def walk(query: Query, *, full_page_goes_on: bool = False) -> list[tuple[Event, ...]]:
    pages = []
    position: Position | None = first_position(query)
    while position:
        page = read_page(WORLD, query, position, full_page_goes_on=full_page_goes_on)
        pages.append(page.events)
        position = None
        if page.next:
            again, position = read_cursor(make_cursor(query, page.next, SEED), query.index, SEED)
            assert again == query
    return pages


def refused(parameters: Mapping[str, str]) -> str:
    with pytest.raises(ApiError) as caught:
        read_query(parameters, 0, NOW, seed=SEED, clamp=True)
    return caught.value.code


@settings(deadline=None)
@given(
    index=st.integers(0, 299),
    start=st.integers(MORNING - 3 * DAY_MINUTES, MORNING + DAY_MINUTES),
    length=st.integers(0, 6 * DAY_MINUTES),
    limit=st.integers(1, 100),
    filtered=st.tuples(st.sampled_from(["", "505", "505,513,401", "101", "999", "12345"]), st.booleans()),
)
def test_the_pages_are_the_truth(index: int, start: int, length: int, limit: int, filtered: tuple[str, bool]) -> None:
    codes, goes_on = filtered
    query = Query(index, start, start + length, limit, read_codes(codes))
    pages = walk(query, full_page_goes_on=goes_on)
    wanted = set(codes.split(",")) if codes else None
    truth = [e for e in WORLD.events(index, start, start + length) if wanted is None or str(e.code) in wanted]
    assert [event for page in pages for event in page] == truth
    assert all(len(page) == limit for page in pages[:-1])
    exactly_full = bool(truth) and len(truth) % limit == 0
    assert (len(pages) > 1 and pages[-1] == ()) == (exactly_full and goes_on)


def test_a_quarter_of_a_year_is_walked_whole() -> None:
    query = Query(4, MORNING - 90 * DAY_MINUTES, MORNING - 1, 100)
    events = [event for page in walk(query) for event in page]
    assert events == list(WORLD.events(4, query.start, query.end))
    assert len(events) > 500


def test_both_bounds_are_inclusive_minutes() -> None:
    events = list(WORLD.events(1, MORNING, MORNING + DAY_MINUTES - 1))
    newest, oldest = events[0].minute, events[-1].minute
    exact = walk(Query(1, oldest, newest, 100))
    inner = walk(Query(1, oldest + 1, newest - 1, 100))
    assert [event for page in exact for event in page] == events
    assert [event for page in inner for event in page] == [e for e in events if oldest < e.minute < newest]
    assert len(inner[0]) < len(exact[0])


@pytest.mark.parametrize("text", ["20261115T0600", "2026-11-15 06:00"])
def test_dates_have_two_forms(text: str) -> None:
    assert minute_text(read_minute(text)) == "2026-11-15 06:00"


@pytest.mark.parametrize(
    "text", ["", "2026-11-15", "2026-11-15T06:00", "20261115 0600", "20261315T0600", "20261115T2460", "x" * 13]
)
def test_other_dates_are_wrong_time_parameters(text: str) -> None:
    assert refused({"startDate": text, "endDate": "20261116T0559"}) == "DNF006"


def test_dates_come_both_or_neither() -> None:
    assert refused({"startDate": "20261115T0600"}) == "DNF006"
    assert refused({"endDate": "20261115T0600"}) == "DNF006"
    start, end = read_window({}, NOW)
    assert (minute_text(start), minute_text(end)) == ("2026-10-25 09:30", "2026-11-24 09:30")


def test_a_window_is_in_order_and_at_most_90_days() -> None:
    assert refused({"startDate": "20261115T0600", "endDate": "20261115T0559"}) == "DNF006"
    assert refused({"startDate": "20260101T0000", "endDate": "20260401T0001"}) == "DNF006"
    start, end = read_window({"startDate": "20260101T0000", "endDate": "20260401T0000"}, NOW)
    assert end - start == 90 * DAY_MINUTES
    start, end = read_window({"startDate": "20260101T0000", "endDate": "20260101T0000"}, NOW)
    assert start == end


@pytest.mark.parametrize(("text", "limit"), [(None, 10), ("1", 1), ("100", 100), ("101", 100), ("0", 1), ("-3", 1)])
def test_a_limit_is_clamped(text: str | None, limit: int) -> None:
    assert read_limit(text, 10, 100, clamp=True) == limit


@pytest.mark.parametrize("text", ["0", "101", "-1"])
def test_a_limit_can_be_refused_instead(text: str) -> None:
    with pytest.raises(ApiError, match="DNF901"):
        read_limit(text, 10, 100, clamp=False)


@pytest.mark.parametrize("text", ["", "ten", "1.5", "--1", "\u0661"])
def test_a_limit_is_a_number(text: str) -> None:
    assert refused({"limit": text}) == "DNF901"


def test_codes_make_a_mask_and_unknown_ones_match_nothing() -> None:
    assert read_codes(None) == ALL_CODES
    assert read_codes("505") == 1 << CODE_PLACES[505]
    assert read_codes("505,505,101") == 1 << CODE_PLACES[505] | 1
    assert read_codes("777") == 0
    assert refused({"code": "505,"}) == "DNF901"
    assert refused({"code": "drop"}) == "DNF901"


def test_there_is_one_code_that_nobody_knows() -> None:
    assert set(CODE_PLACES) == {entry["code"] for entry in WORDS["codes"]} | {999}


queries = st.builds(
    Query,
    index=st.integers(0, 2**40),
    start=st.integers(0, 5 * 10**9),
    end=st.integers(0, 5 * 10**9),
    limit=st.integers(1, 100),
    codes=st.integers(0, ALL_CODES),
)
positions = st.builds(
    Position, day=st.integers(0, 4_000_000), offset=st.integers(0, 10**6), variant=st.integers(0, 10**6)
)


@given(query=queries, position=positions, seed=st.integers(0, 2**30))
def test_a_cursor_holds_the_query_and_the_position(query: Query, position: Position, seed: int) -> None:
    cursor = make_cursor(query, position, seed)
    assert len(cursor) == (160 if query.index % 2 else 192)
    assert set(cursor) <= set("0123456789abcdef")
    assert read_cursor(cursor, query.index, seed) == (query, position)


@given(query=queries, position=positions, place=st.integers(0, 159))
def test_a_changed_cursor_is_refused(query: Query, position: Position, place: int) -> None:
    cursor = make_cursor(query, position, SEED)
    other = "0" if cursor[place] != "0" else "1"
    with pytest.raises(ApiError, match="DNF901"):
        read_cursor(cursor[:place] + other + cursor[place + 1 :], query.index, SEED)


@pytest.mark.parametrize("cursor", ["x", "abc", "ab", "", "00" * 80, "00" * 96, "00" * 16])
def test_a_made_up_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(ApiError, match="DNF901"):
        read_cursor(cursor, 0, SEED)


def test_a_cursor_belongs_to_its_character() -> None:
    cursor = make_cursor(Query(1, 0, 0, 10), Position(0, 0), SEED)
    with pytest.raises(ApiError, match="DNF901"):
        read_cursor(cursor, 2, SEED)


def test_with_a_cursor_the_first_query_applies() -> None:
    query, position = Query(1, MORNING, MORNING + 9, 25, 3), Position(5, 2)
    parameters = {"next": make_cursor(query, position, SEED), "limit": "7", "code": "999", "startDate": "nonsense"}
    assert read_query(parameters, 1, NOW, seed=SEED, clamp=True) == (query, position)


def test_an_answer_has_the_form_of_the_recorded_ones() -> None:
    query = Query(1, MORNING, MORNING + 60, 10)
    answer = Answer('{"characterId":"x"', query, first_position(query), None, ['{"code":1}', '{"code":2}'], "ab")
    assert json.loads(answer.encode()) == {
        "characterId": "x",
        "timeline": {
            "date": {"start": "2026-11-15 06:00", "end": "2026-11-15 07:00"},
            "next": "ab",
            "rows": [{"code": 1}, {"code": 2}],
        },
    }
