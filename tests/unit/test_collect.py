import asyncio
import json
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neople_timeline.collect import BATCH_BYTES, BATCH_CHAINS, BATCH_SECONDS, Batch, _run_together, digest_days
from neople_timeline.digest import digest_hashes, hash_event
from neople_timeline.models import MINUTE_FORMAT, Calendar, CharacterKey, days_between
from neople_timeline.neople.protocol import Chain
from neople_timeline.refine import read_chains
from neople_timeline.warehouse.ledger import Landed

CHARACTER = CharacterKey("cain", "a" * 32)
FIRST = date(2026, 11, 1)
FETCHED = datetime(2026, 11, 16, 21, 30, tzinfo=UTC)


def make_chain(
    calendar: Calendar, days: int, pages: list[list[dict[str, Any]]], character: CharacterKey = CHARACTER
) -> Chain:
    chain = Chain(character, calendar.window(FIRST, FIRST + timedelta(days=days - 1)))
    for number, rows in enumerate(pages, 1):
        cursor = f"{number:0160x}" if number < len(pages) else None
        answer = {"characterId": character.character_id, "timeline": {"next": cursor, "rows": rows}}
        chain.accept(json.dumps(answer, ensure_ascii=False).encode())
    return chain


def make_row(minute: datetime, code: int = 505) -> dict[str, Any]:
    return {"code": code, "name": "획득", "date": minute.strftime(MINUTE_FORMAT), "data": None}


@given(st.times(), st.integers(1, 5), st.lists(st.tuples(st.integers(0, 5 * 1440 - 1), st.integers(504, 506))))
def test_each_event_counts_for_the_day_that_its_minute_belongs_to(
    starts_at: time, days: int, events: list[tuple[int, int]]
) -> None:
    calendar = Calendar(starts_at.replace(second=0, microsecond=0))
    start = calendar.start_of(FIRST)
    rows = [make_row(start + timedelta(minutes=offset), code) for offset, code in events if offset < days * 1440]
    covered = tuple(days_between(FIRST, FIRST + timedelta(days=days - 1)))
    landed = digest_days(make_chain(calendar, days, [rows]), covered, calendar)
    assert [(one.day, one.character) for one in landed] == [(day, CHARACTER) for day in covered]
    for one in landed:
        mine = [row for row in rows if calendar.day_of(row["date"]) == one.day]
        hashes = [hash_event(row["code"], row["name"], row["date"], b"null") for row in mine]
        assert (one.events, one.digest) == (len(mine), digest_hashes(hashes))


def test_a_day_without_events_is_landed_with_none() -> None:
    assert digest_days(make_chain(Calendar(), 1, [[]]), (FIRST,), Calendar()) == [Landed(FIRST, CHARACTER, 0, 0)]


def test_a_sealed_batch_is_read_back_chain_by_chain() -> None:
    batch = Batch()
    other = CharacterKey("bakal", "b" * 32)
    minute = datetime(2026, 11, 1, 7)  # noqa: DTZ001 - Korean wall clock
    pages = [[make_row(minute, 504), make_row(minute, 505)], [make_row(minute, 506)]]
    batch.add(make_chain(Calendar(), 2, pages), [Landed(FIRST, CHARACTER, 3, 1)], FETCHED)
    batch.add(make_chain(Calendar(), 1, [[]], other), [Landed(FIRST, other, 0, 0)], FETCHED)
    assert (batch.chains, len(batch.landed)) == (2, 2)
    chains = list(read_chains(batch.seal()))
    assert [(line.server_id, line.character_id, line.start, line.end) for line, _ in chains] == [
        (*CHARACTER, "2026-11-01 06:00", "2026-11-03 05:59"),
        (*other, "2026-11-01 06:00", "2026-11-02 05:59"),
    ]
    assert [[[row.code for row in answer.timeline.rows] for answer in answers] for _, answers in chains] == [
        [[504, 505], [506]],
        [[]],
    ]
    assert {line.fetched_at for line, _ in chains} == {FETCHED}


def test_the_raw_answer_is_landed_byte_for_byte() -> None:
    batch, body = Batch(), b'{"timeline" : {"rows":[], "unknown": 1.50},"characterId":"%s"}' % (b"a" * 32)
    chain = Chain(CHARACTER, Calendar().window(FIRST, FIRST))
    chain.accept(body)
    batch.add(chain, [], FETCHED)
    assert [bytes(line.body) for line, _ in read_chains(batch.seal())] == [body]


def test_a_batch_is_full_by_chains_by_size_or_by_age(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = Batch()
    assert not batch.is_full
    for count in Counter(chains=BATCH_CHAINS, size=BATCH_BYTES).items():
        full = Batch()
        setattr(full, *count)
        assert full.is_full
    monkeypatch.setattr("neople_timeline.collect.time.monotonic", lambda: batch.started + BATCH_SECONDS + 0.001)
    assert batch.is_full


def test_the_first_failure_ends_everybody_and_is_raised_alone() -> None:
    ended: list[str] = []

    async def fetch() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("fetch")

    async def claim() -> None:
        await asyncio.sleep(0)
        raise ConnectionError("gone")

    async def run() -> None:
        try:
            await _run_together(fetch(), claim(), fetch())
        finally:
            ended.append("all")

    with pytest.raises(ConnectionError, match="gone"):
        asyncio.run(run())
    assert ended == ["fetch", "fetch", "all"]
