"""The API key goes to the API alone, and over a connection that does not hang on to what it could not deliver."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from neople_timeline.errors import TimelineError
from neople_timeline.models import CharacterKey, Window
from neople_timeline.neople import client as client_module
from neople_timeline.neople.client import UNACKNOWLEDGED_SECONDS, Client
from neople_timeline.neople.limiter import Pace, Pacer
from neople_timeline.settings import Settings


@dataclass
class Door:
    """A server on this machine, what it was asked with which key, and where it sends people."""

    server: ThreadingHTTPServer
    keys: list[str | None] = field(default_factory=list)
    location: str = ""
    on_request: Callable[[], None] = lambda: None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def open_door() -> Iterator[Callable[[], Door]]:
    doors: list[Door] = []

    def open_one() -> Door:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                door.keys.append(self.headers["apikey"])
                door.on_request()
                self.send_response(302 if door.location else 404)
                self.send_header("Location", door.location)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        door = Door(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        doors.append(door)
        threading.Thread(target=door.server.serve_forever, args=(0.05,)).start()
        return door

    yield open_one
    for door in doors:
        door.server.shutdown()
        door.server.server_close()


def ask(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for a timeline, whatever comes of it."""
    monkeypatch.setattr(client_module, "TRIES", 1)

    async def fetch() -> None:
        pacer = Pacer()
        pacer.grant(100, float("inf"))

        async def slow_down(_: float) -> None:
            pass

        async with Client(Settings(neople_api_url=url, neople_api_key="k"), Pace(pacer), slow_down) as client:
            with suppress(TimelineError):
                await client.fetch_chain(CharacterKey("cain", "0" * 32), Window("2026-11-15 06:00", "2026-11-16 05:59"))

    asyncio.run(fetch())


def test_it_follows_no_redirect(open_door: Callable[[], Door], monkeypatch: pytest.MonkeyPatch) -> None:
    api, other = open_door(), open_door()
    api.location = f"{other.url}/df"
    ask(api.url, monkeypatch)
    assert (api.keys, other.keys) == (["k"], [])


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_it_goes_through_no_proxy(name: str, open_door: Callable[[], Door], monkeypatch: pytest.MonkeyPatch) -> None:
    api, proxy = open_door(), open_door()
    monkeypatch.setenv(name, proxy.url)
    ask(api.url, monkeypatch)
    assert (api.keys, proxy.keys) == (["k"], [])


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux gives up what is not acknowledged")
def test_what_nobody_acknowledges_is_given_up(open_door: Callable[[], Door], monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []

    def look() -> None:
        for descriptor in list(Path("/proc/self/fd").iterdir()):
            with suppress(OSError), closing(socket.socket(fileno=os.dup(int(descriptor.name)))) as one:
                if one.getpeername() == ("127.0.0.1", api.server.server_port):
                    found.append(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))

    api = open_door()
    api.on_request = look
    ask(api.url, monkeypatch)
    assert found == [UNACKNOWLEDGED_SECONDS * 1000]
