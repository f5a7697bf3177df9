"""Faults on demand: which rules are in force, and which of them a request or a character falls under."""

from typing import Any

from neople_timeline.sandbox.characters import Character
from neople_timeline.sandbox.rules import Armed, Rule, read_rule
from neople_timeline.sandbox.spoil import BYTES, HEADS, INSTEAD, PAGES, WORLD
from neople_timeline.sandbox.switches import RefusedError
from neople_timeline.sandbox.timeline import Answer
from neople_timeline.sandbox.world import Event, World

NAMES = {*INSTEAD, *BYTES, *PAGES, *WORLD}


class Faults:
    """The rules in force, in their order."""

    def __init__(self, world: World) -> None:
        """No faults at first."""
        self.world = world
        self.armed: list[Armed] = []

    def replace(self, wanted: Any) -> None:
        """Put these rules, a JSON list of objects, in the place of those before."""
        if not isinstance(wanted, list):
            raise RefusedError("faults are a JSON list of rules")
        rules = [read_rule(entry) for entry in wanted]
        for rule in rules:
            _check(rule)
        self.armed = [Armed(rule, number, self.world.population.seed) for number, rule in enumerate(rules)]
        self.world.alter(self._alter if any(rule.fault in WORLD for rule in rules) else None)

    def striking(self, route: str, character_id: str) -> list[Rule]:
        """Find the rules that this request falls under."""
        return [
            armed.rule for armed in self.armed if armed.rule.fault not in WORLD and armed.strikes(route, character_id)
        ]

    def spoil_head(self, answer: Answer) -> None:
        """Let the envelope show what the faults that change the world do to a character."""
        character = self.world.population.character(answer.query.index)
        for armed in self.armed:
            if armed.rule.fault in HEADS and armed.chooses(character):
                answer.head = HEADS[armed.rule.fault](answer.head)

    def _alter(self, character: Character, day: int, events: list[Event]) -> list[Event]:
        for armed in self.armed:
            if armed.rule.fault in WORLD and armed.chooses(character):
                events = WORLD[armed.rule.fault](day, events)
        return events


def _check(rule: Rule) -> None:
    if rule.fault not in NAMES:
        raise RefusedError(f"no fault {rule.fault!r}; there are {', '.join(sorted(NAMES))}")
    if rule.fault in WORLD and (rule.times is not None or rule.after or rule.each):
        raise RefusedError(f"{rule.fault} changes the world for good: it takes no times, after or each")
    if rule.fault in PAGES and rule.route != "timeline":
        raise RefusedError(f"{rule.fault} spoils timelines only")
