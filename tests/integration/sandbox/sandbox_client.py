"""Somebody who asks a sandbox that runs in a thread."""

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import uvloop

from neople_timeline.sandbox.api import Sandbox, SandboxOptions

KEY = "a-key-of-the-tests"
DAY = {"startDate": "20261115T0600", "endDate": "20261116T0559"}
DAY_OF_TRUTH = {"start": "2026-11-15 06:00", "end": "2026-11-16 05:59"}
SHAKEN = (ConnectionError, http.client.HTTPException)


class Client:
    """One connection that is opened anew after it broke."""

    def __init__(self, url: str) -> None:
        self.host = url.removeprefix("http://")
        self.connection = http.client.HTTPConnection(self.host, timeout=10)

    def ask(self, path: str, *, method: str = "GET", key: str | None = KEY, body: Any = None) -> tuple[int, bytes]:
        sent = None if body is None else json.dumps(body)
        try:
            self.connection.request(method, path, sent, {"apikey": key} if key else {})
            answer = self.connection.getresponse()
            self.headers = answer.headers
            return answer.status, answer.read()
        except SHAKEN:
            self.connection.close()
            raise

    def read(self, path: str) -> Any:
        status, body = self.ask(path)
        assert status == 200, body
        return json.loads(body)

    def refusal(self, path: str, key: str | None = KEY) -> tuple[int, str]:
        status, body = self.ask(path, key=key)
        error = json.loads(body)["error"]
        assert error["status"] == status
        return status, error["code"]

    def put(self, path: str, body: Any) -> Any:
        status, text = self.ask(path, method="PUT", key=None, body=body)
        assert status == 200, text
        return json.loads(text)

    def roster(self) -> list[tuple[str, str]]:
        head, *lines = self.ask("/sandbox/roster.csv", key=None)[1].decode().splitlines()
        assert head == "serverId,characterId"
        return [(server, character) for server, _, character in (line.partition(",") for line in lines)]

    def truth(self, **more: str) -> list[dict[str, Any]]:
        text = self.ask(f"/sandbox/truth?{urlencode(DAY_OF_TRUTH | more)}", key=None)[1].decode()
        return [json.loads(line) for line in text.splitlines()]


def timeline(character: tuple[str, str], **parameters: object) -> str:
    return f"/df/servers/{character[0]}/characters/{character[1]}/timeline?{urlencode(DAY | parameters)}"


def receive(wire: socket.socket, received: bytearray) -> None:
    while piece := wire.recv(65_536):
        received += piece


@contextmanager
def running(**options: Any) -> Iterator[Client]:
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def make() -> tuple[Sandbox, str]:
        usual: dict[str, Any] = {"characters": 40, "seed": 1, "rate": 0, "latency_seconds": 0.0, "key": KEY}
        sandbox = Sandbox(SandboxOptions(**(usual | options)))
        return sandbox, await sandbox.start()

    sandbox, url = asyncio.run_coroutine_threadsafe(make(), loop).result(10)
    client = Client(url)
    try:
        yield client
    finally:
        client.connection.close()
        asyncio.run_coroutine_threadsafe(sandbox.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def busy(client: Client) -> tuple[str, str]:
    """A character with a few pages of ten."""
    counts = client.read(f"/sandbox/truth/counts?{urlencode(DAY_OF_TRUTH)}")["by_character"]
    server, _, character = next(name for name, count in counts.items() if 25 <= count < 100).partition("/")
    return server, character


def walk(client: Client, character: tuple[str, str], **parameters: object) -> list[dict[str, Any]]:
    answers = [client.read(timeline(character, **parameters))]
    while cursor := answers[-1]["timeline"]["next"]:
        answers.append(client.read(timeline(character, next=cursor)))
    return answers
