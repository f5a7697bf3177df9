import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from types import MappingProxyType, SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pyreqwest.exceptions import ConnectError

from neople_timeline.errors import ConfigError, RetryLater, SkipCharacter, StopCollecting
from neople_timeline.models import CharacterKey, Window
from neople_timeline.neople import client as client_module
from neople_timeline.neople.client import MOST_REFUSALS, TRIES, Client
from neople_timeline.neople.limiter import LONGEST_PAUSE, Pace, Pacer
from neople_timeline.neople.protocol import Maintenance, Paused, SlowDown, Unreadable, read_clock_lead
from neople_timeline.settings import Settings

CHARACTER = CharacterKey("cain", "0" * 32)
WINDOW = Window("2026-11-15 06:00", "2026-11-16 05:59")
SETTINGS = Settings(neople_api_url="https://api.example", neople_api_key="the-secret-key")

Answer = tuple[int, bytes] | Exception
Respond = Callable[[str], Answer]


class FakeHttp:
    """Stands where the connection pool is, and answers what `respond` makes of an address."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.asked: list[str] = []

    def get(self, url: str) -> "FakeRequest":
        self.asked.append(url)
        return FakeRequest(self.respond(url))


class FakeRequest:
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def build(self) -> "FakeRequest":
        return self

    async def send(self) -> SimpleNamespace:
        if isinstance(self.answer, Exception):
            raise self.answer
        status, body = self.answer

        async def read() -> SimpleNamespace:
            return SimpleNamespace(to_bytes=lambda: body)

        return SimpleNamespace(status=status, headers=self.headers, bytes=read)


class Talk:
    """A client over a fake pool whose pauses take no time."""

    def __init__(self, respond: Respond, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slept: list[float] = []
        self.slowed: list[float] = []
        self.pacer = Pacer()
        self.pacer.grant(10_000, float("inf"))
        self.client = Client(SETTINGS, Pace(self.pacer, clock=count(step=0.01).__next__), self._slow_down)
        self.http = FakeHttp(respond)
        self.client._http = self.http  # type: ignore[assignment]  # noqa: SLF001
        fakes = {"sleep": self._sleep, "current_task": asyncio.current_task, "CancelledError": asyncio.CancelledError}
        monkeypatch.setattr(client_module, "asyncio", SimpleNamespace(**fakes))

    async def _slow_down(self, seconds: float) -> None:
        self.slowed.append(seconds)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def fetch(self) -> Any:
        try:
            return asyncio.run(self.client.fetch_chain(CHARACTER, WINDOW))
        finally:
            spent = self.client.spent
            assert spent.retried + spent.repeated + spent.throttled <= spent.requests == len(self.http.asked)


def make_page(minutes: Sequence[int], cursor: str | None = None) -> bytes:
    rows = [{"code": 505, "name": "n", "date": f"2026-11-15 07:{minute:02}", "data": None} for minute in minutes]
    return json.dumps({"characterId": CHARACTER.character_id, "timeline": {"next": cursor, "rows": rows}}).encode()


def make_error(code: str, status: int) -> tuple[int, bytes]:
    return status, json.dumps({"error": {"code": code}}).encode()


def in_turn(*answers: Answer) -> Respond:
    rest = iter(answers)
    return lambda _: next(rest)


def test_a_chain_is_walked_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talk(in_turn((200, make_page([1, 2], "aa")), (200, make_page([3], "bb")), (200, make_page([]))), monkeypatch)
    assert len(talk.fetch().hashes) == 3
    queries = [parse_qs(urlsplit(url).query) for url in talk.http.asked]
    assert [query.get("next") for query in queries] == [None, ["aa"], ["bb"]]
    assert talk.client.spent.requests == 3
    assert not any("secret" in url for url in talk.http.asked)


@pytest.mark.parametrize(
    "failure",
    [
        ConnectError("x", {"causes": None}),
        (500, b""),
        (200, b"<html>"),
        (200, make_page([], "an empty page that is not the last")),
        (200, make_page([2], "aa")),  # whose cursor comes again
        make_error("API999", 500),
        make_error("DNF999", 500),
    ],
)
def test_a_failure_that_may_pass_starts_the_chain_anew_after_a_growing_pause(
    failure: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = (200, make_page([1], "aa")), (200, make_page([2]))
    talk = Talk(in_turn(first, failure, first, failure, first, last), monkeypatch)
    assert len(talk.fetch().hashes) == 2
    spent = talk.client.spent
    assert (spent.requests, spent.retried, spent.repeated) == (6, 2, 2)
    assert 0.5 <= talk.slept[0] <= 1 <= talk.slept[1] <= 2


@pytest.mark.parametrize("at_page", [0, 1])
def test_a_character_of_which_a_page_came_is_not_one_that_the_api_does_not_know(
    at_page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the middle of a chain, nor at the second look in other pages."""
    gone, last = make_error("DNF001", 404), (200, make_page([1]))
    doubtful = ((200, make_page([1], "aa")), last)
    before = ((200, make_page([1], "aa")),) if at_page else doubtful
    talk = Talk(in_turn(*before, gone, *doubtful, *doubtful), monkeypatch)
    assert len(talk.fetch().hashes) == 2
    assert talk.client.spent.retried == 1


def test_the_first_answer_tells_how_far_the_clock_is_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talk(lambda _: (200, make_page([1])), monkeypatch)
    assert talk.client.clock_lead == 0.0
    for minutes in (10, 20):
        moment = datetime.now(UTC) - timedelta(minutes=minutes)
        monkeypatch.setattr(FakeRequest, "headers", {"date": format_datetime(moment, usegmt=True)})
        talk.fetch()
        assert talk.client.clock_lead == pytest.approx(600, abs=5)


@pytest.mark.parametrize("text", ["", "yesterday", "Fri, 32 Nov 2026 00:00:00 GMT", "1"])
def test_a_date_that_is_none_says_nothing_of_the_clock(text: str) -> None:
    assert read_clock_lead({"date": text}, datetime.now(UTC)) == 0.0


def test_after_some_tries_it_is_given_up_with_the_bytes_that_came(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talk(lambda _: (500, b"broken"), monkeypatch)
    with pytest.raises(Unreadable) as caught:
        talk.fetch()
    assert caught.value.body == b"broken"
    assert (talk.client.spent.requests, talk.client.spent.retried) == (TRIES, TRIES)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (make_error("DNF001", 404), SkipCharacter),
        (make_error("DNF000", 404), SkipCharacter),
        (make_error("API003", 401), StopCollecting),
        (make_error("DNF980", 503), Maintenance),
    ],
)
def test_what_would_not_pass_is_asked_once(
    answer: Answer, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = Talk(lambda _: answer, monkeypatch)
    with pytest.raises(error):
        talk.fetch()
    assert talk.client.spent.requests == 1


def test_a_refusal_for_too_many_requests_slows_everyone_and_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talk(in_turn(make_error("API002", 400), (429, b""), (200, make_page([1]))), monkeypatch)
    assert len(talk.fetch().hashes) == 1
    assert talk.slowed == [1.0, 1.0]
    assert (talk.client.spent.throttled, talk.client.spent.retried) == (2, 0)


def test_refusals_without_end_give_the_place_away(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talk(lambda _: make_error("API002", 400), monkeypatch)
    with pytest.raises(SlowDown):
        talk.fetch()
    assert len(talk.slowed) == MOST_REFUSALS


def test_a_long_wait_is_told_to_all_and_not_slept_on(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talk(lambda _: (429, b""), monkeypatch)
    monkeypatch.setattr(FakeRequest, "headers", {"retry-after": f"{LONGEST_PAUSE + 1:.0f}"})
    with pytest.raises(SlowDown):
        talk.fetch()
    assert talk.slowed == [LONGEST_PAUSE + 1]
    assert talk.slept == []


def test_a_chain_that_meets_a_long_wait_of_all_is_given_up_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(_: str) -> Answer:
        talk.pacer.paused_until = float("inf")
        return 200, make_page([1], "aa")

    talk = Talk(answer, monkeypatch)
    with pytest.raises(Paused):
        talk.fetch()
    assert (talk.slept, talk.slowed) == ([], [])
    assert (talk.client.spent.repeated, talk.client.spent.retried) == (1, 0)


def test_equal_rows_on_two_pages_are_kept_when_another_cut_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = {"100": [(200, make_page([1, 1], "aa")), (200, make_page([1]))], "77": [(200, make_page([1, 1, 1]))]}
    limits = iter(["100", "100", "77"])
    talk = Talk(lambda _: pages[next(limits)].pop(0), monkeypatch)
    assert len(talk.fetch().hashes) == 3
    assert [parse_qs(urlsplit(url).query).get("limit") for url in talk.http.asked] == [["100"], None, ["77"]]
    assert talk.client.spent.repeated == 1


def test_a_row_sent_twice_by_overlapping_pages_is_never_taken_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    overlapping = [(200, make_page([1, 2], "aa")), (200, make_page([2, 3])), (200, make_page([1, 2, 3]))]
    talk = Talk(in_turn(*overlapping * TRIES), monkeypatch)
    with pytest.raises(Unreadable, match="overlap"):
        talk.fetch()
    assert (talk.client.spent.repeated, talk.client.spent.retried) == (3 * TRIES, 0)


def test_pages_that_overlap_only_once_are_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    overlapping = [(200, make_page([1, 2], "aa")), (200, make_page([2, 3])), (200, make_page([1, 2, 3]))]
    sound = [(200, make_page([1, 2], "bb")), (200, make_page([3]))]
    talk = Talk(in_turn(*overlapping, *sound), monkeypatch)
    assert len(talk.fetch().hashes) == 3
    assert talk.client.spent.repeated == 3


def test_a_failed_connection_tells_neither_address_nor_key(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talk(lambda _: ConnectError("https://api.example/?apikey=the-secret-key", {"causes": None}), monkeypatch)
    with pytest.raises(RetryLater) as caught:
        talk.fetch()
    assert "example" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("key", ["the-secret\nkey", "the-secret\x7f"])
def test_a_key_that_fits_no_header_is_named_and_not_shown(key: str) -> None:
    with pytest.raises(ConfigError, match="NEOPLE_API_KEY") as caught:
        Client(Settings(neople_api_key=key), Pace(Pacer()), lambda _: asyncio.sleep(0))
    assert "the-secret" not in str(caught.value)


def test_without_a_key_nothing_is_asked() -> None:
    with pytest.raises(ConfigError, match="NEOPLE_API_KEY"):
        Client(Settings(), Pace(Pacer()), lambda _: asyncio.sleep(0))


def test_similar_names_are_looked_for_only_where_there_is_no_such_name(monkeypatch: pytest.MonkeyPatch) -> None:
    hit = json.dumps({"rows": [{"serverId": "cain", "characterId": "a", "characterName": "빛나"}]}).encode()
    talk = Talk(in_turn((200, hit)), monkeypatch)
    assert len(asyncio.run(talk.client.search("all", "빛나"))) == 1
    talk = Talk(in_turn((200, b'{"rows":[]}'), (200, hit)), monkeypatch)
    assert len(asyncio.run(talk.client.search("all", "빛"))) == 0
    assert len(talk.http.asked) == 1
    talk = Talk(in_turn((200, b'{"rows":[]}'), (200, hit)), monkeypatch)
    assert len(asyncio.run(talk.client.search("all", "빛나"))) == 1
    assert [parse_qs(urlsplit(url).query)["wordType"] for url in talk.http.asked] == [["match"], ["full"]]


@pytest.mark.parametrize("answer", [ConnectError("x", {"causes": None}), (500, b""), (200, b"<html>")])
def test_a_cancellation_that_a_request_swallows_still_ends_the_task(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = FakeRequest.send

    async def send_through(self: FakeRequest) -> SimpleNamespace:
        task = asyncio.current_task()
        assert task
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        return await send(self)

    monkeypatch.setattr(FakeRequest, "send", send_through)
    talk = Talk(lambda _: answer, monkeypatch)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(talk.client.fetch_chain(CHARACTER, WINDOW))
    assert len(talk.http.asked) == 1


@pytest.mark.parametrize(
    ("answer", "is_proven", "is_cut"),
    [
        ((200, make_page([1])), True, False),
        (make_error("DNF001", 404), False, False),
        (ConnectError("x", {"causes": None}), False, True),
    ],
)
def test_only_answers_tell_how_fast_the_api_is(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, *, is_proven: bool, is_cut: bool
) -> None:
    talk = Talk(lambda _: answer, monkeypatch)

    async def fetch_many() -> None:
        for _ in range(600):
            with suppress(SkipCharacter, Unreadable):
                await talk.client.fetch_chain(CHARACTER, WINDOW)

    asyncio.run(fetch_many())
    assert (talk.pacer.believed_fastest(1e6) is not None) == is_proven
    assert (talk.pacer.cut_at > 0) == is_cut, "what broke off may be on its way still"
