"""What the API says: error bodies, and characters as each route shows them."""

from dataclasses import dataclass, field
from typing import Any

from neople_timeline.sandbox.catalogue import SERVERS, WORDS, to_json
from neople_timeline.sandbox.characters import Character
from neople_timeline.sandbox.dice import hex_id, roll

ERRORS: dict[str, tuple[int, str]] = {
    "API000": (401, "NOT_FOUND_APIKEY"),
    "API001": (401, "INVALID_GAMEID"),
    "API002": (429, "LIMIT_EXCEEDED"),
    "API003": (401, "INVALID_APIKEY"),
    "API004": (401, "BLOCKED_APIKEY"),
    "API005": (401, "NOT_ALLOWED_GAME"),
    "API006": (400, "INVALID_HEADER"),
    "API007": (500, "SOCKET_ERROR"),
    "API008": (503, "UNAVAILABLE"),
    "API900": (404, "INVALID_URL"),
    "API901": (400, "INVALID_PARAMETER"),
    "API999": (500, "SYSTEM_ERROR"),
    "DNF000": (404, "NOT_FOUND_SERVER"),
    "DNF001": (404, "NOT_FOUND_CHARACTER"),
    "DNF003": (404, "NOT_FOUND_ITEM"),
    "DNF006": (400, "INVALID_TIMELINE_DATE"),
    "DNF900": (404, "INVALID_URL"),
    "DNF901": (400, "INVALID_PARAMETER"),
    "DNF980": (503, "MAINTENANCE"),
    "DNF999": (500, "SYSTEM_ERROR"),
}
"""The default status of each code; where the documents leave it open, the settings can change it."""

SLOT_NAMES = (
    "무기",
    "칭호",
    "상의",
    "머리어깨",
    "하의",
    "신발",
    "벨트",
    "목걸이",
    "팔찌",
    "반지",
    "보조장비",
    "귀걸이",
    "마법석",
)


@dataclass(slots=True)
class Reply:
    """An answer as it goes out; `breaks` names how the connection ends before, in or after it."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    error: str | None = None
    breaks: str | None = None
    seconds: float = 0.0


class ApiError(Exception):
    """An answer that is an error of the API, by its code in ERRORS."""

    def __init__(self, code: str) -> None:
        """Status and message follow from the code."""
        super().__init__(code)
        self.code = code


def error_body(code: str, status: int) -> bytes:
    """Write the body of an error answer."""
    return to_json({"error": {"status": status, "code": code, "message": ERRORS[code][1]}}).encode()


def list_servers() -> dict[str, Any]:
    """List the eight servers in their order."""
    return {"rows": [{"serverId": server, "serverName": name} for server, name in SERVERS.items()]}


def describe(character: Character, *, full: bool = True) -> dict[str, Any]:
    """Name the fields of a character; the search leaves the last three out."""
    short = {
        "serverId": character.server_id,
        "characterId": character.character_id,
        "characterName": character.name,
        "level": character.level,
        "jobId": character.job_id,
        "jobGrowId": character.grow_id,
        "jobName": character.job_name,
        "jobGrowName": character.grow_name,
        "fame": character.fame,
    }
    if not full:
        return short
    belongs = {"adventureName": character.adventure, "guildId": character.guild_id, "guildName": character.guild_name}
    return short | belongs


def envelope(character: Character, *, old: bool) -> dict[str, Any]:
    """Name the fields around a timeline; before 2024 there was neither serverId nor fame."""
    fields = describe(character)
    return {name: value for name, value in fields.items() if not (old and name in {"serverId", "fame"})}


def describe_status(character: Character) -> dict[str, Any]:
    """Show a character with made-up figures."""
    names = ("HP", "MP", "힘", "지능", "체력", "정신력", "물리 공격", "마법 공격", "공격 속도", "이동 속도")
    status = [{"name": name, "value": roll(character.character_id, name) % 900_000 / 10} for name in names]
    return describe(character) | {"status": status}


def describe_equipment(character: Character) -> dict[str, Any]:
    """Show a character with one made-up item in each place."""
    equipment = []
    for place, slot in enumerate(SLOT_NAMES):
        rarity = ("레전더리", "에픽", "태초")[roll(character.character_id, slot) % 3]
        heads = WORDS["item_heads"][rarity]
        name = f"{heads[roll(character.character_id, slot, 'head') % len(heads)]} {slot}"
        equipment.append(
            {
                "slotId": f"SLOT{place:02d}",
                "slotName": slot,
                "itemId": hex_id("item", name),
                "itemName": name,
                "itemRarity": rarity,
                "itemAvailableLevel": 115,
                "reinforce": roll(character.character_id, slot, "level") % 14,
            }
        )
    return describe(character) | {"equipment": equipment}
