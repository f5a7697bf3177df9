"""All HTTP to the API: one request at a time through the pace, and whole chains of pages with retries."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self, TypeVar

from pyreqwest.client import Client as HttpClient
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import PyreqwestError

from neople_timeline.errors import ConfigError, RetryLater, SkipCharacter
from neople_timeline.models import CharacterKey, Window
from neople_timeline.neople.limiter import LONGEST_PAUSE, Pace
from neople_timeline.neople.protocol import (
    OTHER_LIMIT,
    PAGE_LIMIT,
    Chain,
    FoundCharacter,
    Maintenance,
    Paused,
    SlowDown,
    Unreadable,
    WordType,
    check_status,
    read_clock_lead,
    read_found,
    search_path,
)
from neople_timeline.settings import Settings

T = TypeVar("T")

TRIES: Final = 5
MOST_REFUSALS: Final = 50
REQUEST_SECONDS: Final = 20
CONNECT_SECONDS: Final = 3
UNACKNOWLEDGED_SECONDS: Final = 3
"""A broken network keeps what was sent and delivers it when it is whole again, long after the permit has gone to
others. So after this time the system gives up what the other side did not acknowledge, even on closed connections."""


@dataclass
class Spent:
    """Requests spent so far, by whether they brought a new page."""

    requests: int = 0
    retried: int = 0
    repeated: int = 0
    throttled: int = 0


class Client:
    """Asks the API; every request goes through `pace`, and `slow_down(seconds)` tells all others on the key to wait."""

    def __init__(self, settings: Settings, pace: Pace, slow_down: Callable[[float], Awaitable[None]]) -> None:
        settings.require("neople_api_key")
        self.spent = Spent()
        self.was_answered = False
        """Whether the API has answered anything at all yet."""
        self.clock_lead = 0.0
        """Seconds that our clock is ahead of the API's, as its first answer said."""
        self._base = settings.neople_api_url
        self._pace = pace
        self._slow_down = slow_down
        try:
            builder = ClientBuilder().default_headers({"apikey": settings.neople_api_key, "accept": "application/json"})
        except ValueError:  # it quotes the key
            raise ConfigError("NEOPLE_API_KEY contains characters that no key has: copy it again") from None
        # No redirects: they would carry the key to another host. No proxies from the environment by surprise either.
        self._http: HttpClient = (
            builder.user_agent("neople-timeline")
            .follow_redirects(enable=False)
            .no_proxy()
            .timeout(timedelta(seconds=REQUEST_SECONDS))
            .connect_timeout(timedelta(seconds=CONNECT_SECONDS))
            .tcp_user_timeout(timedelta(seconds=UNACKNOWLEDGED_SECONDS))
            .build()
        )
        try:
            self._http.get(self._base).build()
        except ValueError as error:
            raise ConfigError(f"NEOPLE_API_URL is no address that can be asked: {error}") from None

    async def __aenter__(self) -> Self:
        """Enter the connection pool."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self._http.close()

    async def search(self, server_id: str, name: str, *, is_whole: bool = False) -> list[FoundCharacter]:
        """Find the characters of a name on one server or on `all`.

        If there are none, those whose names contain it, unless the name is said to be whole.
        """
        found = await self._retry(lambda: self._search(server_id, name, "match"))
        if found or is_whole or len(name) < 2:  # the API refuses to look for parts that short
            return found
        return await self._retry(lambda: self._search(server_id, name, "full"))

    async def fetch_chain(self, character: CharacterKey, window: Window) -> Chain:
        """Fetch all pages of a character's window; only a complete chain is ever returned."""
        return await self._retry(lambda: self._fetch(character, window))

    async def _fetch(self, character: CharacterKey, window: Window) -> Chain:
        """Walk a chain, and a doubtful one once more in other pages: it is believed only if both agree."""
        chain = await self._walk(Chain(character, window, PAGE_LIMIT))
        if chain.doubtful:
            try:
                other = await self._walk(Chain(character, window, OTHER_LIMIT), is_known=True)
                self.spent.repeated += len(other.bodies)
                if Counter(chain.hashes) != Counter(other.hashes):
                    reason = "the API's pages overlap: the same rows come twice or not at all"
                    raise Unreadable(reason, body=chain.bodies[-1])
            except RetryLater:
                self.spent.repeated += len(chain.bodies)
                raise
        return chain

    async def _search(self, server_id: str, name: str, word_type: WordType) -> list[FoundCharacter]:
        try:
            return read_found(await self._ask(search_path(server_id, name, word_type)))
        except RetryLater as error:
            self._count_failure(error)
            raise

    async def _walk(self, chain: Chain, *, is_known: bool = False) -> Chain:
        """Follow a chain to its end; a character of whom a page was read already cannot be unknown to the API."""
        try:
            while chain.next_request:
                chain.accept(await self._ask(chain.next_request))
        except SkipCharacter as error:
            if not (is_known or chain.bodies):
                raise
            lost = Unreadable(f"the API loses the character in the middle of its pages: {error}")
            self._count_failure(lost, chain.bodies)
            raise lost from None
        except RetryLater as error:
            self._count_failure(error, chain.bodies)
            raise
        return chain

    def _count_failure(self, error: RetryLater, pages: Sequence[bytes] = ()) -> None:
        """Count a request that failed, and the pages before it that are given up with it."""
        self.spent.repeated += len(pages)
        if isinstance(error, SlowDown):
            self.spent.throttled += 1
        elif not isinstance(error, Paused):
            self.spent.retried += 1

    async def _retry(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try a few times with growing, jittered pauses; what is still wrong then is the caller's to record."""
        failures = refusals = 0
        while True:
            try:
                return await attempt()
            except (Maintenance, Paused):
                raise
            except SlowDown as error:
                refusals += 1
                await self._slow_down(error.seconds)
                if refusals == MOST_REFUSALS or error.seconds > LONGEST_PAUSE:
                    raise
            except RetryLater:
                failures += 1
                if failures == TRIES:
                    raise
                await asyncio.sleep(random.uniform(0.25, 0.5) * 2**failures)  # noqa: S311 - jitter, no secret

    async def _ask(self, path: str) -> bytes:
        async with self._pace.permit() as permit:
            self.spent.requests += 1
            try:
                response = await self._http.get(self._base + path).build().send()
                body = (await response.bytes()).to_bytes()
            except PyreqwestError as error:
                # Only the kind of the error: its text may quote the address and more.
                kind = type(error).__name__
                raise Unreadable(
                    f"the connection to the API failed ({kind}): check NEOPLE_API_URL and the network"
                ) from None
            finally:
                _obey_cancellation()
            if not self.was_answered:
                self.clock_lead = read_clock_lead(response.headers, datetime.now(UTC))
            permit.whole = self.was_answered = True
            permit.failed = response.status != 200
        check_status(response.status, response.headers, body)
        return body


def _obey_cancellation() -> None:
    """End a task that was cancelled while a request was under way, if the request did not end it.

    It would go on, and whoever cancelled it would wait for ever.
    """
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError
