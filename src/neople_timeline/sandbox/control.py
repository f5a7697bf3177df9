"""The routes below /sandbox: the roster, the truth, the figures, and the levers. They need no key."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from aiohttp import web

from neople_timeline.sandbox.answers import ApiError
from neople_timeline.sandbox.catalogue import to_json
from neople_timeline.sandbox.faults import Faults
from neople_timeline.sandbox.switches import RefusedError, Switches
from neople_timeline.sandbox.timeline import read_minute
from neople_timeline.sandbox.traffic import Stats
from neople_timeline.sandbox.world import World

BREATH = 20
"""After so many characters a stream lets requests through, so that their arrival is not counted late."""


def roster_lines(world: World) -> Iterator[str]:
    """Every character, the missing ones too, as CSV."""
    yield "serverId,characterId\n"
    population = world.population
    for index in range(population.count):
        yield f"{population.server_of(index)},{population.id_of(index)}\n"


def read_span(world: World, parameters: Mapping[str, str]) -> tuple[int, int, range | list[int]]:
    """First minute, last minute and the characters of a question for the truth."""
    if "start" not in parameters or "end" not in parameters:
        raise RefusedError("start and end are needed, as in ?start=2026-11-15 06:00&end=2026-11-16 05:59")
    start, end = read_minute(parameters["start"]), read_minute(parameters["end"])
    wanted = parameters.get("characterId")
    if wanted is None:
        return start, end, range(world.population.count)
    character = world.population.find(parameters.get("serverId", ""), wanted)
    return start, end, [] if character is None else [character.index]


def truth_of(world: World, index: int, start: int, end: int) -> str:
    """Write a character's events from minute to minute, one line of JSON each, newest first."""
    population = world.population
    if index in population.missing:
        return ""
    head = f'{{"serverId":"{population.server_of(index)}","characterId":"{population.id_of(index)}",'
    return "".join(f"{head}{event.row[1:]}\n" for event in world.events(index, start, end))


async def truth_lines(world: World, parameters: Mapping[str, str]) -> AsyncIterator[str]:
    """Tell the truth about a span, a piece at a time."""
    start, end, indices = read_span(world, parameters)
    yield ""
    for place, index in enumerate(indices):
        if place % BREATH == 0:
            await asyncio.sleep(0)
        if text := truth_of(world, index, start, end):
            yield text


async def count_truth(world: World, parameters: Mapping[str, str]) -> dict[str, Any]:
    """How many events a span holds: in all, by code and by character (`server/id`, those with none left out)."""
    start, end, indices = read_span(world, parameters)
    codes: Counter[int] = Counter()
    characters: dict[str, int] = {}
    population = world.population
    for place, index in enumerate(indices):
        if place % BREATH == 0:
            await asyncio.sleep(0)
        found = [] if index in population.missing else [event.code for event in world.events(index, start, end)]
        codes.update(found)
        if found:
            characters[f"{population.server_of(index)}/{population.id_of(index)}"] = len(found)
    return {
        "events": codes.total(),
        "characters": len(indices),
        "missing": len(population.missing),
        "by_code": {str(code): count for code, count in sorted(codes.items())},
        "by_character": characters,
    }


class Control:
    """The control routes of one sandbox."""

    def __init__(self, world: World, switches: Switches, faults: Faults, stats: Stats) -> None:
        """Read and change what the API itself works with."""
        self.world = world
        self.switches = switches
        self.faults = faults
        self.stats = stats
        self._levers: dict[tuple[str, str], Callable[[Mapping[str, str], bytes], object]] = {
            ("GET", "/stats"): self._read_stats,
            ("POST", "/stats/reset"): self._reset_stats,
            ("GET", "/settings"): self._read_settings,
            ("PUT", "/settings"): self._change_settings,
            ("GET", "/faults"): self._read_faults,
            ("PUT", "/faults"): self._change_faults,
            ("DELETE", "/faults"): self._end_faults,
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a control request; 400 with the reason for one that makes no sense."""
        try:
            return await self._answer(request)
        except (RefusedError, json.JSONDecodeError) as error:
            return _say({"error": str(error)}, status=400)
        except ApiError:
            return _say({"error": "start and end are minutes like 2026-11-15 06:00 or 20261115T0600"}, status=400)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        match request.method, request.rel_url.path.removeprefix("/sandbox"):
            case "GET", "/roster.csv":
                return await _stream(request, "text/csv", _in_turn(roster_lines(self.world)))
            case "GET", "/truth":
                return await _stream(request, "application/x-ndjson", truth_lines(self.world, request.query))
            case "GET", "/truth/counts":
                return _say(await count_truth(self.world, request.query))
            case method, path if (method, path) in self._levers:
                return _say(self._levers[method, path](request.query, await request.read()))
        return _say({"error": f"there is no {request.method} {request.rel_url.path}"}, status=404)

    def _read_settings(self, _parameters: Mapping[str, str], _body: bytes) -> dict[str, Any]:
        return self.switches.as_json()

    def _change_settings(self, _parameters: Mapping[str, str], body: bytes) -> dict[str, Any]:
        self.switches.change(json.loads(body))
        return self.switches.as_json()

    def _read_faults(self, _parameters: Mapping[str, str], _body: bytes) -> list[dict[str, Any]]:
        return [armed.as_json() for armed in self.faults.armed]

    def _change_faults(self, parameters: Mapping[str, str], body: bytes) -> list[dict[str, Any]]:
        self.faults.replace(json.loads(body))
        return self._read_faults(parameters, body)

    def _end_faults(self, parameters: Mapping[str, str], body: bytes) -> list[dict[str, Any]]:
        self.faults.replace([])
        return self._read_faults(parameters, body)

    def _reset_stats(self, _parameters: Mapping[str, str], _body: bytes) -> dict[str, Any]:
        self.stats.reset()
        return {}

    def _read_stats(self, parameters: Mapping[str, str], _body: bytes) -> dict[str, Any]:
        figures = self.stats.as_json(time.time_ns() - time.monotonic_ns())
        if "characters" in parameters:
            id_of = self.world.population.id_of
            figures["by_character"] = {id_of(index): count for index, count in self.stats.by_character.items()}
        return figures


def _say(value: object, status: int = 200) -> web.Response:
    return web.Response(body=to_json(value).encode() + b"\n", status=status, content_type="application/json")


async def _in_turn(lines: Iterator[str]) -> AsyncIterator[str]:
    for place, line in enumerate(lines):
        if place % (BREATH * 10) == 0:
            await asyncio.sleep(0)
        yield line


async def _stream(request: web.BaseRequest, content_type: str, pieces: AsyncIterator[str]) -> web.StreamResponse:
    """Send pieces in chunks; the first is awaited before the headers go out, so that it can refuse."""
    gathered = [await anext(pieces)]
    response = web.StreamResponse(headers={"Content-Type": f"{content_type}; charset=utf-8"})
    await response.prepare(request)
    size = 0
    async for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size > 32_768:
            await response.write("".join(gathered).encode())
            gathered, size = [], 0
    await response.write("".join(gathered).encode())
    await response.write_eof()
    return response
