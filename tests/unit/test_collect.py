import asyncio
import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neople_timeline.collect import BATCH_BYTES, BATCH_CHAINS, BATCH_DAYS, BATCH_SECONDS, Batch, digest_days
from neople_timeline.digest import digest_hashes, hash_event
from neople_timeline.limited_client import run_together
from neople_timeline.models import MINUTE_FORMAT, Calendar, CharacterKey, days_between
from neople_timeline.neople.protocol import Chain
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


def test_a_batch_counts_chains_pages_and_days() -> None:
    batch = Batch()
    other = CharacterKey("bakal", "b" * 32)
    batch.add(
        make_chain(Calendar(), 2, [[make_row(Calendar().start_of(FIRST))], []]),
        [Landed(FIRST, CHARACTER, 3, 1)],
        FETCHED,
    )
    batch.add(make_chain(Calendar(), 1, [[]], other), [Landed(FIRST, other, 0, 0)], FETCHED)
    assert (batch.chains, batch.pages, [one.character for one in batch.landed]) == (2, 3, [CHARACTER, other])


def test_a_batch_is_full_by_chains_by_days_by_size_or_by_age(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = Batch()
    assert not batch.is_full
    assert Batch(chains=BATCH_CHAINS).is_full
    assert Batch(landed=[Landed(FIRST, CHARACTER, 0, 0)] * BATCH_DAYS).is_full
    large = Batch()
    large.writer.size = BATCH_BYTES
    assert large.is_full
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
            await run_together(fetch(), claim(), fetch())
        finally:
            ended.append("all")

    with pytest.raises(ConnectionError, match="gone"):
        asyncio.run(run())
    assert ended == ["fetch", "fetch", "all"]
