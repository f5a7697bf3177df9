import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pages import CHARACTER, CURSOR, ROWS, WINDOW, make_page, make_row, spell_data

from neople_timeline.checks import canonicalize
from neople_timeline.neople.protocol import (
    Unreadable,
    read_answer,
)

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=5,
)

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
        pytest.param(spell_data(b"[" * 5000 + b"]" * 5000), id="5,000 levels"),
        pytest.param(spell_data(b'{"a":' * 600 + b"1" + b"}" * 600), id="600 levels"),
    ],
)
def test_what_is_no_timeline_of_this_character_is_refused_and_kept(body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read_answer(CHARACTER, WINDOW, body)
    assert caught.value.body == body


def test_levels_that_are_not_too_many_are_read_and_brackets_in_text_are_none() -> None:
    for data in (b"[" * 400 + b"]" * 400, b'{"a":["' + b'\\"[{' * 1000 + b'"]}'):
        (row,) = read_answer(CHARACTER, WINDOW, spell_data(data)).timeline.rows
        assert bytes(row.data) == data
        assert json.loads(canonicalize(data)) == json.loads(data)


def test_a_code_too_large_for_its_column_is_refused_for_its_character_alone() -> None:
    with pytest.raises(Unreadable):
        read_answer(CHARACTER, WINDOW, make_page([make_row(code=2**31)]))


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({"fame": 2**31, "level": 115}, {"fame": None, "level": 115}),
        (
            {"level": 115.5, "guildId": 123, "guildName": "길드"},
            {"level": None, "guild_id": None, "guild_name": "길드"},
        ),
        ({"jobName": False, "jobId": {"a": 1}, "fame": "61203"}, {"job_name": None, "job_id": None, "fame": 61203}),
        ({"adventureName": ["모험"], "characterName": None}, {"adventure_name": None, "character_name": None}),
    ],
)
def test_a_character_s_field_of_another_type_is_left_out_and_costs_nothing_else(
    sent: dict[str, Any], read: dict[str, Any]
) -> None:
    answer = read_answer(CHARACTER, WINDOW, make_page([make_row()], **sent))
    assert {name: getattr(answer, name) for name in read} == read
    assert len(answer.timeline.rows) == 1


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
        r'{"a":"","a":"\u0022\u0022\u0022\u0022"}',
        r'{"a":1,"\u0061":2}',
        '{"a" :1 ,\t"a": 2}',
    ],
)
def test_a_key_that_comes_twice_in_one_object_is_refused(data: str) -> None:
    with pytest.raises(Unreadable, match="twice in one object"):
        read_answer(CHARACTER, WINDOW, spell_data(data.encode()))


SPELLINGS = st.fixed_dictionaries(
    {"ensure_ascii": st.booleans(), "separators": st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :")])}
)


@given(st.text(), JSON_VALUES, JSON_VALUES, SPELLINGS)
@example("a", "\x7f" * 9, 0.5, {"ensure_ascii": False, "separators": (",", ":")})
def test_a_key_that_comes_twice_is_refused_however_it_is_spelled(
    key: str, first: object, second: object, spelling: dict[str, Any]
) -> None:
    def spell(value: object) -> str:
        return json.dumps(value, **spelling)

    once, twice = spell({key: first}), f"{{{spell(key)}:{spell(first)},{spell(key)}:{spell(second)}}}"
    if r"\u0000" in twice:
        return
    assert bytes(read_answer(CHARACTER, WINDOW, spell_data(once.encode())).timeline.rows[0].data).decode() == once
    with pytest.raises(Unreadable, match="twice in one object"):
        read_answer(CHARACTER, WINDOW, spell_data(twice.encode()))


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
    body = make_page([make_row()]).replace(b'"code":505', b'"code":504,"code":505')
    with pytest.raises(Unreadable, match="'code' twice"):
        read_answer(CHARACTER, WINDOW, body)


@pytest.mark.parametrize("data", [r'{"a":"\u0022\"","b":{"a":"\""}}', '[{"a":1},{"a":1}]', r'{"a":1,"\u0041":2}'])
def test_keys_that_differ_or_belong_to_other_objects_are_kept_as_they_are(data: str) -> None:
    rows = read_answer(CHARACTER, WINDOW, spell_data(data.encode())).timeline.rows
    assert bytes(rows[0].data).decode() == data
