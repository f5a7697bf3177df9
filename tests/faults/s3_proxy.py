"""A way to S3 that goes wrong: it refuses, is slow, or loses the answer to a request that was carried out."""

import asyncio
import contextlib
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Literal

Action = Literal["refuse", "error", "slow", "cut", "lose"]
HEAD_END = b"\r\n\r\n"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class Trouble:
    """What happens to requests whose first line (`PUT /lake/… HTTP/1.1`) contains `match`, `times` times.

    `refuse` closes the connection, `error` answers 503, `slow` waits `seconds`, `cut` breaks off in the middle of the
    answer, `lose` carries the request out and closes the connection instead of answering.
    """

    action: Action
    match: str = ""
    times: int = 1_000_000
    seconds: float = 0.0
    struck: int = 0


@dataclass
class S3Proxy:
    """One request per connection, between the client and the store at `upstream`; `troubles` may change at any time."""

    upstream: int
    troubles: list[Trouble] = field(default_factory=list)
    port: int = 0
    listening: threading.Event = field(default_factory=threading.Event)
    stop: Callable[[], object] = print

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self) -> None:
        """Listen on a free port until `stop` is called."""
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        async with await asyncio.start_server(self._answer, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.stop = lambda: loop.call_soon_threadsafe(ended.set)
            self.listening.set()
            await ended.wait()

    def _choose(self, line: str) -> Trouble | None:
        for trouble in self.troubles:
            if re.search(trouble.match, line) and trouble.struck < trouble.times:
                trouble.struck += 1
                return trouble
        return None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with _closing(writer):
            head = await reader.readuntil(HEAD_END)
            body = await reader.readexactly(_read_length(head))
            trouble = self._choose(head.partition(b"\r\n")[0].decode())
            writer.write(await self._pass_on(head, body, trouble))
            await writer.drain()

    async def _pass_on(self, head: bytes, body: bytes, trouble: Trouble | None) -> bytes:
        action = trouble.action if trouble else None
        if trouble and action == "slow":
            await asyncio.sleep(trouble.seconds)
        if action == "refuse":
            return b""
        if action == "error":
            return UNAVAILABLE
        answer = await self._ask(re.sub(rb"(?im)^connection:.*\r\n", b"", head), body)
        if action == "lose":
            return b""
        return answer[: len(answer) * 2 // 3] if action == "cut" else answer

    async def _ask(self, head: bytes, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        async with _closing(writer):
            writer.write(head[:-2] + b"Connection: close\r\n\r\n" + body)
            return await reader.read()
        return b""


@asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Close a connection at the end, whoever went away first."""
    try:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            yield
    finally:
        writer.close()


def _read_length(head: bytes) -> int:
    found = re.search(rb"(?im)^content-length: *(\d+)", head)
    return int(found[1]) if found else 0


@contextmanager
def run_proxy(upstream: int) -> Iterator[S3Proxy]:
    """Run a proxy in a thread of its own for as long as the `with` lasts."""
    proxy = S3Proxy(upstream)
    thread = threading.Thread(target=lambda: asyncio.run(proxy.serve()))
    thread.start()
    assert proxy.listening.wait(10)
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join()
