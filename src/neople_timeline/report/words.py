"""How the report writes phrases, days, routes, rarities and strangers' names, in Korean and English."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

from neople_timeline.models import SERVERS
from neople_timeline.report.phrases import PHRASES, WEEKLY_PHRASES
from neople_timeline.settings import Language

ROUTES: Final[Mapping[Language, Mapping[int, str]]] = {
    "ko": {
        505: "던전 드랍", 513: "던전 카드", 504: "항아리·상자", 507: "레이드 카드", 521: "레이드 경매",
        514: "제작서", 520: "장비 제작", 516: "초월의 돌",
        550: "던전 드랍", 557: "던전 카드", 552: "항아리·상자", 551: "레이드 카드", 554: "제작서", 555: "무기고",
        556: "초월의 돌",
    },
    "en": {
        505: "Dungeon", 513: "Dungeon card", 504: "Pots and boxes", 507: "Raid card", 521: "Raid auction",
        514: "Recipe", 520: "Crafted", 516: "Account safe",
        550: "Dungeon", 557: "Dungeon card", 552: "Pots and boxes", 551: "Raid card", 554: "Recipe", 555: "Armoury",
        556: "Account safe",
    },
}  # fmt: skip

ENGLISH_RARITIES: Final = {
    "태초": "Primeval", "신화": "Mythic", "에픽": "Epic", "레전더리": "Legendary", "크로니클": "Chronicle",
    "유니크": "Unique", "레어": "Rare", "언커먼": "Uncommon", "커먼": "Common",
}  # fmt: skip

_WEEKDAYS: Final = {"ko": "월화수목금토일", "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")}

# Controls, line separators, and the invisible characters that turn the direction of the text after them.
_UNSHOWABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]+")
_TURNING: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def make_speaker(language: Language, *, is_week: bool) -> Callable[..., str]:
    """Make the function that says a phrase by its key, with its blanks filled; a week has words of its own for some."""
    words = {**PHRASES[language], **(WEEKLY_PHRASES[language] if is_week else {})}
    return lambda key, **values: words[key].format(**values)


def show_text(text: str, longest: int = 255) -> str:
    """Write a stranger's text on one line, with nothing in it that acts on what stands around it."""
    shown = _TURNING.sub("", _UNSHOWABLE.sub(" ", text)).strip()
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def show_day(day: date, language: Language) -> str:
    """Write a day with its weekday."""
    weekday = _WEEKDAYS[language][day.weekday()]
    return f"{day} ({weekday})" if language == "ko" else f"{weekday} {day}"


def show_weekday(number: int, language: Language) -> str:
    """Write a weekday; 0 is Monday."""
    return _WEEKDAYS[language][number]


def show_server(server_id: str, language: Language) -> str:
    """Write a server as players know it."""
    return SERVERS.get(server_id, server_id) if language == "ko" else server_id.capitalize()


def show_rarity(rarity: str, language: Language) -> str:
    """Write a rarity; one that is not known stays as it is, and an item may have none."""
    if not rarity:
        return PHRASES[language]["no_rarity"]
    return ENGLISH_RARITIES.get(rarity, rarity) if language == "en" else rarity


def show_content(kind: str, name: str, language: Language) -> str:
    """Write a raid or legion; fiend war, which has no name in the API, as players call it."""
    words = PHRASES[language]
    if kind == "fiend war":
        return words["fiend_war"]
    return f"{name} {words['vanguard']}" if kind == "raid vanguard" else name


def show_change(value: int, before: int) -> str:
    """Write the change from an earlier figure with its sign, so that it reads without colour."""
    change = value - before
    return "±0" if change == 0 else f"{'▲' if change > 0 else '▼'} {abs(change):,}"
