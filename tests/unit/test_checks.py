import json
import random
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from neople_timeline.checks import (
    DERIVED,
    Disagreement,
    EventText,
    Tallies,
    Tally,
    canonicalize,
    compare_characters,
    compare_tallies,
    spell_derived,
    tally_events,
)
from neople_timeline.digest import digest_hashes, hash_event
from neople_timeline.models import CharacterKey
from neople_timeline.tables import EVENTS

DAY = date(2026, 11, 15)
CAIN, BAKAL = CharacterKey("cain", "a" * 32), CharacterKey("bakal", "b" * 32)

NUMBERS = st.builds(
    lambda digits, exponent: f"{digits}e{exponent}" if exponent else str(digits),
    st.one_of(st.integers(), st.decimals(allow_nan=False, allow_infinity=False, places=3)),
    st.integers(-40, 40),
)
SCALARS = st.none() | st.booleans() | st.text(max_size=5) | NUMBERS.map(Decimal)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


def spell(value: Any, dice: random.Random) -> str:
    """Write a JSON value in one of the many ways that mean the same."""
    blank = dice.choice(["", " ", "\t"])
    if isinstance(value, dict):
        pairs = [f"{spell(name, dice)}{blank}:{blank}{spell(one, dice)}" for name, one in value.items()]
        dice.shuffle(pairs)
        return "{" + f"{blank},".join(pairs) + "}"
    if isinstance(value, list):
        return f"[{blank}" + f",{blank}".join(spell(one, dice) for one in value) + "]"
    if isinstance(value, Decimal):
        return _spell_number(value, dice)
    text = json.dumps(value, ensure_ascii=dice.random() < 0.5)
    return text.replace("/", "\\/") if dice.random() < 0.5 else text


def _spell_number(value: Decimal, dice: random.Random) -> str:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    zeros = dice.randint(0, 3)
    whole = "".join(map(str, digits)).lstrip("0") or "0"
    text = f"{whole}{'0' * zeros if whole != '0' else ''}e{exponent - (zeros if whole != '0' else 0)}"
    return ("-" if sign else "") + dice.choice([text, text.upper(), text.replace("e", ".000e")])


@given(VALUES, st.randoms(use_true_random=False))
@example(Decimal("-0"), random.Random(1))  # noqa: S311 - a spelling
@example({"a": Decimal("1e-40"), "b": [Decimal("12e40")]}, random.Random(2))  # noqa: S311 - a spelling
def test_equal_values_are_spelt_equally(value: Any, dice: random.Random) -> None:
    assert canonicalize(spell(value, dice).encode()) == canonicalize(spell(value, dice).encode())


@given(NUMBERS, NUMBERS)
@example("1", "1.0")
@example("1e2", "100")
@example("0.1", "0.10000000000000000000000000000000000001")
@example("9007199254740993", "9007199254740992.0")
@example("18446744073709551616", "18446744073709551617")
@example("1e400", "2e400")
@example("0", "-0.0")
def test_numbers_are_spelt_equally_exactly_if_they_are_equal(first: str, second: str) -> None:
    same = canonicalize(first.encode()) == canonicalize(second.encode())
    assert same == (Decimal(first) == Decimal(second))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1", '"1"'),
        ("1", "true"),
        ("null", '""'),
        ("[]", "{}"),
        ('{"a":null}', "{}"),
        ("[1,2]", "[2,1]"),
        ("0", "false"),
    ],
)
def test_different_values_are_spelt_differently(first: str, second: str) -> None:
    assert canonicalize(first.encode()) != canonicalize(second.encode())


@given(VALUES, st.randoms(use_true_random=False))
def test_the_canonical_form_means_the_same(value: Any, dice: random.Random) -> None:
    def read(text: str) -> Any:
        return json.loads(text, parse_int=Decimal, parse_float=Decimal)

    text = spell(value, dice)
    assert read(canonicalize(text.encode()).decode()) == read(text)


def make_event(data: str | None = None, minute: str = "2026-11-15 07:00", character: CharacterKey = CAIN) -> EventText:
    return EventText(*character, minute, 505, "획득", data)


def tally_as_spelt(events: list[EventText]) -> Tallies:
    as_spelt, _ = tally_events(events)
    return as_spelt


def tally_by_value(events: list[EventText]) -> Tallies:
    _, canonical = tally_events(events)
    return canonical


def test_tallies_count_and_digest_each_character_for_itself() -> None:
    events = [make_event('{"a":1}'), make_event('{"a":1}'), make_event(character=BAKAL)]
    hashes = [hash_event(505, "획득", "2026-11-15 07:00", b'{"a":1}')] * 2
    tallies = tally_as_spelt(events)
    assert tallies[CAIN] == Tally(2, digest_hashes(hashes))
    assert tallies[BAKAL] == Tally(1, digest_hashes([hash_event(505, "획득", "2026-11-15 07:00", b"null")]))


def test_another_spelling_is_another_payload_unless_compared_by_value() -> None:
    spelt, other = [make_event('{"a": 1.0, "b": 2}')], [make_event('{"b":2,"a":1}')]
    assert tally_as_spelt(spelt) != tally_as_spelt(other)
    assert tally_by_value(spelt) == tally_by_value(other)


def test_what_was_derived_from_a_payload_counts_where_values_are_compared() -> None:
    event = make_event('{"a":1}')
    other = event._replace(derived="태초")
    assert tally_by_value([event]) != tally_by_value([other])
    assert tally_as_spelt([event]) == tally_as_spelt([other])


def test_every_column_of_an_event_is_compared() -> None:
    compared = {"day", *EventText._fields[:-1], *(column.name for column in DERIVED)}
    assert compared == set(EVENTS.schema.names)


def test_derived_columns_are_spelt_one_after_the_other_and_nothing_is_not_an_empty_text() -> None:
    row: dict[str, Any] = dict.fromkeys(EVENTS.schema.names)
    rows = [
        row | {"occurred_at": datetime(2026, 11, 14, 22, 0, tzinfo=UTC), "ordinal": 2, "item_name": ""},
        row | {"occurred_at": datetime(1969, 12, 31, 23, 59, tzinfo=UTC), "ordinal": 0, "is_hard": False},
    ]
    batch = pa.RecordBatch.from_pylist(rows, EVENTS.schema)
    spelt = [text.split("\x1f") for text in spell_derived(batch).to_pylist() if text is not None]
    names = [column.name for column in DERIVED]
    first, second = ({k: v for k, v in zip(names, texts, strict=True) if v != "\x1e"} for texts in spelt)
    assert first == {"occurred_at": "1794693600000000", "ordinal": "2", "item_name": ""}
    assert second == {"occurred_at": "-60000000", "ordinal": "0", "is_hard": "false"}


def test_no_payload_and_null_are_the_same() -> None:
    assert tally_by_value([make_event(None)]) == tally_by_value([make_event("null")])


def test_agreement_finds_nothing_and_no_events_need_no_entry() -> None:
    tally = {CAIN: Tally(2, 5), BAKAL: Tally(0, 0)}
    assert compare_tallies(DAY, "Parquet", tally, {CAIN: Tally(2, 5)}) == []


def test_each_character_that_differs_is_named_with_what_differs() -> None:
    expected = {CAIN: Tally(2, 5), BAKAL: Tally(3, 7)}
    found = {CAIN: Tally(2, 6), CharacterKey("anton", "c" * 32): Tally(1, 1)}
    findings = compare_tallies(DAY, "PostgreSQL", expected, found)
    assert [str(finding) for finding in findings] == [
        f"2026-11-15 anton/{'c' * 32}: PostgreSQL has 1 event instead of 0",
        f"2026-11-15 bakal/{'b' * 32}: PostgreSQL has 0 events instead of 3",
        f"2026-11-15 cain/{'a' * 32}: PostgreSQL has 2 events with other contents",
    ]


def test_a_finding_about_a_whole_day_says_so() -> None:
    assert str(Disagreement(DAY, None, "bucket 1", "is gone")) == "2026-11-15 all characters: bucket 1 is gone"


def test_a_row_of_a_character_that_is_lacking_changed_or_too_many_is_named() -> None:
    expected = {CAIN: ("name", 0), BAKAL: ("other", 2)}
    assert compare_characters(DAY, "PostgreSQL", expected, dict(expected)) == []
    stray = CharacterKey("anton", "c" * 32)
    findings = compare_characters(DAY, "PostgreSQL", expected, {BAKAL: ("renamed", 2), stray: ("name", 0)})
    assert [(finding.character, finding.finding) for finding in findings] == [
        (stray, "has a different row of the character"),
        (BAKAL, "has a different row of the character"),
        (CAIN, "has no row of the character"),
    ]
