"""The sandbox API as a server: `python -m neople_timeline.sandbox.api --characters 500 --seed 1`."""

import argparse
import asyncio
import gc
import os
import random
import re
import signal
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web

from neople_timeline.sandbox.answers import ApiError, Reply, list_servers
from neople_timeline.sandbox.catalogue import to_json
from neople_timeline.sandbox.characters import Character
from neople_timeline.sandbox.control import Control
from neople_timeline.sandbox.delivery import deliver
from neople_timeline.sandbox.faults import Faults
from neople_timeline.sandbox.routes import Routes, name_route
from neople_timeline.sandbox.rules import Rule
from neople_timeline.sandbox.spoil import BYTES, INSTEAD, PAGES, refuse
from neople_timeline.sandbox.switches import Switches
from neople_timeline.sandbox.traffic import Stats
from neople_timeline.sandbox.world import KEPT_DAYS, World

KOREA = timezone(timedelta(hours=9))
DEFAULT_KEY = "sandbox-key"


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """How a sandbox starts; rate 0 is no limit, port 0 a free one, port_file is told the port."""

    characters: int = 500
    seed: int = 1
    rate: int = 1000
    latency_seconds: float = 0.03
    key: str = DEFAULT_KEY
    host: str = "127.0.0.1"
    port: int = 0
    port_file: Path | None = None
    latency_jitter_seconds: float = 0.0
    missing: int = 0
    small: bool = False
    kept_days: int = KEPT_DAYS


class Sandbox:
    """One world behind one port."""

    def __init__(self, options: SandboxOptions) -> None:
        """Nothing is bound before `start`."""
        self.options = options
        self.world = World(
            options.seed,
            options.characters,
            missing=options.missing,
            small=options.small,
            kept_days=options.kept_days,
        )
        self.switches = Switches(options.key, options.rate, options.latency_seconds, options.latency_jitter_seconds)
        self.routes = Routes(self.world, self.switches)
        self.faults = Faults(self.world)
        self.stats = Stats()
        self.control = Control(self.world, self.switches, self.faults, self.stats)
        self._runner = web.ServerRunner(
            web.Server(self.handle, handler_cancellation=True, access_log=None), shutdown_timeout=0.5
        )

    async def start(self) -> str:
        """Listen; the base URL without a slash at its end."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.options.host, self.options.port, backlog=4096)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        """Close the port and every connection."""
        await self._runner.cleanup()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; its arrival is counted before anything else happens to it."""
        if not request.rel_url.raw_path.startswith("/df/"):
            return await self.control.handle(request)
        allowed = self.stats.arrive(time.monotonic_ns(), self.switches.rate)
        await self._wait()
        try:
            self._admit(request, allowed=allowed)
            reply = await self._answer(request)
        except ApiError as error:
            reply = refuse(error.code, self.switches)
            if error.code == "API002" and self.switches.retry_after:
                reply.headers["Retry-After"] = self.switches.retry_after
        if reply.breaks in {None, "reset_after"}:
            self.stats.by_status[reply.status] += 1
        if reply.error:
            self.stats.by_error[reply.error] += 1
        return await deliver(request, reply)

    async def _wait(self) -> None:
        switches = self.switches
        delay = switches.latency_seconds
        if switches.latency_jitter_seconds:
            delay += random.uniform(0, switches.latency_jitter_seconds)  # noqa: S311  nothing secret
        if delay:
            await asyncio.sleep(delay)

    def _admit(self, request: web.BaseRequest, *, allowed: bool) -> None:
        key = request.headers.get("apikey")
        if "apikey" in request.rel_url.query_string:
            key = key or request.query.get("apikey")
            self.stats.keys_in_query += 1
        if not key:
            raise ApiError("API000")
        if self.switches.key_error:
            raise ApiError(self.switches.key_error)
        if key != self.switches.key:
            raise ApiError("API003")
        if not allowed:
            raise ApiError("API002")
        if self.switches.maintenance:
            raise ApiError("DNF980")

    async def _answer(self, request: web.BaseRequest) -> Reply:
        parts = request.rel_url.raw_path.removeprefix("/df/").split("/")
        if request.method != "GET":
            raise ApiError("DNF900")
        route = name_route(parts)
        self.stats.by_route[route] += 1
        character_id = parts[3] if len(parts) > 3 else ""
        rules = self.faults.striking(route, character_id) if self.faults.armed else []
        self.stats.by_fault.update(rule.fault for rule in rules)
        for rule in rules:
            if rule.fault in INSTEAD:
                return INSTEAD[rule.fault](rule, self.switches)
        if route == "timeline":
            body = self._timeline(request, self.routes.find(parts[1], character_id), rules)
        else:
            body = to_json(await self._look_up(route, parts, request)).encode()
        reply = Reply(200, body)
        for rule in rules:
            if rule.fault in BYTES:
                BYTES[rule.fault](rule, reply)
        return reply

    def _timeline(self, request: web.BaseRequest, character: Character, rules: list[Rule]) -> bytes:
        answer = self.routes.timeline(character, request.query, datetime.now(KOREA).replace(tzinfo=None))
        if self.switches.count_targets:
            self.stats.by_character[character.index] += 1
            if not rules:
                self.stats.answer_timeline(request.path_qs)
        if self.faults.armed:
            self.faults.spoil_head(answer)
        for rule in rules:
            if rule.fault in PAGES:
                PAGES[rule.fault](rule, self.world, answer)
        return answer.encode()

    async def _look_up(self, route: str, parts: list[str], request: web.BaseRequest) -> dict[str, Any]:
        match route:
            case "servers":
                return list_servers()
            case "search":
                return await self.routes.search(parts[1], request.query)
            case "fame":
                return await self.routes.fame(parts[1], request.query)
        return self.routes.about(route, self.routes.find(parts[1], parts[3]))


async def run(options: SandboxOptions) -> None:
    """Serve until SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    sandbox = Sandbox(options)
    try:
        url = await sandbox.start()
    except OSError as error:
        sys.stderr.write(f"cannot listen on {options.host} port {options.port}: {error}; --port 0 finds a free one\n")
        raise SystemExit(2) from None
    if options.port_file:
        unfinished = options.port_file.with_suffix(".unfinished")
        unfinished.write_text(url.rpartition(":")[2])
        unfinished.replace(options.port_file)
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # a pause would make arrivals look later than they were
    sys.stdout.write(f"sandbox API at {url} with {options.characters} characters\n")
    key = options.key if options.key == DEFAULT_KEY else "the key that it was given"
    sys.stdout.write(f"  NEOPLE_API_URL={url} NEOPLE_API_KEY={key}; a roster of all: {url}/sandbox/roster.csv\n")
    sys.stdout.flush()
    await stopped.wait()
    await sandbox.stop()


def serve(options: SandboxOptions) -> None:
    """Run a sandbox in this process; returns after SIGINT or SIGTERM."""
    uvloop.run(run(options))


def read_seconds(text: str) -> float:
    """`30ms`, `0.1s` or a plain number of seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 30ms, 0.1s or 0")
    return float(found[1]) / (1000 if found[2] == "ms" else 1)


def read_options(arguments: list[str]) -> SandboxOptions:
    """Read the options of a command line; the key may come from SANDBOX_API_KEY, where no process list shows it."""
    usual = SandboxOptions()
    parser = argparse.ArgumentParser(prog="neople-timeline sandbox api", description=__doc__)
    parser.add_argument(
        "--characters", type=int, default=usual.characters, metavar="N", help="how many live in the world"
    )
    parser.add_argument("--seed", type=int, default=usual.seed, metavar="S", help="another seed is another world")
    parser.add_argument("--rate", type=int, default=usual.rate, help="requests in any one second; 0: no limit")
    parser.add_argument("--latency", type=read_seconds, default=usual.latency_seconds, help="as in 30ms, 0.1s, 0")
    parser.add_argument("--latency-jitter", type=read_seconds, default=0.0, help="added at random, up to so much")
    parser.add_argument("--key", default=os.environ.get("SANDBOX_API_KEY", usual.key), help="or SANDBOX_API_KEY")
    parser.add_argument("--host", default=usual.host)
    parser.add_argument("--port", type=int, default=usual.port, help="0: a free one")
    parser.add_argument("--port-file", type=Path, help="a file that is told the port")
    parser.add_argument("--missing", type=int, default=0, metavar="N", help="of the characters, how many answer DNF001")
    parser.add_argument("--small", action="store_true", help="one or two events per character and day")
    parser.add_argument(
        "--kept-days", type=int, default=usual.kept_days, metavar="N", help="days of characters to keep in memory"
    )
    given = parser.parse_args(arguments)
    if given.characters < 1 or not 0 <= given.missing <= given.characters or given.rate < 0:
        parser.error("characters from 1, missing from 0 to characters, rate from 0")
    if not 0 <= given.port <= 65_535:
        parser.error("ports are 1 to 65535, or 0 for a free one")
    return SandboxOptions(
        characters=given.characters,
        seed=given.seed,
        rate=given.rate,
        latency_seconds=given.latency,
        latency_jitter_seconds=given.latency_jitter,
        key=given.key,
        host=given.host,
        port=given.port,
        port_file=given.port_file,
        missing=given.missing,
        small=given.small,
        kept_days=given.kept_days,
    )


def main() -> None:
    """Serve what the command line asks for."""
    serve(read_options(sys.argv[1:]))


if __name__ == "__main__":
    main()
