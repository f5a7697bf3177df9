import io
import json
from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from neople_timeline.digest import digest_hashes
from neople_timeline.errors import DataError
from neople_timeline.models import Calendar, CharacterKey, LedgerEntry
from neople_timeline.neople.protocol import Answer, Row, hash_rows
from neople_timeline.raw import RawLine
from neople_timeline.refine import (
    CHARACTER_DAYS_AT_ONCE,
    CharacterDay,
    PartWriter,
    cut_days,
    group_by_part,
    make_characters,
    make_events,
)
from neople_timeline.tables import CHARACTERS, EVENTS, PAYLOAD_COLUMNS

GAME = Calendar()
DAY = date(2026, 11, 15)
CHARACTER = CharacterKey("cain", "a" * 32)
OTHER = CharacterKey("bakal", "b" * 32)
FETCHED = datetime(2026, 11, 16, 21, 30, tzinfo=UTC)


def make_row(minute: str = "2026-11-15 07:00", code: int = 505, data: str = "null", name: str = "획득") -> Row:
    return Row(code, name, minute, msgspec.Raw(data.encode()))


def make_answer(rows: list[Row], character: CharacterKey = CHARACTER, **fields: Any) -> Answer:
    body = {"characterId": character.character_id, "timeline": {"rows": [], "next": None}, **fields}
    answer = msgspec.json.decode(json.dumps(body), type=Answer)
    answer.timeline.rows.extend(rows)
    return answer


def make_day(rows: list[Row], character: CharacterKey = CHARACTER, **fields: Any) -> CharacterDay:
    entry = LedgerEntry(DAY, 3, character, "raw/1", len(rows), -7)
    return CharacterDay(entry, make_answer(rows, character, **fields), rows, FETCHED)


def expect(rows: list[Row], day: date = DAY, character: CharacterKey = CHARACTER) -> LedgerEntry:
    """Give what the ledger says of events that were sent."""
    return LedgerEntry(day, 3, character, "raw/1", len(rows), digest_hashes(hash_rows(rows)))


def refine(*rows: Row) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = make_events([make_day(list(rows))]).to_pylist()
    return found


def make_object(*chains: tuple[CharacterKey, str, str, list[list[Row]]]) -> bytes:
    """Give the bytes of a raw object of chains: character, first and last minute, pages of rows."""
    lines = [
        RawLine(*character, start, end, number, FETCHED, msgspec.Raw(msgspec.json.encode(_as_body(character, page))))
        for character, start, end, pages in chains
        for number, page in enumerate(pages)
    ]
    return zstandard.compress(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))


def _as_body(character: CharacterKey, rows: list[Row]) -> dict[str, Any]:
    return {"characterId": character.character_id, "timeline": {"rows": rows, "next": None}}


# Rows → events ------------------------------------------------------------------------------------------------------


def test_an_event_has_the_columns_of_the_catalogue_in_their_order() -> None:
    table = make_events([make_day([make_row()])])
    assert table.schema == EVENTS.schema
    assert make_characters([make_day([])]).schema == CHARACTERS.schema


def test_the_keys_the_minute_and_the_instant() -> None:
    (event,) = refine(make_row("2026-11-16 05:59", 505, "{}"))
    assert (event["day"], event["server_id"], event["character_id"]) == (DAY, *CHARACTER)
    assert event["occurred_minute"] == "2026-11-16 05:59"
    assert event["occurred_at"] == datetime(2026, 11, 15, 20, 59, tzinfo=UTC)


def test_ordinals_count_the_events_of_each_minute_of_each_character() -> None:
    minutes = ["2026-11-15 07:00", "2026-11-15 07:00", "2026-11-15 07:01"]
    days = [make_day([make_row(minute) for minute in minutes], character) for character in (CHARACTER, OTHER)]
    events = make_events(days).to_pylist()
    assert [event["ordinal"] for event in events] == [0, 1, 0, 0, 1, 0]


@given(st.lists(st.tuples(st.sampled_from(["2026-11-15 07:00", "2026-11-15 07:01"]), st.integers(504, 506))))
def test_equal_rows_are_all_kept_and_minute_and_ordinal_name_each(rows: list[tuple[str, int]]) -> None:
    start, end = GAME.window(DAY, DAY).start, GAME.window(DAY, DAY).end
    sent = [make_row(minute, code) for minute, code in rows]
    data = make_object((CHARACTER, start, end, [sent]))
    events = make_events(list(cut_days(data, {CHARACTER: [expect(sent)]}, GAME))).to_pylist()
    assert Counter((event["occurred_minute"], event["code"]) for event in events) == Counter(rows)
    assert len({(event["occurred_minute"], event["ordinal"]) for event in events}) == len(rows)
    assert all(event["ordinal"] < sum(minute == event["occurred_minute"] for minute, _ in rows) for event in events)


@given(st.permutations([("07:00", 505, "{}"), ("07:00", 504, "{}"), ("07:00", 505, '{"a":1}'), ("07:01", 1, "null")]))
def test_the_order_in_which_the_api_sends_rows_changes_no_byte(rows: list[tuple[str, int, str]]) -> None:
    window = GAME.window(DAY, DAY)
    sent = [make_row(f"2026-11-15 {minute}", code, data) for minute, code, data in rows]
    data = make_object((CHARACTER, window.start, window.end, [sent]))
    events = make_events(list(cut_days(data, {CHARACTER: [expect(sent)]}, GAME))).to_pylist()
    assert [(event["occurred_minute"][11:], event["ordinal"], event["code"], event["data"]) for event in events] == [
        ("07:00", 0, 504, "{}"),
        ("07:00", 1, 505, '{"a":1}'),
        ("07:00", 2, 505, "{}"),
        ("07:01", 0, 1, None),
    ]


# Payloads -----------------------------------------------------------------------------------------------------------

DROP = {
    "itemId": "abc",
    "itemName": "검은 별",
    "itemRarity": "태초",
    "channelName": "하늘성",
    "channelNo": 12,
    "dungeonName": "회랑",
    "mistGear": True,
}


def test_a_drop_becomes_typed_columns() -> None:
    (event,) = refine(make_row(data=json.dumps(DROP, ensure_ascii=False)))
    assert {
        "item_id": "abc",
        "item_name": "검은 별",
        "item_rarity": "태초",
        "channel_name": "하늘성",
        "channel_no": 12,
        "dungeon_name": "회랑",
        "is_mist_gear": True,
    }.items() <= event.items()
    assert event["is_hard"] is None


def test_every_payload_column_takes_its_field() -> None:
    samples = {"string": "글", "int32": 7, "bool": False}
    for column in PAYLOAD_COLUMNS:
        value = samples[str(column.arrow)]
        payload: Any = value
        for name in reversed(column.source.split(".")):
            payload = {name: payload}
        (event,) = refine(make_row(data=json.dumps(payload)))
        filled = {one.name: event[one.name] for one in PAYLOAD_COLUMNS if event[one.name] is not None}
        assert filled == {column.name: value}


def test_an_attempt_becomes_typed_columns() -> None:
    data = {"before": 11, "after": 12, "result": False, "safe": True, "ticket": {"itemId": "t", "itemName": "표"}}
    (event,) = refine(make_row(code=401, data=json.dumps(data)))
    assert (event["before_level"], event["after_level"], event["is_success"], event["is_safe"]) == (11, 12, False, True)
    assert event["ticket_item_name"] == "표"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)
FIELDS = sorted({column.source.partition(".")[0] for column in PAYLOAD_COLUMNS})


@given(st.dictionaries(st.sampled_from([*FIELDS, "unknown"]), JSON), st.integers(0, 2**31 - 1))
def test_a_field_of_another_type_empties_its_column_and_costs_nothing_else(payload: dict[str, Any], code: int) -> None:
    text = json.dumps(payload)
    (event,) = refine(make_row(code=code, data=text))
    assert (event["code"], event["data"]) == (code, text)
    for column in PAYLOAD_COLUMNS:
        name, _, inner = column.source.partition(".")
        sent = payload.get(name)
        if inner and sent is not None:  # a ticket whose name makes no sense is a ticket all the same
            found = sent.get(inner) if isinstance(sent, dict) else None
            sent = found if isinstance(found, str) else ""
        if str(column.arrow) == "string":
            assert event[column.name] == (sent if isinstance(sent, str) else None)
        elif isinstance(sent, (list, dict)) or sent is None:
            assert event[column.name] is None
        elif str(column.arrow) == "bool" and isinstance(sent, bool):
            assert event[column.name] is sent
        elif str(column.arrow) == "int32" and type(sent) is int:
            assert event[column.name] == (sent if -(2**31) <= sent < 2**31 else None)


@given(JSON)
def test_a_payload_that_is_no_object_is_kept_as_it_is(value: Any) -> None:
    text = json.dumps(value)
    (event,) = refine(make_row(data=text))
    assert event["data"] == (None if text == "null" else text)


@pytest.mark.parametrize(
    "text",
    [
        '{ "itemId" : "a" , "x" : 1.50 }',
        '{"x":1e400,"channelNo":[1]}',
        '{"channelNo":1e400}',
        '{"x":123456789012345678901234567890}',
        '{"itemId":"\\uc544","itemId":"b"}',
        '"null"',
    ],
)
def test_the_payload_is_kept_byte_for_byte(text: str) -> None:
    assert refine(make_row(data=text))[0]["data"] == text


def test_no_payload_is_null() -> None:
    (event,) = refine(make_row(data="null"))
    assert event["data"] is None
    assert all(event[column.name] is None for column in PAYLOAD_COLUMNS)


def test_an_unknown_code_is_kept_like_any_other() -> None:
    (event,) = refine(make_row(code=9999, data='{"itemName":"새것","novelty":[1]}', name="모르는 일"))
    assert (event["code"], event["name"], event["item_name"]) == (9999, "모르는 일", "새것")


# Characters ---------------------------------------------------------------------------------------------------------


def test_a_character_is_kept_as_it_was_when_it_was_asked_for() -> None:
    day = make_day(
        [make_row(), make_row()], characterName="모험가", level=110, fame=None, guildId="g", jobGrowName="眞"
    )
    (character,) = make_characters([day]).to_pylist()
    assert character["character_name"] == "모험가"
    assert (character["level"], character["fame"], character["guild_id"], character["job_grow_name"]) == (
        110,
        None,
        "g",
        "眞",
    )
    assert (character["events"], character["digest"], character["collected_at"]) == (2, -7, FETCHED)


# Raw objects → character-days ---------------------------------------------------------------------------------------


def test_a_long_chain_is_cut_into_the_days_that_the_ledger_wants_from_it() -> None:
    minutes = ["2026-11-15 05:59", "2026-11-15 06:00", "2026-11-16 05:59", "2026-11-16 06:00"]
    rows = [make_row(minute) for minute in minutes]
    data = make_object((CHARACTER, "2026-11-14 06:00", "2026-11-17 05:59", [rows]))
    wanted = [expect(rows[1:3]), expect(rows[3:], date(2026, 11, 16))]
    cut = list(cut_days(data, {CHARACTER: wanted, OTHER: []}, GAME))
    assert [(one.entry.day, [row.date for row in one.rows]) for one in cut] == [
        (date(2026, 11, 15), minutes[1:3]),
        (date(2026, 11, 16), minutes[3:]),
    ]


def test_a_day_that_a_chain_does_not_cover_is_not_cut_from_it() -> None:
    data = make_object((CHARACTER, "2026-11-15 06:00", "2026-11-16 05:59", [[]]))
    wanted = {CHARACTER: [LedgerEntry(date(2026, 11, 16), 0, CHARACTER, "raw/1", 0, 0)]}
    assert list(cut_days(data, wanted, GAME)) == []


@pytest.mark.parametrize(
    "rows", [[make_row()], [make_row()] * 3, [make_row(), make_row(name="획덕")], [make_row(), make_row("no minute")]]
)
def test_other_events_than_were_sent_are_named(rows: list[Row]) -> None:
    data = make_object((CHARACTER, "2026-11-15 06:00", "2026-11-16 05:59", [rows]))
    with pytest.raises(DataError, match=rf"raw/1 has other events of cain/a+ .* \({len(rows)} events?, 2 were sent"):
        list(cut_days(data, {CHARACTER: [expect([make_row()] * 2)]}, GAME))


def test_character_days_are_sorted_into_their_parts() -> None:
    days = [make_day([], OTHER), make_day([], CHARACTER)]
    (found,) = group_by_part(days).items()
    assert found[0] == (DAY, 3)
    assert [day.entry.character for day in found[1]] == [OTHER, CHARACTER]


def test_what_comes_in_many_small_pieces_is_in_few_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neople_timeline.refine.ROWS_AT_ONCE", 8)
    characters = [CharacterKey("cain", f"{n:032x}") for n in range(14)]
    writer = PartWriter()
    for character in characters:
        writer.add([make_day([make_row(), make_row(data='{"itemId":"x"}')], character)])
    events, found = (pq.ParquetFile(io.BytesIO(data)) for data in writer.finish().values())
    assert [events.metadata.row_group(n).num_rows for n in range(events.num_row_groups)] == [8, 8, 8, 4]
    assert [found.metadata.row_group(n).num_rows for n in range(found.num_row_groups)] == [8, 6]
    assert events.read()["character_id"].to_pylist() == [one.character_id for one in characters for _ in range(2)]
    assert events.read()["item_id"].to_pylist() == [None, "x"] * 14
    assert events.schema_arrow == EVENTS.schema


def test_a_part_is_two_parquet_files_and_the_same_bytes_each_time() -> None:
    days = [
        make_day([make_row(data='{"itemId":"x"}')], CharacterKey("cain", f"{n:032x}"))
        for n in range(CHARACTER_DAYS_AT_ONCE + 1)
    ]

    def write() -> dict[str, bytes]:
        writer = PartWriter()
        writer.add(days)
        writer.add([make_day([], OTHER)])
        assert (writer.events, writer.characters) == (CHARACTER_DAYS_AT_ONCE + 1, CHARACTER_DAYS_AT_ONCE + 2)
        return writer.finish()

    files = write()
    assert files == write()
    events, characters = (pq.read_table(io.BytesIO(files[name])) for name in ("events", "characters"))
    assert (events.schema, characters.schema) == (EVENTS.schema, CHARACTERS.schema)
    assert (events.num_rows, characters.num_rows) == (CHARACTER_DAYS_AT_ONCE + 1, CHARACTER_DAYS_AT_ONCE + 2)
    assert events["item_id"].to_pylist() == ["x"] * (CHARACTER_DAYS_AT_ONCE + 1)


# What is not as it was written --------------------------------------------------------------------------------------

ROWS = [make_row(data='{"itemName":"빛"}'), make_row(data='{"itemName":"빛"}'), make_row()]
FEWER = [make_row(), make_row("2026-11-14 07:00")]
WHOLE = make_object(
    (CHARACTER, "2026-11-15 06:00", "2026-11-16 05:59", [ROWS[:2], ROWS[2:]]),
    (OTHER, "2026-11-14 06:00", "2026-11-16 05:59", [FEWER]),
)
EXPECTED = {CHARACTER: [expect(ROWS)], OTHER: [expect(FEWER[:1], character=OTHER)]}


@settings(max_examples=1000)
@given(place=st.integers(0), other=st.binary(max_size=3), cut=st.integers(0, 3), is_compressed=st.booleans())
def test_of_bytes_that_changed_only_events_that_were_sent_are_refined(
    place: int, other: bytes, cut: int, *, is_compressed: bool
) -> None:
    whole = WHOLE if is_compressed else zstandard.decompress(WHOLE)
    place %= len(whole)
    changed = whole[:place] + other + whole[place + cut :]
    data = changed if is_compressed else zstandard.compress(changed)
    try:
        days = list(cut_days(data, EXPECTED, GAME))
    except DataError:
        return
    for day in days:
        assert Counter(map(_spell, day.rows)) == Counter(
            map(_spell, ROWS if day.entry.character == CHARACTER else FEWER[:1])
        )
        make_events([day])
        make_characters([day])


def _spell(row: Row) -> tuple[object, ...]:
    return row.code, row.name, row.date, bytes(row.data)
