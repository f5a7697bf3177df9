"""When a fault strikes: the rules that tests give, and how often they were met."""

from collections import Counter
from typing import Annotated, Any

import msgspec

from neople_timeline.sandbox.characters import Character
from neople_timeline.sandbox.dice import roll
from neople_timeline.sandbox.switches import Count, RefusedError, Seconds, check_codes

WHOLE = 1 << 64


class Rule(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """One fault and when it strikes: after `after` matching requests, at most `times`, with a seeded probability.

    With `each`, every character is counted for itself. `character` is an id. The fields from `code` on belong to
    single faults: `retry_after` is the header's text or seconds, `retry_after_date` seconds from now, as an HTTP date.
    """

    fault: str
    character: str | None = None
    route: str = "timeline"
    probability: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    times: Count | None = None
    after: Count = 0
    each: bool = False
    code: str = "DNF999"
    retry_after: str | int | None = None
    retry_after_date: int | None = None
    seconds: Seconds = 3600.0
    rows: Count = 5
    depth: Count = 100_000


class Armed:
    """A rule in force: it counts what it met."""

    def __init__(self, rule: Rule, number: int, seed: int) -> None:
        """Count nothing yet; the number, its place among the rules, makes two equal rules strike at different times."""
        self.rule = rule
        self._number = number
        self._seed = seed
        self._met: Counter[str] = Counter()
        self._struck: Counter[str] = Counter()

    def strikes(self, route: str, character_id: str) -> bool:
        """Decide whether this request goes wrong, and count it."""
        rule = self.rule
        if rule.route not in {route, "*"} or rule.character not in {None, character_id}:
            return False
        counted = character_id if rule.each else ""
        self._met[counted] += 1
        turn = self._met[counted]
        if turn <= rule.after or (rule.times is not None and self._struck[counted] >= rule.times):
            return False
        if roll(self._seed, "fault", self._number, counted, turn) >= rule.probability * WHOLE:
            return False
        self._struck[counted] += 1
        return True

    def chooses(self, character: Character) -> bool:
        """Decide whether a fault that changes the world changes this character: for good, whatever is asked."""
        if self.rule.character not in {None, character.character_id}:
            return False
        return roll(self._seed, "world", self.rule.fault, character.index) < self.rule.probability * WHOLE

    def as_json(self) -> dict[str, Any]:
        """Show the rule as it was given, and how often it struck."""
        return {**msgspec.to_builtins(self.rule), "struck": self._struck.total()}


def read_rule(entry: Any) -> Rule:
    """Read a rule; refused with the reason if it is none."""
    try:
        rule = msgspec.convert(entry, Rule)
    except msgspec.ValidationError as error:
        raise RefusedError(f"{entry!r} is no rule: {error}") from None
    check_codes(rule.code)
    return rule
