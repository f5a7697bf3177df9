import json
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import CHARACTER, CURSOR, ROWS, WINDOW, make_page, make_row, spell

from neople_timeline.digest import hash_event
from neople_timeline.models import KOREA, Window
from neople_timeline.neople.protocol import (
    LONGEST_CHAIN,
    OTHER_LIMIT,
    Chain,
    Unreadable,
    next_path,
)


def walk(bodies: list[bytes]) -> Chain:
    chain = Chain(CHARACTER, WINDOW)
    for body in bodies:
        assert chain.next_request
        chain.accept(body)
    return chain


def cut_pages(rows: list[dict[str, Any]], cuts: list[int]) -> list[bytes]:
    bounds = [0, *sorted(cuts), len(rows)]
    pieces = [rows[start:end] for start, end in pairwise(bounds)]
    pieces = [piece for piece in pieces if piece] or [[]]
    return [make_page(piece, f"{n:0160x}" if n < len(pieces) else None) for n, piece in enumerate(pieces, 1)]


def hash_rows(rows: list[dict[str, Any]]) -> Counter[int]:
    return Counter(hash_event(row["code"], row["name"], row["date"], spell(row["data"])) for row in rows)


@given(st.lists(ROWS, max_size=12), st.lists(st.integers(0, 12), max_size=4))
def test_any_cut_into_pages_gives_the_same_events(rows: list[dict[str, Any]], cuts: list[int]) -> None:
    chain = walk(cut_pages(rows, [min(cut, len(rows)) for cut in cuts]))
    assert chain.next_request is None
    assert Counter(chain.hashes) == hash_rows(rows)
    assert sum(len(answer.timeline.rows) for answer in chain.answers) == len(rows)


@given(st.lists(ROWS, max_size=8), st.integers(0, 8))
def test_a_chain_is_doubtful_exactly_if_a_later_page_repeats_a_row(rows: list[dict[str, Any]], cut: int) -> None:
    first, second = hash_rows(rows[:cut]), hash_rows(rows[cut:])
    assert walk(cut_pages(rows, [min(cut, len(rows))])).doubtful == bool(first & second)


def test_a_page_that_repeats_one_of_long_before_is_doubtful() -> None:
    minutes = [f"2026-11-15 {hour:02}:{minute:02}" for hour in (7, 8, 9, 10) for minute in range(60)]
    pages = [[make_row(date=minute) for minute in minutes[at : at + 100]] for at in (0, 100, 200)]
    bodies = [make_page(pages[0], "a" * 160), make_page(pages[1], "b" * 160), make_page([*pages[2], pages[0][0]])]
    assert walk(bodies).doubtful
    assert not walk([*bodies[:2], make_page(pages[2])]).doubtful


def test_equal_rows_on_one_page_are_legal_and_beyond_doubt() -> None:
    chain = walk([make_page([make_row(), make_row()])])
    assert (len(chain.hashes), chain.doubtful) == (2, False)


def test_a_full_last_page_may_be_followed_by_an_empty_one() -> None:
    chain = walk([make_page([make_row()], CURSOR), make_page([])])
    assert (chain.next_request, len(chain.hashes), len(chain.bodies)) == (None, 1, 2)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_a_cursor_seen_before_is_refused_whatever_lies_between(cursors: list[int]) -> None:
    chain, seen = Chain(CHARACTER, WINDOW), set[int]()
    for minute, cursor in enumerate(cursors):
        body = make_page([make_row(f"2026-11-15 07:0{minute}")], f"{cursor:0160x}")
        if cursor in seen:
            with pytest.raises(Unreadable, match="repeats a cursor"):
                chain.accept(body)
            return
        seen.add(cursor)
        chain.accept(body)
        assert chain.next_request == next_path(CHARACTER, f"{cursor:0160x}")


def test_an_empty_page_that_is_not_the_last_is_refused() -> None:
    with pytest.raises(Unreadable, match="empty page"):
        walk([make_page([], CURSOR)])


def test_a_chain_without_an_end_is_given_up() -> None:
    bodies = [make_page([make_row()], f"{number:0160x}") for number in range(LONGEST_CHAIN)]
    with pytest.raises(Unreadable, match="no end"):
        walk(bodies)


def test_line_breaks_between_values_become_blanks_so_that_an_answer_is_one_line() -> None:
    pretty = json.dumps(json.loads(make_page([make_row(name="두\n줄")])), indent=1).replace("\n", "\r\n").encode()
    chain = walk([pretty])
    assert b"\n" not in chain.bodies[0]
    assert json.loads(chain.bodies[0]) == json.loads(pretty)
    assert chain.answers[0].timeline.rows[0].name == "두\n줄"


def test_the_second_look_at_a_chain_is_cut_elsewhere() -> None:
    request = Chain(CHARACTER, WINDOW, OTHER_LIMIT).next_request
    assert request
    assert parse_qs(urlsplit(request).query)["limit"] == [str(OTHER_LIMIT)]


PAST, FUTURE = Window("2020-11-15 06:00", "2020-11-16 05:59"), Window("2020-11-15 06:00", "2999-11-16 05:59")
WHOLE = {"start": "2020-11-15 06:00", "end": "2020-11-16 05:59"}


@pytest.mark.parametrize(
    "dates", [{"start": "2020-11-15 06:01"}, {"end": "2020-11-16 05:58"}, {"end": "2020-11-15 12:00"}]
)
def test_an_answer_about_less_than_was_asked_for_is_refused(dates: dict[str, str]) -> None:
    with pytest.raises(Unreadable, match="less than was asked for"):
        Chain(CHARACTER, PAST).accept(make_page([], dates=WHOLE | dates))


@pytest.mark.parametrize(
    "dates",
    [
        {},
        {"start": "2020-11-01 00:00", "end": "2020-12-01 00:00"},
        {"end": "today"},
        {"start": None},
        {"start": 20201115},
    ],
)
def test_an_answer_about_more_or_that_does_not_tell_is_read(dates: dict[str, object]) -> None:
    Chain(CHARACTER, PAST).accept(make_page([], dates=WHOLE | dates))


@pytest.mark.parametrize("dates", [None, [], "2020", {}, {"start": "2020-11-15 06:00"}])
def test_an_answer_whose_dates_are_of_another_kind_is_read(dates: object) -> None:
    Chain(CHARACTER, PAST).accept(make_page([], dates=dates))


def test_of_days_that_are_over_an_answer_must_tell_all_though_the_window_s_last_day_runs() -> None:
    now = datetime.now(KOREA)
    window = Window(f"{now - timedelta(days=3):%Y-%m-%d} 06:00", f"{now + timedelta(days=1):%Y-%m-%d} 05:59")
    early = {"start": window.start, "end": f"{now - timedelta(days=2):%Y-%m-%d} 12:00"}
    with pytest.raises(Unreadable, match="covers less"):
        Chain(CHARACTER, window).accept(make_page([], dates=early))


def test_of_a_day_that_runs_an_answer_may_end_now() -> None:
    now = datetime.now(KOREA) - timedelta(minutes=2)  # by a clock that is a little behind
    Chain(CHARACTER, FUTURE).accept(make_page([], dates={"start": FUTURE.start, "end": f"{now:%Y-%m-%d %H:%M}"}))
