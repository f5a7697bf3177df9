"""The little that is known of the real API for certain: recorded answers, in the folder `RECORDED_ANSWERS`.

They are not the project's to publish, so they lie beside the checkout, or nowhere.
"""

import json
import os
from collections import defaultdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from neople_timeline.errors import SkipCharacter, StopCollecting
from neople_timeline.models import SERVERS, CharacterKey, LedgerEntry, Window
from neople_timeline.neople.protocol import Answer, Chain, check_status, read_answer, read_found
from neople_timeline.refine import CharacterDay, make_characters, make_events
from neople_timeline.sandbox.answers import envelope, list_servers
from neople_timeline.sandbox.timeline import read_minute
from neople_timeline.sandbox.world import DAY_MINUTES, World
from neople_timeline.tables import PAYLOAD_COLUMNS

FOLDER = Path(os.environ.get("RECORDED_ANSWERS", Path(__file__).parents[3] / "shared" / "samples"))
ANYTIME = Window("2017-09-21 06:00", "2029-01-01 05:59")
SOURCES = {column.source: column.name for column in PAYLOAD_COLUMNS}

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="no recorded answers here: RECORDED_ANSWERS names their folder"
)


def read(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_bytes())


def list_names(pattern: str) -> list[str]:
    return sorted(path.stem for path in FOLDER.glob(f"{pattern}.json"))


def read_recorded(body: dict[str, Any]) -> tuple[CharacterKey, Answer]:
    character = CharacterKey(body.get("serverId", "cain"), body["characterId"])
    dates = body["timeline"]["date"]
    return character, read_answer(character, Window(dates["start"], dates["end"]), json.dumps(body).encode())


def list_rows() -> list[dict[str, Any]]:
    alone = [row for name in list_names("rows-*") for row in read(name)["rows"]]
    return alone + [row for name in list_names("timeline-*") for row in read(name)["timeline"]["rows"]]


def wrap(rows: list[dict[str, Any]]) -> dict[str, Any]:
    dates = {"start": ANYTIME.start, "end": ANYTIME.end}
    return {"characterId": "a" * 32, "timeline": {"date": dates, "next": None, "rows": rows}}


@pytest.mark.parametrize("name", list_names("timeline-*"))
def test_every_timeline_is_read_as_it_was_sent(name: str) -> None:
    body = read(name)
    character, answer = read_recorded(body)
    assert answer.character_name == body["characterName"]
    assert [json.loads(bytes(row.data)) for row in answer.timeline.rows] == [
        row["data"] for row in body["timeline"]["rows"]
    ]
    chain = Chain(character, Window(**body["timeline"]["date"]))
    chain.accept((FOLDER / f"{name}.json").read_bytes())
    assert (chain.next_request is None) == (body["timeline"]["next"] is None)
    assert str(body["timeline"]["next"] or "") in (chain.next_request or "")


def test_every_field_that_has_a_column_reaches_it_and_the_payload_stays_as_it_was() -> None:
    rows = list_rows()
    character, answer = read_recorded(wrap(rows))
    entry = LedgerEntry(date(2026, 11, 15), 0, character, "raw/1", len(rows), 0)
    day = CharacterDay(entry, answer, answer.timeline.rows, datetime(2026, 11, 16, tzinfo=UTC))
    for row, event in zip(rows, make_events([day]).to_pylist(), strict=True):
        assert json.loads(event["data"]) == row["data"]
        assert (event["code"], event["occurred_minute"]) == (row["code"], row["date"])
        typed = {name: value for name, value in event.items() if name in SOURCES.values() and value is not None}
        assert typed == {SOURCES[field]: value for field, value in row["data"].items()}


@pytest.mark.parametrize("name", list_names("timeline-*"))
def test_the_envelope_becomes_the_character(name: str) -> None:
    body = read(name)
    character, answer = read_recorded(body)
    entry = LedgerEntry(date(2026, 11, 15), 0, character, "raw/1", 0, 0)
    row = make_characters([CharacterDay(entry, answer, [], datetime(2026, 11, 16, tzinfo=UTC))]).to_pylist()[0]
    fields = {"level": "level", "fame": "fame", "job_grow_name": "jobGrowName", "adventure_name": "adventureName"}
    assert {name: row[name] for name in fields} == {name: body.get(source) for name, source in fields.items()}


def test_errors_mean_what_the_caller_should_do() -> None:
    with pytest.raises(StopCollecting, match="NEOPLE_API_KEY"):
        check_status(401, {}, (FOLDER / "error-401-API000.json").read_bytes())
    with pytest.raises(SkipCharacter, match="DNF001"):
        check_status(404, {}, (FOLDER / "error-404-DNF001.json").read_bytes())


def test_the_hits_of_a_search_are_read() -> None:
    found = read_found((FOLDER / "character-search-2023.json").read_bytes())
    assert [(one.server_id, one.character_id) for one in found] == [
        (row["serverId"], row["characterId"]) for row in read("character-search-2023")["rows"]
    ]


def test_the_servers_are_those_and_in_that_order() -> None:
    recorded = read("servers")
    assert list(SERVERS.items()) == [(row["serverId"], row["serverName"]) for row in recorded["rows"]]
    assert list_servers() == recorded


@pytest.mark.parametrize(
    ("name", "old"), [("timeline-2020", True), ("timeline-2023-next", True), ("timeline-2026-empty", False)]
)
def test_the_sandbox_describes_a_character_with_the_same_fields(name: str, old: bool) -> None:  # noqa: FBT001
    character = World(1, 10).population.character(0)
    assert [*envelope(character, old=old), "timeline"] == list(read(name))


def test_the_sandbox_sends_every_field_that_was_recorded_with_its_code() -> None:
    world, sent = World(1, 300), defaultdict[int, set[str]](set)
    start = read_minute("20261112T0600")
    for index in range(300):
        for event in world.events(index, start, start + 7 * DAY_MINUTES):
            row = json.loads(event.row)
            sent[row["code"]] |= set(row["data"] or ())
    recorded = defaultdict[int, set[str]](set)
    for row in list_rows():
        recorded[row["code"]] |= set(row["data"] or ())
    assert {code: fields - sent[code] for code, fields in recorded.items() if fields - sent[code]} == {}
