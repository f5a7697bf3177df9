"""Say whose timelines to collect."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from neople_timeline import pipeline
from neople_timeline.cli.screen import COMPLETE, INDEBTED, err, make_plain, out
from neople_timeline.errors import ConfigError
from neople_timeline.export import write_line
from neople_timeline.models import SERVERS, CharacterKey, Member, number_of
from neople_timeline.neople.protocol import FoundCharacter
from neople_timeline.roster import CHARACTER, HEADERS, NAME, SERVER, find_server, normalize_name
from neople_timeline.settings import read_settings

app = typer.Typer(help="Choose whose timelines to collect.", no_args_is_help=True)


@app.command("import")
def import_roster(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help=f"Header: {HEADERS}")],
) -> None:
    """Add the characters of a CSV file to the roster.

    Names without an id are looked up in the API.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    with Progress(transient=True, console=err) as bar:
        task = bar.add_task("Looking names up", visible=False)
        roster, added = pipeline.import_roster(
            read_settings(), data, lambda done, total: bar.update(task, completed=done, total=total, visible=True)
        )
    for line in roster.describe(added):
        out.print(make_plain(line), markup=False)
    raise typer.Exit(INDEBTED if roster.rejects else COMPLETE)


@app.command("add")
def add_characters(
    server: Annotated[str, typer.Argument(metavar="SERVER", help="카인 or cain; `all` looks on every server.")],
    names: Annotated[list[str], typer.Argument(metavar="NAME…")],
) -> None:
    """Look characters up by name and add them to the roster."""
    settings = read_settings()
    settings.require("neople_api_key", "warehouse_url")
    if not all(name.isprintable() for name in names):  # or bytes that Python could not decode
        raise ConfigError("a name contains characters that cannot be read here: set PYTHONUTF8=1 in the environment")
    names = [normalize_name(name) for name in names]
    if not all(names):
        raise ConfigError("a name is empty: write the character's name as the game shows it")
    server_id = "all" if server == "all" else find_server(server)
    if server_id is None:
        known = ", ".join(f"{korean} ({identity})" for identity, korean in SERVERS.items())
        raise ConfigError(f"there is no server {server!r}; there are: {known}; `all` finds those on newer ones")
    chosen = added = 0
    for name in names:
        found = pipeline.search_characters(settings, server_id, name)
        picked = _choose(name, server, found)
        members = [Member(CharacterKey(one.server_id, one.character_id), one.character_name) for one in picked]
        added += pipeline.add_members(settings, members)
        chosen += len(members)
    out.print(f"{number_of(added, 'character')} added, {chosen - added:,} there already.")
    raise typer.Exit(COMPLETE if chosen >= len(names) else INDEBTED)


@app.command("list")
def list_roster() -> None:
    """List the roster as `import` takes it: CSV on standard output."""
    members = pipeline.list_members(read_settings())
    out.print(f"{SERVER},{CHARACTER},{NAME}")
    for member in members:
        out.print(write_line([*member.character, member.name]).rstrip(), markup=False)
    empty = "The roster is empty: `neople-timeline roster add` or `import`."
    err.print(f"{number_of(len(members), 'character')}." if members else empty)


@app.command("remove")
def remove_characters(
    characters: Annotated[
        list[str], typer.Argument(metavar="SERVER,CHARACTERID…", help="As `roster list` shows them.")
    ],
) -> None:
    """Remove characters from the roster.

    What was collected of them stays.
    """
    keys = [_read_key(text) for text in characters]
    removed, given_up = pipeline.remove_members(read_settings(), keys)
    out.print(f"{number_of(removed, 'character')} removed; what was collected of them stays.")
    if given_up:
        owed = f"{number_of(given_up, 'character-day')} that they owed"
        out.print(f"{owed} will not be collected; put back, `neople-timeline backfill` asks for them.")
    raise typer.Exit(COMPLETE if removed == len(set(keys)) else INDEBTED)


def _read_key(text: str) -> CharacterKey:
    server, character = [*text.replace("/", ",").split(","), ""][:2]
    if not (character and text.isprintable()):  # or bytes that Python could not decode
        raise ConfigError(f"{text!r} names no character: write SERVER,CHARACTERID as `roster list` shows it")
    return CharacterKey(find_server(server) or server, character.strip().lower())


def _choose(name: str, server: str, found: Sequence[FoundCharacter]) -> Sequence[FoundCharacter]:
    exact = [one for one in found if one.character_name == name]
    if len(exact) == 1:
        return exact
    shown = exact or found
    if not shown:
        out.print(f"There is no character named {make_plain(name)!r} on {server}.", markup=False)
        return []
    how = "named" if exact else "with a name that contains"
    out.print(f"{number_of(len(shown), 'character')} {how} {make_plain(name)!r}:", markup=False)
    for number, one in enumerate(shown, 1):
        korean = SERVERS.get(one.server_id, make_plain(one.server_id))
        out.print(
            f"  {number}. {make_plain(one.character_name)}: {korean}, level {one.level},"
            f" {make_plain(f'{one.job_grow_name} ({one.server_id},{one.character_id})')}",
            markup=False,
        )
    if not sys.stdin.isatty():
        out.print("None of them was added: name the server, or put the right one into a file for `roster import`.")
        return []
    try:
        number = typer.prompt("Which one (0 for none)", type=int, default=0)
    except typer.Abort:  # whose exit code would be that of a debt
        raise KeyboardInterrupt from None
    return shown[number - 1 : number] if 0 < number <= len(shown) else []
