"""What happens once in a character's life: its creation, job advances, level caps and new names (codes 101 to 105)."""

from typing import NamedTuple

from neople_timeline.sandbox.catalogue import FIRST_DAY, to_json
from neople_timeline.sandbox.characters import Character, Population
from neople_timeline.sandbox.dice import hex_id, roll

RENAME_EVERY = 400
RENAMES = 11
"""After these, in 2029, names stay: the last one leads to the name that the API shows."""
LEVEL_CAPS = ((FIRST_DAY + 833, 100), (FIRST_DAY + 1641, 110), (FIRST_DAY + 2667, 115))
JOB_ADVANCES = ((1, ""), (9, "각성 "), (30, "眞 "))
EARLY_LEVELS = ((2, 50), (5, 75), (12, 95))


class Milestone(NamedTuple):
    """Minute of the game day, code, and the data as JSON."""

    minute: int
    code: int
    data: str


def milestones_on(population: Population, character: Character, day: int) -> list[Milestone]:
    """Tell what a day of this character holds besides its play."""
    happened = _growth_on(population.seed, character, day)
    happened += _rename_on(population, 102, character.index, character.name, day)
    happened += _rename_on(population, 105, character.account, character.adventure, day)
    return [
        Milestone(roll(population.seed, "minute", character.index, day, code) % 1440, code, data)
        for code, data in happened
    ]


def _growth_on(seed: int, character: Character, day: int) -> list[tuple[int, str]]:
    age = day - character.first_day
    happened = [
        (104, to_json({"level": level}))
        for cap_day, level in LEVEL_CAPS
        if cap_day <= day < cap_day + 20
        and level <= character.level
        and age > 30
        and day == cap_day + roll(seed, "cap", character.index, level) % 20
    ]
    if age <= 30 and character.first_day > FIRST_DAY:
        happened += [(101, "null")] if age == 0 else []
        happened += [(103, _advance(character, title)) for after, title in JOB_ADVANCES if after == age]
        happened += [(104, to_json({"level": level})) for after, level in EARLY_LEVELS if after == age]
    return happened


def _advance(character: Character, title: str) -> str:
    grow_name = title + character.grow_name.removeprefix("眞 ")
    return to_json(
        {
            "jobId": character.job_id,
            "jobName": character.job_name,
            "jobGrowId": hex_id("grow", title, grow_name),
            "jobGrowName": grow_name,
        }
    )


def _rename_on(
    population: Population, code: int, who: int | str, name_now: str | None, day: int
) -> list[tuple[int, str]]:
    turn = (day - FIRST_DAY) // RENAME_EVERY
    start = FIRST_DAY + turn * RENAME_EVERY
    if turn >= RENAMES or name_now is None or day != start + roll(population.seed, code, who, turn) % RENAME_EVERY:
        return []

    def name_in(turn: int) -> str:
        return name_now if turn == RENAMES else population.spell(roll(population.seed, code, who, "name", turn))

    return [(code, to_json({"beforeName": name_in(turn), "afterName": name_in(turn + 1)}))]
