"""What the world is made of: codes, items, places and words, read once from catalogue.json."""

import json
from bisect import bisect_right
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Any, TypeVar

from neople_timeline.sandbox.dice import hex_id

FIRST_DAY = date(2017, 9, 21).toordinal()
SLOTS = 4096
UNKNOWN_CODE = 999

Thing = TypeVar("Thing")

WORDS: dict[str, Any] = json.loads(files("neople_timeline.sandbox").joinpath("catalogue.json").read_text("utf-8"))
SERVERS: dict[str, str] = {server: name for server, name, _ in WORDS["servers"]}


@dataclass(frozen=True, slots=True)
class Code:
    """A code of the timeline with the opening of its row, `{"code":…,"name":…,"date":"`."""

    code: int
    payload: str
    weight: int
    head: str


@dataclass(frozen=True, slots=True)
class Era:
    """A stretch of days with the same codes and items; each table has SLOTS entries, frequent things several times."""

    first_day: int
    codes: tuple[Code, ...]
    heads: dict[int, str]
    items: tuple[str, ...]
    oath_items: tuple[str, ...]


def to_json(value: object) -> str:
    """Compact JSON with Korean left as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def encode_item(name: str, rarity: str) -> str:
    """Write the three item fields without braces; the id depends on the name alone."""
    return to_json({"itemId": hex_id("item", name), "itemName": name, "itemRarity": rarity})[1:-1]


def _begins(entry: dict[str, Any], what: str) -> int:
    """Give the day from which on an entry has what it names by its date; it always has what it does not name."""
    return date.fromisoformat(entry[what]).toordinal() if what in entry else 0


def _code_on(entry: dict[str, Any], day: int) -> Code:
    name = entry["former_name"] if day < _begins(entry, "renamed_on") else entry["name"]
    head = f'{{"code":{entry["code"]},"name":{to_json(name)},"date":"'
    return Code(entry["code"], entry["payload"], entry["weight"], head)


def _spread(weighted: list[tuple[Thing, int]]) -> tuple[Thing, ...]:
    """SLOTS entries in which each thing has its share."""
    total = sum(weight for _, weight in weighted)
    slots: list[Thing] = []
    reached = 0
    for thing, weight in weighted:
        reached += weight
        slots.extend([thing] * (SLOTS * reached // total - len(slots)))
    return tuple(slots)


def _items(day: int, tails: list[str]) -> tuple[str, ...]:
    since = max(start for start in WORDS["rarity_weights"] if date.fromisoformat(start).toordinal() <= day)
    weighted = []
    for rarity, weight in WORDS["rarity_weights"][since].items():
        names = [f"{head} {tail}" for head in WORDS["item_heads"][rarity] for tail in tails]
        weighted += [(encode_item(name, rarity), weight * 1000 // len(names)) for name in names]
    return _spread(weighted)


def _era(day: int) -> Era:
    codes = {entry["code"]: _code_on(entry, day) for entry in WORDS["codes"]}
    current = [codes[entry["code"]] for entry in WORDS["codes"] if day >= _begins(entry, "since")]
    frequent = _spread([(code, code.weight) for code in current if code.weight])
    heads = {number: code.head for number, code in codes.items()}
    return Era(day, frequent, heads, _items(day, WORDS["item_tails"]), _items(day, WORDS["oath_tails"]))


_STARTS = sorted(
    {FIRST_DAY}
    | {date.fromisoformat(start).toordinal() for start in WORDS["rarity_weights"]}
    | {_begins(entry, what) for entry in WORDS["codes"] for what in ("since", "renamed_on") if what in entry}
)
_ERAS = tuple(_era(start) for start in _STARTS)


def era_on(day: int) -> Era:
    """Find the era of a day from 2017-09-21 on."""
    return _ERAS[bisect_right(_STARTS, day) - 1]
