"""Characters × days → landed raw objects: the collector of one shard.

Fetchers walk the chains of claimed characters; complete chains gather in a batch; a full batch becomes one raw object
and then one commit in the ledger. Whatever dies in between costs at most the batches in flight: their claims run out,
and objects that were never committed are never read.
"""

import asyncio
import logging
import secrets
import time
from bisect import bisect_right
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Final, Literal

import psycopg

from neople_timeline.absences import Absences
from neople_timeline.digest import digest_hashes, fold_digest
from neople_timeline.errors import RetryLater, SkipCharacter, StopCollecting, TimelineError
from neople_timeline.lake import Lake, dead_prefix, raw_prefix
from neople_timeline.limited_client import OUTAGE_FAILURES, open_client, run_beside, run_together
from neople_timeline.models import CLOCKS_DIFFER, Calendar, Claim, Collected, Kind, Shard, Usage, Window
from neople_timeline.neople.client import Client
from neople_timeline.neople.protocol import Chain, Maintenance, Paused, SlowDown, Unreadable
from neople_timeline.raw import RawWriter, name_raw
from neople_timeline.settings import Settings
from neople_timeline.warehouse import ledger
from neople_timeline.warehouse.connection import GONE
from neople_timeline.warehouse.ledger import Landed

log = logging.getLogger(__name__)

FETCHERS: Final = 300
"""Enough for 1,000 requests a second at 300 ms each."""
CLAIMED_DAYS: Final = 2000
"""Character-days claimed at once, about."""
CLAIMS_AHEAD: Final = 1000
"""Claims that wait to be fetched while the next ones are made: a second's worth."""
BATCH_BYTES: Final = 4_000_000
"""Compressed size at which a batch is landed; bounds memory whatever the characters did."""
BATCH_CHAINS: Final = 1000
BATCH_DAYS: Final = 10_000
"""Character-days: of a backfill a chain has up to 90, and each is kept in mind until its batch has landed."""
BATCH_SECONDS: Final = 15.0
"""Age at which a batch is landed with the next chain that comes."""
LONGEST_LEAD_SECONDS: Final = CLOCKS_DIFFER.total_seconds()
"""How far the clocks may be ahead of the API's."""
SECOND_LOOK_SECONDS: Final = 5.0
"""How long after the others a character that the API does not know is asked for once more."""

Progress = Callable[[Collected], None]


@dataclass
class Batch:
    """Complete chains on their way into one raw object, compressed as they come."""

    started: float = field(default_factory=time.monotonic)
    writer: RawWriter = field(default_factory=RawWriter)
    landed: list[Landed] = field(default_factory=list)
    chains: int = 0
    pages: int = 0

    def add(self, chain: Chain, landed: list[Landed], fetched_at: datetime) -> None:
        """Append a chain, and what it says of each day."""
        self.writer.add(chain, fetched_at)
        self.landed += landed
        self.chains += 1
        self.pages += len(chain.bodies)

    @property
    def is_full(self) -> bool:
        """Say whether it is time to land."""
        return (
            self.chains >= BATCH_CHAINS
            or self.writer.size >= BATCH_BYTES
            or len(self.landed) >= BATCH_DAYS
            or time.monotonic() - self.started > BATCH_SECONDS
        )


def digest_days(chain: Chain, days: tuple[date, ...], calendar: Calendar) -> list[Landed]:
    """Count and digest a chain's events for each day that it covers."""
    if len(days) == 1:
        return [Landed(days[0], chain.character, len(chain.hashes), digest_hashes(chain.hashes))]
    starts = [calendar.window(day, day).start for day in days]
    counts, sums = [0] * len(days), [0] * len(days)
    minutes = (row.date for answer in chain.answers for row in answer.timeline.rows)
    for minute, event_hash in zip(minutes, chain.hashes, strict=True):
        place = bisect_right(starts, minute) - 1
        counts[place] += 1
        sums[place] += event_hash
    return [
        Landed(day, chain.character, count, fold_digest(total))
        for day, count, total in zip(days, counts, sums, strict=True)
    ]


@dataclass(frozen=True)
class Stores:
    """The connections that a collector needs: two to PostgreSQL, so that a slow claim delays no permit or heartbeat."""

    lake: Lake
    ledger: psycopg.Connection
    permits: psycopg.Connection


async def collect_shard(
    settings: Settings, stores: Stores, shard: Shard, *, kind: Kind, progress: Progress | None = None
) -> Collected:
    """Collect everything that the ledger has open and due for a shard, and commit it.

    What fails for one character is recorded and passed over. Maintenance, an outage, a long pause is RetryLater, a
    refused key StopCollecting; what was complete by then has been committed.
    """
    if (lead := ledger.read_clock(stores.ledger) - time.time()) > LONGEST_LEAD_SECONDS:
        raise RetryLater(f"PostgreSQL's clock is {lead:,.0f} s ahead of this machine's: set it", seconds=300)
    worker_id = ledger.start_worker(stores.ledger, shard, kind, settings.neople_api_rate)
    async with open_client(settings, stores.permits, kind) as (client, keep_permits):
        absences = Absences(has_found_anybody=ledger.knows_anybody(stores.ledger))
        collector = _Collector(settings.calendar, stores, shard, worker_id, client, absences, progress)
        try:
            await run_beside(collector.run(), collector.keep_alive(), keep_permits(lambda: collector.wanted))
        finally:
            log.info("%s", collector.usage.describe(settings.neople_api_rate))
            with suppress(*GONE):  # without it, the claims simply run out
                ledger.finish_worker(stores.ledger, worker_id, collector.usage)
    return collector.collected


class _Collector:
    """The state of one run over a shard."""

    def __init__(
        self,
        calendar: Calendar,
        stores: Stores,
        shard: Shard,
        worker_id: int,
        client: Client,
        absences: Absences,
        progress: Progress | None,
    ) -> None:
        self.collected = Collected(landed=0, events=0, missing=0, owed=0, usage=Usage())
        self._calendar = calendar
        self._stores = stores
        self._shard = shard
        self._worker_id = worker_id
        self._client = client
        self._progress = progress
        self._claims: asyncio.Queue[Claim | None] = asyncio.Queue(CLAIMS_AHEAD)
        self._busy = 0
        self._more = True
        self._batches: dict[int, Batch] = {}
        # A warehouse put back from a backup gives the ids out again which objects from before have in their names.
        self._name = f"worker-{worker_id:08}-{secrets.token_hex(4)}"
        self._objects = 0
        self._unlanded = 0
        self._landing = asyncio.Lock()
        self._started = time.monotonic()
        self._failures = 0
        self._absences = absences
        self._stop: TimelineError | None = None

    @property
    def usage(self) -> Usage:
        """Give what was spent so far."""
        spent = self._client.spent
        seconds = time.monotonic() - self._started
        return Usage(spent.requests, spent.retried, spent.repeated, spent.throttled, self._unlanded, seconds)

    @property
    def wanted(self) -> int:
        """Give how many requests are waiting to be sent, at least."""
        return self._claims.qsize() + self._busy + (CLAIMED_DAYS if self._more else 0)

    async def run(self) -> None:
        """Claim, fetch and land until nothing is left that is open, due and not somebody else's."""
        while not self._stop:
            await self._fetch_all(self._claim())
            await self._land_rest()
            await self._look_again()
            await self._land_rest()
            await self._settle_absences()
            left = await asyncio.to_thread(ledger.count_left, self._stores.ledger, self._worker_id, self._shard)
            if not left:
                break
            log.info("%s character-days are with another worker: waiting until it lands them or its lease ends", left)
            await asyncio.sleep(1)
            self._more = True
        self._report()
        if self._stop:
            raise self._stop

    async def keep_alive(self) -> None:
        """Prolong the lease on the claims, and tell the progress."""
        while True:
            await self._tell_usage()
            for _ in range(ledger.HEARTBEAT_SECONDS * 2):
                await asyncio.sleep(0.5)
                self._report()

    async def _tell_usage(self) -> None:
        await asyncio.to_thread(ledger.keep_alive, self._stores.permits, self._worker_id, self.usage)

    def _report(self) -> None:
        self.collected = replace(self.collected, usage=self.usage)
        if self._progress:
            self._progress(self.collected)

    async def _claim(self) -> None:
        characters = max(100, CLAIMED_DAYS // len(self._shard.days))
        while self._more and not self._stop:
            claims = await asyncio.to_thread(
                ledger.claim_characters, self._stores.ledger, self._worker_id, self._shard, characters
            )
            self._absences.ask(claims)
            for claim in claims:
                await self._claims.put(claim)
            self._more = bool(claims)

    async def _look_again(self) -> None:
        """Ask once more for those of whom the API says for the first time that they are not there."""
        if self._stop or not self._absences.gone:
            return
        await asyncio.sleep(SECOND_LOOK_SECONDS)
        await self._fetch_all(self._give_again(list(self._absences.gone)))

    async def _give_again(self, claims: list[Claim]) -> None:
        for claim in claims:
            self._client.spent.retried += 1
            await self._claims.put(claim)

    async def _land_rest(self) -> None:
        async with self._landing:
            for bucket in list(self._batches):
                await self._land_batch(self._batches.pop(bucket))

    async def _fetch_all(self, giving: Coroutine[Any, Any, None]) -> None:
        """Fetch all that is given; who gives is one, and who fetches are many."""

        async def give() -> None:
            await giving
            for _ in range(FETCHERS):
                await self._claims.put(None)

        await run_together(give(), *(self._fetch() for _ in range(FETCHERS)))

    async def _fetch(self) -> None:
        while claim := await self._claims.get():
            if self._stop:
                continue  # what is claimed and not collected is let go of at the end
            self._busy += 1
            try:
                await self._collect(claim)
            finally:
                self._busy -= 1

    async def _collect(self, claim: Claim) -> None:
        try:
            chain = await self._client.fetch_chain(claim.character, self._window(claim))
        except (Maintenance, Paused, SlowDown, StopCollecting) as error:
            self._stop = self._stop or error
        except SkipCharacter as error:
            self._failures = 0
            if claim not in self._absences.gone:
                await self._miss(claim, str(error))
        except Unreadable as error:
            self._absences.drop(claim)
            await self._owe(claim, error)
        else:
            if self._client.clock_lead > LONGEST_LEAD_SECONDS:
                ahead = f"this machine's clock is {self._client.clock_lead:,.0f} s ahead of the API's"
                self._stop = self._stop or RetryLater(f"{ahead}: set it. A day is not over before it is", seconds=300)
                return
            self._failures = 0
            self._absences.find(claim)
            landed = digest_days(chain, claim.days, self._calendar)
            # A batch per bucket, so that refining a bucket reads little else.
            if (batch := self._batches.get(claim.bucket)) is None:
                batch = self._batches[claim.bucket] = Batch()
            batch.add(chain, landed, datetime.now(UTC))
            self._unlanded += len(chain.bodies)
            if batch.is_full:
                await self._land_full(claim.bucket)

    def _window(self, claim: Claim) -> Window:
        return self._calendar.window(claim.days[0], claim.days[-1])

    async def _miss(self, claim: Claim, answer: str) -> None:
        was_there = await asyncio.to_thread(ledger.was_there, self._stores.ledger, claim.character)
        if self._absences.add(claim, answer, was_there=was_there):
            await self._record_missing(claim, answer)
        elif self._absences.lost_in_a_row >= OUTAGE_FAILURES:
            lost = f"{self._absences.lost_in_a_row} characters in a row that it knew the last time"
            self._stop = self._stop or RetryLater(f"the API knows none of {lost}: {answer}", seconds=60)

    async def _settle_absences(self) -> None:
        """Record who is absent as missing or owed. Last of all: other collectors wait for what this one holds."""
        if self._stop:
            return
        for absence in self._absences.settle():
            claim = absence.claim
            is_found = await asyncio.to_thread(
                ledger.is_found_by, self._stores.ledger, self._worker_id, claim.character
            )
            doubt = "knows it on other days" if is_found else absence.doubt
            if doubt is not None and await asyncio.to_thread(ledger.may_be_doubted, self._stores.ledger, claim):
                await self._record_owed(
                    claim, f"the API {doubt}, and is asked again: {absence.answer}", is_doubted=True
                )
            else:
                await self._record_missing(claim, absence.answer)

    async def _record_missing(self, claim: Claim, reason: str) -> None:
        await self._record_failure(claim, "missing", reason)
        self.collected = replace(self.collected, missing=self.collected.missing + len(claim.days))

    async def _owe(self, claim: Claim, error: Unreadable) -> None:
        self._failures += not claim.was_owed  # debts that can never be read would keep all others waiting
        if self._failures >= OUTAGE_FAILURES or not self._client.was_answered:
            self._stop = self._stop or RetryLater(f"the API does not answer sensibly: {error}", seconds=60)
            return
        if error.body:
            key = f"{dead_prefix(claim.days[0])}/{self._name_object()}.bin"
            await asyncio.to_thread(self._keep_dead_letter, key, claim, error)
        await self._record_owed(claim, str(error))

    async def _record_owed(self, claim: Claim, reason: str, *, is_doubted: bool = False) -> None:
        await self._record_failure(claim, "owed", reason, is_doubted=is_doubted)
        self.collected = replace(self.collected, owed=self.collected.owed + len(claim.days))

    def _keep_dead_letter(self, key: str, claim: Claim, error: Unreadable) -> None:
        self._stores.lake.put_new(key, error.body)
        ledger.record_dead_letter(self._stores.ledger, claim, key, str(error))

    async def _record_failure(
        self, claim: Claim, state: Literal["missing", "owed"], reason: str, *, is_doubted: bool = False
    ) -> None:
        log.warning("%s/%s is %s: %s", *claim.character, state, reason)
        await asyncio.to_thread(
            ledger.record_failure, self._stores.ledger, self._worker_id, claim, state, reason, is_doubted=is_doubted
        )

    async def _land_full(self, bucket: int) -> None:
        """Land a batch once nobody else lands one. Until then it grows by no more than a chain of each fetcher."""
        async with self._landing:
            batch = self._batches.get(bucket)
            if batch and batch.is_full:  # somebody else's turn may have taken it
                del self._batches[bucket]
                await self._land_batch(batch)

    async def _land_batch(self, batch: Batch) -> None:
        day = min(one.day for one in batch.landed)
        committed, events = await asyncio.to_thread(self._land, day, batch)
        self._unlanded -= batch.pages * committed // len(batch.landed)
        if committed < len(batch.landed):
            log.warning("%s character-days had been taken over by another worker", len(batch.landed) - committed)
        self.collected = replace(
            self.collected, landed=self.collected.landed + committed, events=self.collected.events + events
        )
        await self._tell_usage()  # who dies from now on has not lost these

    def _name_object(self) -> str:
        self._objects += 1
        return f"{self._name}-{self._objects:06}"

    def _land(self, day: date, batch: Batch) -> tuple[int, int]:
        """Commit: first the object, then the ledger that points to it."""
        data = batch.writer.seal()
        key = name_raw(raw_prefix(day), self._name_object(), data)
        self._stores.lake.put_new(key, data)
        return ledger.commit_landed(self._stores.ledger, self._worker_id, key, batch.landed)
