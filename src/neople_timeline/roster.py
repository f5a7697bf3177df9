"""Whom to collect: reading roster files, and servers as people name them. Pure."""

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from unicodedata import normalize

from neople_timeline.errors import ConfigError
from neople_timeline.models import CHARACTER_ID, SERVER_ID, SERVERS, CharacterKey, Reject, number_of

HEADER = ("serverId", "characterId")
LONGEST_LINE = 10_000


@dataclass(frozen=True)
class Roster:
    """What a roster file holds: each character once, in the file's order, and the lines that could not be used."""

    characters: tuple[CharacterKey, ...]
    rejects: tuple[Reject, ...]
    repeated: int
    """Lines that named a character once more."""

    @property
    def strange_servers(self) -> tuple[str, ...]:
        """Name the servers that are not known here: misspelled, or newer than this program; the API will say which."""
        return tuple(sorted({key.server_id for key in self.characters} - set(SERVERS)))

    def describe(self, added: int, longest: int = 20) -> list[str]:
        """Say in some lines what was taken from the file, `added` of it new, and name what was not."""
        there = len(self.characters) - added
        repeated = number_of(self.repeated, "line")
        said = [f"{number_of(added, 'character')} added, {there:,} there already, {repeated} repeated."]
        if strange := self.strange_servers:
            known = "misspelled, unless it is new. The API will tell."
            said.append(f"No server is known here as {', '.join(strange)}: {known}")
        said += [f"  line {one.line_number}: {one.line}: {one.reason}" for one in self.rejects[:longest]]
        if self.rejects:
            unusable = number_of(len(self.rejects), "line")
            said.append(f"{unusable} could not be used: correct the file and import it again.")
        return said


def read_roster(data: bytes) -> Roster:
    """Read a CSV with the header `serverId,characterId` (more are fine), in UTF-8, CP949, or UTF-16 with its mark.

    Cells are separated by commas, or as the header's are by semicolons or tabs. Blank and repeated lines do no harm; a
    line that cannot be used is listed, and the others count. A file without the header is a ConfigError.
    """
    lines = _split_lines(_decode(data))
    places = _find_columns(next(lines, (0, []))[1])
    characters: dict[CharacterKey, None] = {}
    rejects: list[Reject] = []
    repeated = 0
    for number, line in lines:
        server, character = (line[place].strip() if place < len(line) else "" for place in places)
        key = CharacterKey(find_server(server) or server, character.lower())
        if reason := _find_fault(key):
            rejects.append(Reject(number, ",".join(line)[:200], reason))
        elif key in characters:
            repeated += 1
        else:
            characters[key] = None
    return Roster(tuple(characters), tuple(rejects), repeated)


def find_server(name: str) -> str | None:
    """Find a server's id by its id or its Korean name, also as macOS spells it; None if there is no such server."""
    wanted = normalize("NFC", name.strip().lower())
    return next((server_id for server_id, korean in SERVERS.items() if wanted in {server_id, korean}), None)


def _decode(data: bytes) -> str:
    if data.startswith(b"PK\x03\x04"):
        raise ConfigError("the roster file is an Excel workbook: save it as CSV (UTF-8)")
    marked = ("utf-16",) if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else ()
    for encoding in (*marked, "utf-8-sig", "cp949"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ConfigError("the roster file is no text in UTF-8, CP949 or UTF-16: save it as CSV (UTF-8)")


def _split_lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Split each line for itself, so that a quote that is never closed costs no other line; blank ones are left out."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    header = next((line for line in lines if line.strip()), "")
    delimiter = next((sign for sign in ",;\t" if sign in header), ",")
    for number, line in enumerate(lines, 1):
        cells = next(csv.reader([line[:LONGEST_LINE]], delimiter=delimiter), [])
        if any(cell.strip() for cell in cells):
            yield number, cells


def _find_columns(header: list[str]) -> tuple[int, int]:
    names = [name.strip().lower() for name in header]
    try:
        server, character = (names.index(name.lower()) for name in HEADER)
    except ValueError:
        found = f"it is {','.join(header)[:100]!r}" if header else "it is empty"
        raise ConfigError(f"the roster file's first line must be the header {','.join(HEADER)}; {found}") from None
    return server, character


def _find_fault(key: CharacterKey) -> str:
    if not re.fullmatch(SERVER_ID, key.server_id):
        return f"a server is written as its id ({', '.join(SERVERS)}) or its Korean name"
    if not re.fullmatch(CHARACTER_ID, key.character_id):
        return "a character id has 32 digits 0-9 a-f"
    return ""
