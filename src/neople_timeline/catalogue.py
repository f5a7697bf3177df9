"""The marts as tables: what each answers, its grain and its columns, read from the header of its SQL file.

    -- What one row says, and what to mind.
    -- question: an example of what it answers
    -- keys: day, item_rarity
    -- day date: the game day
    -- item_rarity text: rarity
    -- drops bigint: items that dropped
    SELECT …

The first key is `day`, `week` or `month`: the period that a mart is replaced by. `keys` together name a row.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib import resources
from itertools import takewhile
from typing import Final, Literal, cast, get_args

import pyarrow as pa

from neople_timeline.models import week_of
from neople_timeline.tables import Column, Table

Period = Literal["day", "week", "month"]

ARROW_TYPES: Final[Mapping[str, pa.DataType]] = {
    "date": pa.date32(),
    "text": pa.string(),
    "boolean": pa.bool_(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "double precision": pa.float64(),
}
HEADER: Final = re.compile(
    r"(?P<meaning>.+?)\nquestion: (?P<question>.+?)\nkeys: (?P<keys>.+?)\n(?P<columns>.+)", re.DOTALL
)
COLUMN_LINE: Final = re.compile(rf"(?P<name>[a-z_]+) (?P<type>{'|'.join(ARROW_TYPES)}): (?P<meaning>.+)")

MART_NAMES: Final = (
    "drops_by_day",
    "drops_by_item",
    "drops_by_channel",
    "characters_by_day",
    "adventures_by_day",
    "guilds_by_day",
    "servers_by_day",
    "activity_by_hour",
    "clears_by_week",
    "clears_by_character",
    "enhancements_by_day",
    "luck_by_week",
    "luck_by_month",
    "safe_moves_by_day",
    "changes_by_day",
    "codes_by_day",
)
"""Each mart after those it reads."""


def period_of(day: date, period: Period) -> date:
    """Name the day, week (by its Thursday) or month (by its first day) that a day belongs to."""
    if period == "week":
        return week_of(day)
    return day.replace(day=1) if period == "month" else day


@dataclass(frozen=True)
class Mart(Table):
    """A table made by one SQL query.

    `sql` reads `characters`, `days` (each `day` with the `period` it is counted in), the views, and earlier marts of
    the same kind of period. Weeks and months read kept views instead of `events`. An instant cast to text is Korean.
    """

    question: str
    keys: tuple[str, ...]
    sql: str

    @property
    def period(self) -> Period:
        """Name the column that says which day, week or month a row belongs to."""
        return cast("Period", self.keys[0])


@dataclass(frozen=True)
class View:
    """A definition that marts share; it is not published."""

    name: str
    sql: str
    kept_for: tuple[Period, ...]
    """The kinds of periods whose marts read it, where it is computed once and kept; else none."""
    days_before: int
    """How many days before the periods are kept with them, to learn from."""


def parse_mart(name: str, text: str) -> Mart:
    """Read a mart from its SQL text; a header that does not follow the form is a ValueError that says where."""
    header = HEADER.fullmatch(_header(text))
    if not header:
        raise ValueError(f"{name}.sql: its header is the meaning, then `question:`, `keys:` and a line for each column")
    columns = tuple(_parse_column(name, line) for line in header["columns"].splitlines())
    keys = tuple(header["keys"].split(", "))
    if keys[0] not in get_args(Period):
        raise ValueError(
            f"{name}.sql: the first of the keys is the period, {', '.join(get_args(Period))}; not {keys[0]}"
        )
    if unknown := set(keys) - {column.name for column in columns}:
        raise ValueError(f"{name}.sql: of the keys, {', '.join(sorted(unknown))} is no column")
    meaning = " ".join(header["meaning"].splitlines())
    return Mart(name, f"mart_{name}", meaning, columns, header["question"], keys, text)


def _parse_column(mart: str, line: str) -> Column:
    if found := COLUMN_LINE.fullmatch(line):
        return Column(found["name"], ARROW_TYPES[found["type"]], found["type"], found["meaning"])
    raise ValueError(f"{mart}.sql: `{line}` is no column: NAME TYPE: MEANING, with a type of {', '.join(ARROW_TYPES)}")


def _header(text: str) -> str:
    lines = takewhile(lambda line: line.startswith("--"), text.splitlines())
    return "\n".join(line.removeprefix("--").strip() for line in lines)


def _read_sql(folder: str, name: str) -> str:
    return resources.files("neople_timeline.marts").joinpath(folder, f"{name}.sql").read_text("utf-8")


def _read_view(name: str, *, kept_for: tuple[Period, ...] = (), days_before: int = 0) -> View:
    return View(name, _read_sql("views", name), kept_for, days_before)


VIEWS: Final = (
    _read_view("codes"),
    _read_view("rarities"),
    _read_view("drops"),
    _read_view("raid_rows", kept_for=("day", "week"), days_before=7),
    _read_view("dungeon_runs", kept_for=("week", "month")),
    _read_view("last_phases"),
    _read_view("clears"),
    _read_view("luck"),
)
"""Definitions that several marts share, each after those it needs."""

LEARNT_DAYS: Final = max(view.days_before for view in VIEWS)
"""How many days before a day or a week its marts read too."""

MARTS: Final = tuple(parse_mart(name, _read_sql("sql", name)) for name in MART_NAMES)
