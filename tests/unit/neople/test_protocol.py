import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from neople_timeline.digest import hash_event
from neople_timeline.errors import SkipCharacter, StopCollecting, TimelineError
from neople_timeline.models import CharacterKey, Window
from neople_timeline.neople.protocol import (
    LONGEST_CHAIN,
    LONGEST_WAIT,
    MAINTENANCE_SECONDS,
    MISSING,
    OTHER_LIMIT,
    STOP,
    Chain,
    FoundCharacter,
    Maintenance,
    SlowDown,
    Unreadable,
    check_status,
    next_path,
    read_answer,
    read_found,
    read_retry_after,
    search_path,
    timeline_path,
)

CHARACTER = CharacterKey("cain", "0123456789abcdef0123456789abcdef")
WINDOW = Window("2026-11-15 06:00", "2026-11-16 05:59")
NOW = datetime(2026, 11, 16, tzinfo=UTC)
CURSOR = "0f" * 80

MINUTES = st.sampled_from(["2026-11-15 06:00", "2026-11-15 06:01", "2026-11-15 23:59", "2026-11-16 05:59"])
DATA = st.one_of(st.none(), st.fixed_dictionaries({"itemId": st.sampled_from(["a", "b"]), "n": st.integers(0, 2)}))
ROWS = st.fixed_dictionaries(
    {"code": st.sampled_from([504, 505]), "name": st.just("획득"), "date": MINUTES, "data": DATA}
)


def make_row(date: str = "2026-11-15 07:00", **fields: Any) -> dict[str, Any]:
    return {"code": 505, "name": "획득", "date": date, "data": {"itemId": "a"}, **fields}


def make_page(rows: list[dict[str, Any]], cursor: str | None = None, **envelope: Any) -> bytes:
    answer = {"characterId": CHARACTER.character_id, "characterName": "모험가", **envelope}
    return json.dumps(answer | {"timeline": {"date": {}, "next": cursor, "rows": rows}}, ensure_ascii=False).encode()


def spell_data(data: bytes) -> bytes:
    """Give an answer of one row with a payload in exactly this spelling."""
    return make_page([make_row(data="HERE")]).replace(b'"HERE"', data)


def walk(bodies: list[bytes]) -> Chain:
    chain = Chain(CHARACTER, WINDOW)
    for body in bodies:
        assert chain.next_request
        chain.accept(body)
    return chain


# What is asked ------------------------------------------------------------------------------------------------------


def test_the_first_request_has_both_dates_and_no_code_and_the_key_nowhere() -> None:
    url = urlsplit(timeline_path(CHARACTER, WINDOW))
    assert url.path == "/df/servers/cain/characters/0123456789abcdef0123456789abcdef/timeline"
    assert parse_qs(url.query) == {"limit": ["100"], "startDate": ["20261115T0600"], "endDate": ["20261116T0559"]}


def test_a_further_request_carries_the_cursor_only() -> None:
    assert parse_qs(urlsplit(next_path(CHARACTER, CURSOR)).query) == {"next": [CURSOR]}


@given(st.text(min_size=1))
def test_whatever_an_id_or_a_name_holds_stays_where_it_belongs(text: str) -> None:
    url = urlsplit("https://api.neople.co.kr" + timeline_path(CharacterKey(text, text), WINDOW))
    assert len(url.path.split("/")) == 7
    assert set(parse_qs(url.query)) == {"limit", "startDate", "endDate"}
    search = urlsplit("https://api.neople.co.kr" + search_path("all", text, "full"))
    assert parse_qs(search.query, keep_blank_values=True)["characterName"] == [text]


def test_the_search_is_for_exactly_the_name() -> None:
    query = parse_qs(urlsplit(search_path("cain", "빛나는 검+1", "match")).query)
    assert query == {"characterName": ["빛나는 검+1"], "wordType": ["match"], "limit": ["200"]}


# What an error means ------------------------------------------------------------------------------------------------


def make_error(code: str, status: int = 500) -> bytes:
    return json.dumps({"error": {"status": status, "code": code, "message": "whatever"}}).encode()


@pytest.mark.parametrize("code", STOP)
def test_a_refused_key_or_request_stops_everything(code: str) -> None:
    with pytest.raises(StopCollecting, match=code):
        check_status(401, {}, make_error(code, 401))


@pytest.mark.parametrize("code", MISSING)
def test_an_unknown_character_is_skipped_as_missing(code: str) -> None:
    with pytest.raises(SkipCharacter, match=code):
        check_status(404, {}, make_error(code, 404))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, make_error("DNF999")),
        (500, make_error("API999")),
        (500, make_error("API007")),
        (500, make_error("API008")),
        (502, b"<html>Bad Gateway</html>"),
        (503, b""),
        (404, b"<html>Not Found</html>"),
        (404, make_error("DNF003", 404)),
        (400, b'{"error":null}'),
        (302, b""),
        (200, make_error("DNF999")),
    ],
)
def test_what_may_pass_is_tried_again_and_its_bytes_are_kept(status: int, body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        check_status(status, {}, body)
    assert caught.value.body == body


@pytest.mark.parametrize(("status", "body"), [(429, b""), (200, make_error("API002")), (400, make_error("API002"))])
def test_too_many_requests_slow_down(status: int, body: bytes) -> None:
    with pytest.raises(SlowDown) as caught:
        check_status(status, {"retry-after": "7"}, body)
    assert caught.value.seconds == 7


@pytest.mark.parametrize("status", [200, 400, 503])
def test_maintenance_waits_for_minutes(status: int) -> None:
    with pytest.raises(Maintenance) as caught:
        check_status(status, {}, make_error("DNF980", 503))
    assert caught.value.seconds == MAINTENANCE_SECONDS


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_without_a_code_stops_too(status: int) -> None:
    with pytest.raises(StopCollecting):
        check_status(status, {}, b"no JSON at all")


def test_the_message_decides_nothing() -> None:
    body = json.dumps({"error": {"code": "DNF001", "message": "DNF980 API003"}}).encode()
    with pytest.raises(SkipCharacter):
        check_status(404, {}, body)


def test_an_event_that_speaks_of_errors_is_no_error() -> None:
    check_status(200, {}, make_page([make_row(data={"error": {"code": "API003"}})]))
    check_status(200, {}, make_page([make_row()], error=None))


@given(st.binary(), st.sampled_from([200, 302, 400, 401, 404, 429, 500, 503]))
def test_an_answer_of_any_bytes_is_one_of_our_errors_or_none(body: bytes, status: int) -> None:
    try:
        check_status(status, {}, body)
    except TimelineError:
        return
    assert status == 200


# Retry-After --------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**30))
def test_retry_after_in_seconds_is_at_least_one_and_at_most_an_hour(seconds: int) -> None:
    assert read_retry_after(str(seconds), NOW) == min(max(seconds, 1), LONGEST_WAIT)


@given(st.integers(-100_000, 100_000))
def test_retry_after_as_a_date_counts_from_now(seconds: int) -> None:
    header = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert read_retry_after(header, NOW) == min(max(seconds, 1), LONGEST_WAIT)


@given(st.text())
@example("")
@example("-5")
@example("1e9")
@example("²")
@example("9" * 400)
@example("Mon, 16 Nov 2026 00:00:30")
@example("Mon, 16 Nov 99999 00:00:30 GMT")
@example("Mon, 16 Nov 2026 00:00:30 +99999999999999999999")
@example("Mon, 31 Feb 2026 25:61:61 GMT")
def test_any_retry_after_is_some_sensible_wait(text: str) -> None:
    assert 1 <= read_retry_after(text, NOW) <= LONGEST_WAIT


# What an answer says ------------------------------------------------------------------------------------------------


@given(st.lists(ROWS, max_size=5))
def test_rows_are_read_as_they_were_sent(rows: list[dict[str, Any]]) -> None:
    answer = read_answer(CHARACTER, WINDOW, make_page(rows))
    assert [
        {"code": row.code, "name": row.name, "date": row.date, "data": json.loads(bytes(row.data))}
        for row in answer.timeline.rows
    ] == rows


def test_an_absent_payload_is_null() -> None:
    row = {"code": 101, "name": "생성", "date": "2026-11-15 07:00"}
    assert bytes(read_answer(CHARACTER, WINDOW, make_page([row])).timeline.rows[0].data) == b"null"


def test_an_envelope_of_an_older_age_is_read() -> None:
    answer = read_answer(CHARACTER, WINDOW, make_page([], level=85, guildId=None, adventureName=None))
    assert (answer.fame, answer.level, answer.guild_id) == (None, 85, None)


@pytest.mark.parametrize("date", [WINDOW.start, WINDOW.end])
def test_both_bounds_belong_to_the_window(date: str) -> None:
    assert len(read_answer(CHARACTER, WINDOW, make_page([make_row(date)])).timeline.rows) == 1


@pytest.mark.parametrize("date", ["2026-11-15 05:59", "2026-11-16 06:00", "2025-11-15 12:00"])
def test_a_row_outside_the_window_is_refused(date: str) -> None:
    with pytest.raises(Unreadable, match="outside the window"):
        read_answer(CHARACTER, WINDOW, make_page([make_row(), make_row(date)]))


@pytest.mark.parametrize("date", ["", "2026-11-15", "2026-11-15T07:00", "2026-11-15 07:00:00", "2026-11-15 0\uff17:00"])
def test_a_row_without_a_minute_is_refused(date: str) -> None:
    with pytest.raises(Unreadable, match="YYYY-MM-DD HH:mm"):
        read_answer(CHARACTER, WINDOW, make_page([make_row(date)]))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"<html></html>",
        b'{"characterId":"x","timeline":null}',
        b'{"characterId":"x","timeline":{"rows":null,"next":null}}',
        make_page([make_row()])[:-20],
        make_page([make_row()]) + b"}",
        b"\xef\xbb\xbf" + make_page([]),
        make_page([make_row()]).replace("획득".encode(), b"\xff\xfe"),
        make_page([make_row(code="drop")]),
        make_page([make_row(code=None)]),
        make_page([make_row(name=None)]),
        make_page([make_row() | {"date": None}]),
        make_page([], characterId="f" * 32),
        spell_data(b"[" * 5000 + b"]" * 5000),
    ],
)
def test_what_is_no_timeline_of_this_character_is_refused_and_kept(body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read_answer(CHARACTER, WINDOW, body)
    assert caught.value.body == body


@pytest.mark.parametrize(
    "body", [make_page([make_row(code=2**31)]), make_page([], fame=2**31), make_page([], level=-(2**40))]
)
def test_a_number_too_large_for_its_column_is_refused_for_its_character_alone(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_answer(CHARACTER, WINDOW, body)


# Text and numbers that PostgreSQL cannot store ----------------------------------------------------------------------

LETTERS = st.characters(exclude_categories=[])
"""Also halves of surrogate pairs and NUL, which JSON can spell and PostgreSQL cannot store."""
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(LETTERS, max_size=6)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(LETTERS, max_size=4), inner, max_size=3),
)


def is_storable(text: str) -> bool:
    """Judge by the standard library: no NaN, no NUL, no half of a pair."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        value = json.loads(text, parse_constant=refuse)
        plain = json.dumps(value, ensure_ascii=False)
        plain.encode()
    except ValueError:
        return False
    return "\\u0000" not in plain.replace("\\\\", "")


@given(VALUES, st.booleans())
@example({"\ud83d": "\ude00"}, True)  # noqa: FBT003
@example("\ud83d\ude00", True)  # noqa: FBT003
@example("\ude00\ud83d", True)  # noqa: FBT003
@example("\\u0000", True)  # noqa: FBT003
@example("\\\x00", True)  # noqa: FBT003
@example("\ud83d\\ude00", True)  # noqa: FBT003
def test_a_payload_is_accepted_exactly_if_it_can_be_stored(value: object, ascii_only: bool) -> None:  # noqa: FBT001
    text = json.dumps(value, ensure_ascii=ascii_only)
    body = spell_data(text.encode(errors="surrogatepass"))
    if is_storable(text):
        kept = bytes(read_answer(CHARACTER, WINDOW, body).timeline.rows[0].data).decode()
        assert kept == text
    else:
        with pytest.raises(Unreadable):
            read_answer(CHARACTER, WINDOW, body)


@given(
    st.lists(
        st.sampled_from([r"\ud83d", r"\ude00", r"\u0041", r"\u0000", r"\\", r"\"", "ud83d", "x", r"\uD83D"]), max_size=5
    )
)
def test_escapes_are_judged_as_the_standard_library_reads_them(pieces: list[str]) -> None:
    text = '"' + "".join(pieces) + '"'
    try:
        read_answer(CHARACTER, WINDOW, spell_data(text.encode()))
    except Unreadable:
        assert not is_storable(text)
    else:
        assert is_storable(text)


@given(st.data())
def test_a_damaged_answer_is_refused_unless_it_still_is_json_of_the_same_meaning(data: st.DataObject) -> None:
    body = bytearray(make_page([make_row(), make_row(data={"a": [1.5, "é\n", None, True]})], CURSOR))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        answer = read_answer(CHARACTER, WINDOW, bytes(body))
    except Unreadable:
        return
    read = json.loads(bytes(body).decode())["timeline"]
    assert [json.loads(bytes(row.data)) for row in answer.timeline.rows] == [row.get("data") for row in read["rows"]]
    assert [(row.name, row.date) for row in answer.timeline.rows] == [
        (row["name"], row["date"]) for row in read["rows"]
    ]


@pytest.mark.parametrize("number", ["1e1000", "-1E+99999", "1e-1000", "1." + "3" * 1000, "7" * 1000, "-" + "7" * 5000])
def test_a_number_that_no_column_holds_is_refused(number: str) -> None:
    with pytest.raises(Unreadable, match="number that cannot be stored"):
        read_answer(CHARACTER, WINDOW, spell_data(b'{"a":%s}' % number.encode()))


@pytest.mark.parametrize(
    "text", ["1e999", "7" * 999, "-0.0", "1E0000000005", "18446744073709551616", '"1e1000"', '"%s"' % ("7" * 5000)]
)
def test_a_number_that_can_be_stored_keeps_its_spelling(text: str) -> None:
    rows = read_answer(CHARACTER, WINDOW, spell_data(text.encode())).timeline.rows
    assert bytes(rows[0].data) == text.encode()


@pytest.mark.parametrize(
    "data",
    [
        '{"a":1,"a":2}',
        '{"a":1, "b":{"a":2,"c":[{"d":"x","d":"x"}]}}',
        r'{"a":"\u0022\u0022","a":""}',
        r'{"a":1,"\u0061":2}',
        '{"a" :1 ,\t"a": 2}',
    ],
)
def test_a_key_that_comes_twice_in_one_object_is_refused(data: str) -> None:
    with pytest.raises(Unreadable, match="twice in one object"):
        read_answer(CHARACTER, WINDOW, spell_data(data.encode()))


@pytest.mark.parametrize("broken", [b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80", b"\xe2\x82"])
@pytest.mark.parametrize(
    "data", [b'{"itemId":"HERE"}', b'{"HERE":1}', b'{"a":["HERE"]}', b'{"a":{"b":"\\u0041HERE"}}', b'"HERE"']
)
def test_bytes_that_are_not_utf_8_are_refused_wherever_they_are(data: bytes, broken: bytes) -> None:
    body = spell_data(data)
    assert read_answer(CHARACTER, WINDOW, body)
    with pytest.raises(Unreadable):
        read_answer(CHARACTER, WINDOW, body.replace(b"HERE", broken))
    with pytest.raises(Unreadable):
        read_answer(CHARACTER, WINDOW, make_page([], unknown="HERE").replace(b"HERE", broken))


def test_a_key_that_comes_twice_is_refused_in_the_envelope_too() -> None:
    body = make_page([make_row()]).replace(b'"code": 505', b'"code": 504, "code": 505')
    with pytest.raises(Unreadable, match="'code' twice"):
        read_answer(CHARACTER, WINDOW, body)


@pytest.mark.parametrize("data", [r'{"a":"\u0022\"","b":{"a":"\""}}', '[{"a":1},{"a":1}]', r'{"a":1,"\u0041":2}'])
def test_keys_that_differ_or_belong_to_other_objects_are_kept_as_they_are(data: str) -> None:
    rows = read_answer(CHARACTER, WINDOW, spell_data(data.encode())).timeline.rows
    assert bytes(rows[0].data).decode() == data


# Chains of pages ----------------------------------------------------------------------------------------------------


def cut_pages(rows: list[dict[str, Any]], cuts: list[int]) -> list[bytes]:
    bounds = [0, *sorted(cuts), len(rows)]
    pieces = [rows[start:end] for start, end in pairwise(bounds)]
    pieces = [piece for piece in pieces if piece] or [[]]
    return [make_page(piece, f"{n:0160x}" if n < len(pieces) else None) for n, piece in enumerate(pieces, 1)]


def hash_rows(rows: list[dict[str, Any]]) -> Counter[int]:
    return Counter(
        hash_event(row["code"], row["name"], row["date"], json.dumps(row["data"], ensure_ascii=False).encode())
        for row in rows
    )


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


# The name search ----------------------------------------------------------------------------------------------------


def test_hits_are_read() -> None:
    row = {"serverId": "cain", "characterId": "ab", "characterName": "빛", "level": 110, "jobGrowName": "眞 웨펀마스터"}
    assert (
        read_found(json.dumps({"rows": [row, {**row, "fame": 3}]}).encode())
        == [FoundCharacter("cain", "ab", "빛", 110, "眞 웨펀마스터")] * 2
    )
    assert read_found(b'{"rows":[]}') == []


@pytest.mark.parametrize("body", [b"", b"[]", b'{"rows":null}', b'{"rows":[{}]}', b"<html>", b"\xff"])
def test_what_is_no_list_of_hits_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read_found(body)
    assert caught.value.body == body
