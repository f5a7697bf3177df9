"""The routes of the API: what is asked, by path and parameters, and what the world answers."""

import asyncio
import heapq
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from neople_timeline.sandbox.answers import (
    ApiError,
    describe,
    describe_equipment,
    describe_status,
    envelope,
)
from neople_timeline.sandbox.catalogue import SERVERS, to_json
from neople_timeline.sandbox.characters import Character
from neople_timeline.sandbox.switches import Switches
from neople_timeline.sandbox.timeline import Answer, make_cursor, read_limit, read_page, read_query
from neople_timeline.sandbox.world import World

FAME_WIDTH = 2000
FAME_TOP = 92_000
BREATH = 500
"""After so many characters a scan lets other requests through."""

ROUTES = {
    (): "character",
    ("status",): "status",
    ("equip", "equipment"): "equipment",
    ("timeline",): "timeline",
}


def name_route(parts: list[str]) -> str:
    """Name the route that a path below /df leads to; DNF900 for a path that leads nowhere."""
    match parts:
        case ["servers"]:
            return "servers"
        case ["servers", _, "characters"]:
            return "search"
        case ["servers", _, "characters-fame"]:
            return "fame"
        case ["servers", _, "characters", _, *rest] if tuple(rest) in ROUTES:
            return ROUTES[tuple(rest)]
    raise ApiError("DNF900")


class Routes:
    """Answers from one world under changeable settings."""

    def __init__(self, world: World, switches: Switches) -> None:
        """Nothing is made before it is asked for."""
        self.world = world
        self.switches = switches
        self._head = lru_cache(maxsize=20_000)(self._encode_head)

    def find(self, server_id: str, character_id: str) -> Character:
        """Find the character; DNF000 or DNF001 if there is none."""
        if server_id not in SERVERS:
            raise ApiError("DNF000")
        character = self.world.population.find(server_id, character_id)
        if character is None:
            raise ApiError("DNF001")
        return character

    def timeline(self, character: Character, parameters: Mapping[str, str], now: datetime) -> Answer:
        """One page of a character's timeline."""
        switches, seed = self.switches, self.world.population.seed
        query, position = read_query(parameters, character.index, now, seed=seed, clamp=switches.clamp_limit)
        page = read_page(self.world, query, position, full_page_goes_on=switches.full_page_goes_on)
        cursor = None if page.next is None else make_cursor(query, page.next, seed)
        rows = [event.row for event in page.events]
        return Answer(self._head(character.index, switches.old_envelope), query, position, page.next, rows, cursor)

    def about(self, route: str, character: Character) -> dict[str, Any]:
        """Show a character's own page, status or equipment."""
        if route == "status":
            return describe_status(character)
        return describe_equipment(character) if route == "equipment" else describe(character)

    async def search(self, server_id: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Characters by name: the same name (wordType match) or a part of it of at least two letters (full)."""
        name, kind = parameters.get("characterName", ""), parameters.get("wordType", "match")
        limit = read_limit(parameters.get("limit"), 10, 200, clamp=self.switches.clamp_limit)
        if kind not in {"match", "full"} or len(name) < (2 if kind == "full" else 1):
            raise ApiError("DNF901")
        rows: list[dict[str, Any]] = []
        async for index in self._living(server_id):
            name_here = self.world.population.name_of(index)
            if name == name_here or (kind == "full" and name in name_here):
                rows.append(describe(self.world.population.character(index), full=False))
            if len(rows) == limit:
                break
        return {"rows": rows}

    async def fame(self, server_id: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Characters of level 110 and more by fame, the most famous first; those who never play are left out."""
        limit = read_limit(parameters.get("limit"), 10, 200, clamp=self.switches.clamp_limit)
        low, high = read_fame(parameters)
        famous: list[tuple[int, int]] = []
        population = self.world.population
        async for index in self._living(server_id):
            fame = population.fame_of(index)
            if (
                fame is not None
                and low <= fame <= high
                and population.vigour_of(index)
                and self._has_job(index, parameters)
            ):
                famous.append((fame, index))
        rows = [describe(population.character(index), full=False) for _, index in heapq.nlargest(limit, famous)]
        return {"fame": {"min": low, "max": high}, "rows": rows}

    async def _living(self, server_id: str) -> AsyncIterator[int]:
        if server_id != "all" and server_id not in SERVERS:
            raise ApiError("DNF000")
        population = self.world.population
        for index in range(population.count):
            if index % BREATH == 0:
                await asyncio.sleep(0)
            if index not in population.missing and (server_id == "all" or server_id == population.server_of(index)):
                yield index

    def _has_job(self, index: int, parameters: Mapping[str, str]) -> bool:
        character = self.world.population.character(index)
        job, grow = parameters.get("jobId"), parameters.get("jobGrowId")
        return job in {None, character.job_id} and grow in {None, character.grow_id}

    def _encode_head(self, index: int, old: bool) -> str:  # noqa: FBT001  a key of the cache
        return to_json(envelope(self.world.population.character(index), old=old))[:-1]


def read_fame(parameters: Mapping[str, str]) -> tuple[int, int]:
    """Least and most fame; one of them alone, or none, gives a range of 2,000."""
    try:
        low, high = (int(parameters[name]) if name in parameters else None for name in ("minFame", "maxFame"))
    except ValueError:
        raise ApiError("DNF901") from None
    if high is None:
        high = FAME_TOP if low is None else low + FAME_WIDTH
    if low is None:
        low = max(0, high - FAME_WIDTH)
    if not 0 <= high - low <= FAME_WIDTH:
        raise ApiError("DNF901")
    return low, high
