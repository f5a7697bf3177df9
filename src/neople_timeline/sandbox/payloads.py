"""The `data` of a row by its code: each builder turns one event's draws into JSON text.

Seven draws are free (0 to 6): the last one decides the order of the keys and whether a false boolean is left out.
"""

from collections.abc import Callable

from neople_timeline.sandbox.catalogue import SLOTS, WORDS, Era, to_json
from neople_timeline.sandbox.dice import Draws, hex_id


def _quoted(key: str) -> tuple[str, ...]:
    return tuple(to_json(word) for word in WORDS[key])


CHANNELS, DUNGEONS, REGIONS, NPCS = (_quoted(key) for key in ("channels", "dungeons", "regions", "npcs"))
PARTIES = _quoted("parties") * 64 + _quoted("hostile")
UPGRADES, SOURCES, BEASTS, GRADES = (_quoted(key) for key in ("upgrades", "obtained_from", "beasts", "arena_grades"))
TICKETS = tuple(to_json({"itemId": hex_id("ticket", name), "itemName": name}) for name in WORDS["tickets"])


def _raids() -> tuple[tuple[str, ...], ...]:
    """Write the opening fields of each raid's rows, one per phase."""
    raids = []
    for (name,), modes, phases in WORDS["raids"]:
        for mode in modes or [None]:
            fields = {"raidName": name} | ({"modeName": mode} if mode else {})
            rows = [fields | {"phaseName": phase} for phase in phases] or [fields]
            raids.append(tuple(to_json(row)[1:-1] for row in rows))
    return tuple(raids)


RAIDS = _raids()


def pick(words: tuple[str, ...], draw: int) -> str:
    """One of the words."""
    return words[draw % len(words)]


def flag(name: str, *, value: bool, draw: int) -> str:
    """`,"name":true`; a false one is left out three times of four."""
    if value:
        return f',"{name}":true'
    return "" if draw & 3 else f',"{name}":false'


def item(era: Era, draws: Draws) -> str:
    """Write the three item fields."""
    return era.items[draws[0] % SLOTS]


def oath(era: Era, draws: Draws) -> str:
    """Write the three fields of an oath item."""
    return era.oath_items[draws[0] % SLOTS]


def joined(first: str, second: str, draw: int) -> str:
    """Join both parts in an object, now and then the other way round."""
    return f"{{{second},{first}}}" if draw & 7 == 7 else f"{{{first},{second}}}"


def _nothing(_era: Era, _draws: Draws) -> str:
    return "null"


def _item(era: Era, draws: Draws) -> str:
    return f"{{{item(era, draws)}}}"


def _oath_item(era: Era, draws: Draws) -> str:
    return f"{{{oath(era, draws)}}}"


def _channel(draws: Draws) -> str:
    return f'"channelName":{pick(CHANNELS, draws[1])},"channelNo":{draws[2] % 60 + 1}'


def _mist(draws: Draws) -> str:
    return flag("mistGear", value=draws[4] % 50 == 0, draw=draws[6] >> 4)


def _drop(era: Era, draws: Draws) -> str:
    rest = f'{_channel(draws)},"dungeonName":{pick(DUNGEONS, draws[3])}{_mist(draws)}'
    return joined(item(era, draws), rest, draws[6])


def _oath_drop(era: Era, draws: Draws) -> str:
    return joined(oath(era, draws), f'{_channel(draws)},"dungeonName":{pick(DUNGEONS, draws[3])}', draws[6])


def _pot(era: Era, draws: Draws) -> str:
    reinforced = f',"reinforce":{draws[5] % 13}' if draws[5] % 7 == 0 else ""
    return joined(item(era, draws), f"{_channel(draws)}{_mist(draws)}{reinforced}", draws[6])


def _oath_pot(era: Era, draws: Draws) -> str:
    return joined(oath(era, draws), _channel(draws), draws[6])


def _card(era: Era, draws: Draws) -> str:
    return joined(item(era, draws), f'"dungeonName":{pick(DUNGEONS, draws[3])}{_mist(draws)}', draws[6])


def _oath_card(era: Era, draws: Draws) -> str:
    return joined(oath(era, draws), f'"dungeonName":{pick(DUNGEONS, draws[3])}', draws[6])


def _shop(era: Era, draws: Draws) -> str:
    return joined(item(era, draws), f'"npcName":{pick(NPCS, draws[1])}', draws[6])


def _exchange(era: Era, draws: Draws) -> str:
    return (
        f"{{{item(era, draws)}{_mist(draws)}{flag('refinedMistGear', value=draws[5] % 40 == 0, draw=draws[6] >> 6)}}}"
    )


def _upgrade(era: Era, draws: Draws) -> str:
    return f"{{{item(era, draws)}{flag('pureMistGear', value=draws[4] % 30 == 0, draw=draws[6] >> 4)}}}"


def _power(era: Era, draws: Draws) -> str:
    return joined(item(era, draws), f'"upgradeName":{pick(UPGRADES, draws[1])}', draws[6])


def _transcend(era: Era, draws: Draws) -> str:
    way = "in" if draws[1] & 1 else "out"
    return joined(item(era, draws), f'"adventureSafeMoveType":"{way}"{_mist(draws)}', draws[6])


def _oath_transcend(era: Era, draws: Draws) -> str:
    way = "in" if draws[1] & 1 else "out"
    return joined(oath(era, draws), f'"adventureSafeMoveType":"{way}"', draws[6])


def _split(era: Era, draws: Draws) -> str:
    results = ",".join(f"{{{era.items[draws[turn] % SLOTS]}}}" for turn in range(1, 2 + draws[5] % 3))
    return f'{{{item(era, draws)},"resultItems":[{results}]}}'


def _obtained(era: Era, draws: Draws) -> str:
    return joined(item(era, draws), f'"itemObtainInfo":{pick(SOURCES, draws[1])}', draws[6])


def _convert(era: Era, draws: Draws) -> str:
    return f"{{{item(era, draws)}{_mist(draws)}}}"


def _lock(era: Era, draws: Draws) -> str:
    fields = item(era, draws).partition(',"itemRarity"')[0]
    return f'{{{fields},"booster":{"true" if draws[1] % 4 == 0 else "false"}}}'


def _reinforce(era: Era, draws: Draws) -> str:
    before = min(draws[1] % 14, draws[2] % 18)
    if draws[5] % 40 == 0:  # a ticket jumps levels and never fails
        levels = f'"before":{before},"after":{10 + draws[3] % 4},"result":true,"ticket":{pick(TICKETS, draws[4])}'
        return joined(item(era, draws), levels, draws[6])
    succeeded = draws[3] % 100 < (100, 100, 95, 90, 80, 70, 60, 50, 40, 35, 30, 22, 16, 12)[before]
    levels = f'"before":{before},"after":{before + 1},"result":{"true" if succeeded else "false"}'
    return joined(item(era, draws), levels + flag("safe", value=draws[4] % 12 == 0, draw=draws[6] >> 4), draws[6])


def _refine(era: Era, draws: Draws) -> str:
    succeeded = draws[2] % 100 < 60
    return joined(item(era, draws), f'"after":{draws[1] % 8 + 1},"result":{"true" if succeeded else "false"}', draws[6])


def _remodel(era: Era, draws: Draws) -> str:
    before = draws[1] % 60
    levels = f'"before":{before},"after":{before + 1},"result":{"true" if draws[2] % 100 < 70 else "false"}'
    return joined(item(era, draws), levels + flag("safe", value=draws[4] % 10 == 0, draw=draws[6] >> 4), draws[6])


def _imprint(era: Era, draws: Draws) -> str:
    levels = f'"amplification":{draws[1] % 13},"refine":{draws[2] % 9},"reinforce":{draws[3] % 13}'
    return joined(item(era, draws), levels, draws[6])


def _beast(_era: Era, draws: Draws) -> str:
    return f'{{"mode":{pick(BEASTS, draws[0])},"point":{draws[1] % 900 * 100}}}'


def _pinwar(_era: Era, draws: Draws) -> str:
    return f'{{"raidPartyName":{pick(PARTIES, draws[1])}{flag("guide", value=draws[2] % 5 == 0, draw=draws[6])}}}'


def _legion(_era: Era, draws: Draws) -> str:
    return f'{{"regionName":{pick(REGIONS, draws[0])}}}'


def _vanguard(_era: Era, draws: Draws) -> str:
    fields = RAIDS[draws[0] % len(RAIDS)][0].partition(',"phaseName"')[0]
    return (
        f'{{{fields},"raidPartyName":{pick(PARTIES, draws[1])}{flag("hard", value=draws[2] % 3 == 0, draw=draws[6])}}}'
    )


def _arena(_era: Era, draws: Draws) -> str:
    return f'{{"pvpGradeName":{pick(GRADES, draws[0])}}}'


def raid_phases(draws: Draws) -> list[str]:
    """One row's data per phase of a raid, in the order in which they are cleared."""
    flags = "".join(
        flag(name, value=draws[2] % among == rest, draw=draws[6] >> place)
        for place, (name, among, rest) in enumerate(
            (("hard", 3, 0), ("guide", 16, 1), ("single", 9, 4), ("squad", 9, 5), ("matching", 7, 6))
        )
    )
    party = "" if draws[2] % 16 == 1 else f'"raidPartyName":{pick(PARTIES, draws[1])}'
    rest = (party + flags).removeprefix(",")
    phases = RAIDS[draws[0] % len(RAIDS)]
    return [joined(phase, rest, draws[6]) if rest else f"{{{phase}}}" for phase in phases]


BUILDERS: dict[str, Callable[[Era, Draws], str]] = {
    "nothing": _nothing,
    "item": _item,
    "drop": _drop,
    "pot": _pot,
    "card": _card,
    "shop": _shop,
    "exchange": _exchange,
    "upgrade": _upgrade,
    "power": _power,
    "transcend": _transcend,
    "split": _split,
    "obtained": _obtained,
    "convert": _convert,
    "lock": _lock,
    "reinforce": _reinforce,
    "refine": _refine,
    "remodel": _remodel,
    "imprint": _imprint,
    "beast": _beast,
    "pinwar": _pinwar,
    "legion": _legion,
    "vanguard": _vanguard,
    "arena": _arena,
    "oath_item": _oath_item,
    "oath_drop": _oath_drop,
    "oath_pot": _oath_pot,
    "oath_card": _oath_card,
    "oath_transcend": _oath_transcend,
}
