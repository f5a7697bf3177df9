"""Whom to collect: reading roster files, and servers as people name them. Pure."""

import codecs
import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final
from unicodedata import normalize

from neople_timeline.errors import ConfigError
from neople_timeline.models import CHARACTER_ID, FORMULA, SERVER_ID, SERVERS, CharacterKey, Member, Reject, number_of

SERVER: Final = "serverId"
CHARACTER: Final = "characterId"
NAME: Final = "characterName"
HEADERS: Final = f"{SERVER},{CHARACTER} or {SERVER},{NAME}"
LONGEST_LINE: Final = 10_000
LONGEST_SHOWN: Final = 200


@dataclass(frozen=True)
class Named:
    """A line that has a character's name and no id: the API knows who that is."""

    line_number: int
    server_id: str
    """May be `all`, which the API takes for every server."""
    name: str


@dataclass(frozen=True)
class Roster:
    """What a roster file holds: each character once, in the file's order, and the lines that could not be used."""

    members: tuple[Member, ...]
    rejects: tuple[Reject, ...]
    repeated: int
    """Lines that named a character once more."""
    named: tuple[Named, ...] = ()
    """Lines whose character is not known before the API was asked for it."""

    @property
    def characters(self) -> tuple[CharacterKey, ...]:
        """Give the ids alone."""
        return tuple(member.character for member in self.members)

    @property
    def strange_servers(self) -> tuple[str, ...]:
        """Name the servers that are not known here: misspelled, or newer than this program; the API will say which."""
        return tuple(sorted({key.server_id for key in self.characters} - set(SERVERS)))

    def resolve(self, answers: Mapping[Named, CharacterKey | str]) -> "Roster":
        """Put who was found in the place of the names; of the others, `answers` says why they cannot be used."""
        members = {member.character: member for member in self.members}
        lost = []
        for line in self.named:
            if isinstance(answer := answers[line], str):
                lost.append(Reject(line.line_number, f"{line.server_id},{line.name}"[:LONGEST_SHOWN], answer))
            else:
                members.setdefault(answer, Member(answer, line.name))
        new = len(members) - len(self.members)
        return replace(
            self,
            members=tuple(members.values()),
            rejects=tuple(sorted([*self.rejects, *lost], key=lambda reject: reject.line_number)),
            repeated=self.repeated + len(self.named) - len(lost) - new,
            named=(),
        )

    def describe(self, added: int, longest: int = 20) -> list[str]:
        """Say in some lines what was taken from the file, `added` of it new, and name what was not."""
        there = len(self.members) - added
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
    """Read a CSV whose header has `serverId`, and `characterId` or `characterName`; more columns are fine.

    It is in UTF-8, CP949, or UTF-16 with its mark. Cells are separated by commas, or as the header's are by
    semicolons or tabs. A name counts where there is no id. Blank and repeated lines do no harm; a line that cannot be
    used is listed, and the others count. A file without the header is a ConfigError.
    """
    lines = _split_lines(_decode(data))
    places = _find_columns(next(lines, (0, []))[1])
    members: dict[CharacterKey, Member] = {}
    named: dict[tuple[str, str], Named] = {}
    rejects: list[Reject] = []
    repeated = 0
    for number, line in lines:
        server, character, name = (_read_cell(line, place) for place in places)
        key, name = CharacterKey(find_server(server) or server, character.lower()), normalize_name(name)
        if reason := _find_fault(key, name):
            rejects.append(Reject(number, ",".join(line)[:LONGEST_SHOWN], reason))
        elif key in members or (not character and (key.server_id, name) in named):
            repeated += 1
        elif character:
            members[key] = Member(key, name if name and name.isprintable() else None)
        else:
            named[key.server_id, name] = Named(number, key.server_id, name)
    return Roster(tuple(members.values()), tuple(rejects), repeated, tuple(named.values()))


def find_server(name: str) -> str | None:
    """Find a server's id by its id or its Korean name, also as macOS spells it; None if there is no such server."""
    wanted = normalize("NFC", name.strip().lower())
    return next((server_id for server_id, korean in SERVERS.items() if wanted in {server_id, korean}), None)


def normalize_name(name: str) -> str:
    """Spell a name as the game does: as macOS spells Korean, and as a spreadsheet pads it, the API finds nobody."""
    return normalize("NFC", name.strip())


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


def _find_columns(header: list[str]) -> tuple[int, int | None, int | None]:
    """Find the places of server, id and name; of the last two, one may be lacking."""
    names = [name.strip().lower() for name in header]
    server, character, name = (
        names.index(wanted.lower()) if wanted.lower() in names else None for wanted in (SERVER, CHARACTER, NAME)
    )
    if server is None or (character is None and name is None):
        found = f"it is {','.join(header)[:100]!r}" if header else "it is empty"
        raise ConfigError(f"the roster file's first line must be the header {HEADERS}; {found}")
    return server, character, name


def _read_cell(line: list[str], place: int | None) -> str:
    cell = line[place].strip() if place is not None and place < len(line) else ""
    return re.sub(f"^'(?={FORMULA})", "", cell)  # as `roster list` writes it, so that no spreadsheet computes it


def _find_fault(key: CharacterKey, name: str) -> str:
    if not re.fullmatch(SERVER_ID, key.server_id):
        return f"a server is written as its id ({', '.join(SERVERS)}) or its Korean name"
    if key.character_id and not re.fullmatch(CHARACTER_ID, key.character_id):
        return "a character id has 32 digits 0-9 a-f"
    if not (key.character_id or name):
        return "there is neither an id, which has 32 digits 0-9 a-f, nor a name"
    if not (key.character_id or name.isprintable()):
        return "the name has characters that no name has"
    return ""
