"""Who bears a name: the API is asked, within the limit that all on the key share."""

from collections.abc import Callable, Sequence
from typing import Final

import psycopg

from neople_timeline.errors import RetryLater, SkipCharacter, StopCollecting
from neople_timeline.limited_client import OUTAGE_FAILURES, open_client, run_beside, run_together
from neople_timeline.models import SERVERS, CharacterKey
from neople_timeline.neople.client import Client
from neople_timeline.neople.protocol import FoundCharacter, Unreadable
from neople_timeline.roster import Named
from neople_timeline.settings import Settings

SEARCHERS: Final = 100
"""Names looked for at once."""

Progress = Callable[[int, int], None]
"""Told how many names have been looked for, and of how many."""


async def search_characters(
    settings: Settings, connection: psycopg.Connection, server_id: str, name: str
) -> list[FoundCharacter]:
    """Find characters by their full name; if there are none, those whose names contain it."""
    found: list[FoundCharacter] = []

    async def search() -> None:
        found.extend(await client.search(server_id, name))

    async with open_client(settings, connection, "daily") as (client, keep_permits):
        await run_beside(search(), keep_permits(lambda: 1))
    return found


async def find_named(
    settings: Settings, connection: psycopg.Connection, lines: Sequence[Named], progress: Progress | None = None
) -> dict[Named, CharacterKey | str]:
    """Find the character of each line, or say why there is not exactly one.

    Once the API is down, or refuses the key, that is said of all that are left. RetryLater and StopCollecting if it
    answers nobody from the beginning.
    """
    answers: dict[Named, CharacterKey | str] = {}
    waiting = list(reversed(lines))
    failures = 0

    async def search() -> None:
        nonlocal failures
        while waiting:
            line = waiting.pop()
            try:
                answers[line] = await _find(client, line)
                failures = 0
            except (RetryLater, StopCollecting) as error:
                is_unreadable = isinstance(error, Unreadable)
                if not (client.was_answered if is_unreadable else answers):
                    raise
                failures += 1
                is_down = failures >= OUTAGE_FAILURES or not is_unreadable
                unasked = [waiting.pop() for _ in range(len(waiting))] if is_down else []
                answers.update(dict.fromkeys([line, *unasked], f"the API did not say who that is: {error}"))
            if progress:
                progress(len(answers), len(lines))

    async with open_client(settings, connection, "daily") as (client, keep_permits):
        searches = run_together(*(search() for _ in range(min(SEARCHERS, len(lines)))))
        await run_beside(searches, keep_permits(lambda: len(lines) - len(answers)))
    return answers


async def _find(client: Client, line: Named) -> CharacterKey | str:
    try:
        found = await client.search(line.server_id, line.name, is_whole=True)
    except SkipCharacter as error:
        return str(error)
    bearers = [
        CharacterKey(one.server_id, one.character_id)
        for one in found
        if one.character_name == line.name and line.server_id in {one.server_id, "all"}
    ]
    if len(bearers) == 1:
        return bearers[0]
    if not bearers:
        return f"there is no character of that name on {SERVERS.get(line.server_id, line.server_id)}"
    return f"there is more than one of that name: tell the server, or the id ({' or '.join(map(','.join, bearers))})"
