"""Answers of the API, made up for the tests of its protocol."""

import json
from typing import Any

from hypothesis import strategies as st

from neople_timeline.models import CharacterKey, Window

CHARACTER = CharacterKey("cain", "0123456789abcdef0123456789abcdef")
WINDOW = Window("2026-11-15 06:00", "2026-11-16 05:59")
CURSOR = "0f" * 80

MINUTES = st.sampled_from(["2026-11-15 06:00", "2026-11-15 06:01", "2026-11-15 23:59", "2026-11-16 05:59"])
DATA = st.one_of(st.none(), st.fixed_dictionaries({"itemId": st.sampled_from(["a", "b"]), "n": st.integers(0, 2)}))
ROWS = st.fixed_dictionaries(
    {"code": st.sampled_from([504, 505]), "name": st.just("획득"), "date": MINUTES, "data": DATA}
)


def make_row(date: str = "2026-11-15 07:00", **fields: Any) -> dict[str, Any]:
    return {"code": 505, "name": "획득", "date": date, "data": {"itemId": "a"}, **fields}


def make_page(rows: list[dict[str, Any]], cursor: str | None = None, *, dates: object = None, **envelope: Any) -> bytes:
    answer = {"characterId": CHARACTER.character_id, "characterName": "모험가", **envelope}
    answer["timeline"] = {"date": dates, "next": cursor, "rows": rows}
    return spell(answer)


def spell(value: object) -> bytes:
    """Write JSON as the API does: text as it is, and no blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def spell_data(data: bytes) -> bytes:
    """Give an answer of one row with a payload in exactly this spelling."""
    return make_page([make_row(data="HERE")]).replace(b'"HERE"', data)
