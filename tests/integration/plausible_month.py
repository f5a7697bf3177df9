"""A month of plausible events, made without the sandbox: every code, every trap, equal rows, hostile names."""

import json
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from neople_timeline.tables import CHARACTERS, EVENTS

SERVERS = ["cain", "diregie", "siroco", "prey", "casillas", "hilder", "anton", "bakal"]
RARITIES = ["레어", "유니크", "레전더리", "에픽", "신화", "태초", "처음 보는 등급", None]
RARITY_ODDS = [0.1, 0.15, 0.5, 0.2, 0.01, 0.02, 0.01, 0.01]
DUNGEONS = ["종말의 숭배자", "침묵의 성소", "<b>죽은 성</b>", "고통의 지하실"]
CHANNELS = ["바하이트", "더 오큘러스", "'; DROP TABLE event;--"]
PHASES: dict[str, list[str | None]] = {
    "무형의 시로코": ["추적", "토벌"],
    "이내 황혼전": ["결전", "추격", "종막"],
    "기계 혁명": [None],
    "아스라한": [None],
}
DROP_CODES = [504, 505, 507, 513, 514, 520, 521, 550, 551, 552, 554, 555, 557]
OTHER_CODES = [101, 102, 103, 104, 105, 202, 206, 207, 209, 210, 301, 405, 501, 506, 508, 511, 553, 601, 9901]
CODES = [*DROP_CODES, 516, 556, 201, 401, 402, 403, 404, *OTHER_CODES]
DROP_SHARE = 0.6
ITEMS = 500


def make_events(day: date, events: int, seed: int = 1, characters: int = 60) -> pa.Table:
    """Make a day's rows of `events`, the same for the same arguments."""
    random = np.random.default_rng([seed, day.toordinal()])
    share = [DROP_SHARE / len(DROP_CODES)] * len(DROP_CODES)
    rest = len(CODES) - len(DROP_CODES)
    codes = random.choice(CODES, events, p=share + [(1 - DROP_SHARE) / rest] * rest)
    minutes = np.sort(random.integers(0, 24 * 60, events))
    columns = _fill(random, codes, events) | _when(day, minutes) | _who(random, day, events, characters)
    columns["code"] = codes
    columns["name"] = pa.array([f"name of {code}" for code in CODES]).take(_positions(codes))
    columns["ordinal"] = np.arange(events)
    columns["data"] = pa.array([json.dumps({"itemName": f"물건 {n % 97}"}) for n in range(97)]).take(
        np.arange(events) % 97
    )
    arrays = [_array(columns.get(field.name), field.type, events) for field in EVENTS.schema]
    return pa.table(arrays, schema=EVENTS.schema)


def make_characters(day: date, seed: int = 1, characters: int = 60) -> pa.Table:
    """Make a day's rows of `characters`: the same every day, some without a guild or an adventure."""
    numbers = range(characters)
    columns = {
        "day": [day] * characters,
        "server_id": [SERVERS[n % 8] for n in numbers],
        "character_id": [f"{n:032x}" for n in numbers],
        "character_name": [f"캐릭터{n}" for n in numbers],
        "level": [115] * characters,
        "job_name": [f"직업{n % 15}" for n in numbers],
        "job_grow_name": [f"眞 {n % 40}" for n in numbers],
        "fame": [None if n % 9 == 0 else 30_000 + n for n in numbers],
        "adventure_name": [None if n % 11 == 0 else f"모험단{n // 8 // 5}" for n in numbers],
        "events": [n % 4 for n in numbers],
        "guild_id": [None if n % 3 == 0 else f"{n % 8:032x}" for n in numbers],
        "guild_name": [None if n % 3 == 0 else f"길드{n % 8}-{seed}" for n in numbers],
    }
    return pa.table(
        [_array(columns.get(f.name), f.type, characters) for f in CHARACTERS.schema], schema=CHARACTERS.schema
    )


def _when(day: date, minutes: np.ndarray) -> dict[str, Any]:
    start = datetime.combine(day, time(6), ZoneInfo("Asia/Seoul"))
    texts = [(start + timedelta(minutes=n)).strftime("%Y-%m-%d %H:%M") for n in range(24 * 60)]
    first = int(start.timestamp() * 1_000_000)
    return {
        "day": [day] * len(minutes),
        "occurred_at": first + minutes * 60_000_000,
        "occurred_minute": pa.array(texts).take(pa.array(minutes)),
    }


def _who(random: np.random.Generator, day: date, events: int, characters: int) -> dict[str, Any]:
    # Some play much and some not at all on a day.
    numbers = np.minimum(random.zipf(1.3, events) * 7 + day.day, 10**9) % characters
    return {
        "server_id": pa.array(SERVERS).take(pa.array(numbers % 8)),
        "character_id": pa.array([f"{n:032x}" for n in range(characters)]).take(pa.array(numbers)),
    }


def _fill(random: np.random.Generator, codes: np.ndarray, events: int) -> dict[str, Any]:
    items = random.integers(0, ITEMS, events)
    levels = random.integers(0, 15, events)
    raid_names, phase_names = _raids(random, events)
    has_item = codes > 400
    dropped = np.isin(codes, [504, 505, 513, 550])
    return {
        "item_id": _text([f"{n:032x}" for n in range(ITEMS)], items, has_item),
        "item_name": _text([f"물건 {n}" for n in range(ITEMS)], items, has_item),
        "item_rarity": _text(RARITIES, random.choice(len(RARITIES), ITEMS, p=RARITY_ODDS)[items], has_item),
        "channel_name": _text(CHANNELS, random.integers(0, 3, events), dropped & (codes != 513)),
        "channel_no": pa.array(random.integers(1, 30, events), mask=~(dropped & (codes != 513))),
        "dungeon_name": _text(DUNGEONS, random.integers(0, 4, events), dropped & (codes != 504)),
        "is_mist_gear": pa.array(random.random(events) < 0.1, mask=~dropped),
        "raid_name": pa.array(raid_names, mask=~np.isin(codes, [201, 210])),
        "raid_phase_name": pa.array(phase_names, mask=~np.isin(codes, [201, 210])),
        "raid_mode_name": _text(["일반", "매칭"], random.integers(0, 2, events), codes == 210),
        "region_name": _text(["이스핀즈", "차원회랑"], random.integers(0, 2, events), codes == 209),
        "is_hard": pa.array(np.full(events, fill_value=True), mask=random.random(events) < 0.6),
        "is_matching": pa.array(random.random(events) < 0.3, mask=codes != 201),
        "before_level": pa.array(levels, mask=~np.isin(codes, [401, 402, 404])),
        "after_level": pa.array(levels + 1, mask=~np.isin(codes, [401, 402, 403, 404])),
        "is_success": pa.array(random.random(events) < 0.5, mask=~np.isin(codes, [401, 402, 403, 404])),
        "is_safe": pa.array(random.random(events) < 0.2, mask=~np.isin(codes, [401, 402])),
        "ticket_item_name": _text(["+12 강화권"], np.zeros(events, int), np.isin(codes, [401, 402]) & (levels == 9)),
        "safe_move": _text(["in", "out", None], random.integers(0, 3, events), np.isin(codes, [516, 556])),
        "before_name": _text(["옛이름", "=1+1"], random.integers(0, 2, events), np.isin(codes, [102, 105])),
        "after_name": _text(["새이름", "<i>새</i>"], random.integers(0, 2, events), np.isin(codes, [102, 105])),
        "reached_level": pa.array(levels + 100, mask=codes != 104),
        "job_grow_name": _text(["眞 런처", "眞 헌터"], random.integers(0, 2, events), codes == 103),
    }


def _raids(random: np.random.Generator, events: int) -> tuple[list[str], list[str | None]]:
    choices = [(name, phase) for name, phases in PHASES.items() for phase in phases]
    chosen = random.integers(0, len(choices), events)
    return [choices[n][0] for n in chosen], [choices[n][1] for n in chosen]


def _text(values: Sequence[str | None], positions: np.ndarray, present: np.ndarray) -> "pa.Array[Any]":
    return pa.array(values, pa.string()).take(pa.array(positions, pa.int64(), mask=~present))


def _positions(codes: np.ndarray) -> "pa.Array[Any]":
    order = np.argsort(CODES)
    return pa.array(order[np.searchsorted(np.array(CODES)[order], codes)])


def _array(values: Any, kind: pa.DataType, length: int) -> "pa.Array[Any]":
    if values is None:
        values = pa.nulls(length)
    array: pa.Array[Any] = values if isinstance(values, pa.Array) else pa.array(values)
    return array.cast(kind)
