"""The pages of characters and adventures: plain, small, and made by the hundred."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby

from neople_timeline.report.environment import make_environment
from neople_timeline.report.places import adventure_key, character_key, make_linker
from neople_timeline.settings import Language
from neople_timeline.summary import RARITIES, DayFigures, Drop, add_days
from neople_timeline.warehouse.profiles import Profile


@dataclass(frozen=True)
class Adventure:
    """An adventure (an account) with its characters."""

    server_id: str
    name: str
    members: tuple[Profile, ...]

    @property
    def total(self) -> DayFigures:
        """Add its characters' days up; `active` are the days on which one of them played."""
        total = add_days([member.total for member in self.members])
        return replace(total, active=len({day.day for one in self.members for day in one.days if day.events}))

    @property
    def best_drops(self) -> tuple[Drop, ...]:
        """Put its characters' best drops in one order: the rarest first, of equal rarity the newest."""
        drops = [drop for one in self.members for drop in one.best_drops]
        drops.sort(key=lambda drop: drop.minute, reverse=True)
        return tuple(sorted(drops, key=lambda drop: RARITIES.index(drop.rarity)))

    @property
    def owed(self) -> tuple[date, ...]:
        """Name the days of which one of its characters is still to be collected."""
        return tuple(sorted({day for member in self.members for day in member.owed}))

    @property
    def first(self) -> date:
        """Name the first day of which it says something."""
        return min(member.days[0].day for member in self.members)

    @property
    def last(self) -> date:
        """Name the last one."""
        return max(member.days[-1].day for member in self.members)


def list_adventures(profiles: Sequence[Profile]) -> list[Adventure]:
    """Put characters of one adventure together; those whose adventure is not known have none."""

    def name(profile: Profile) -> tuple[str, str]:
        return profile.person.server_id, profile.person.adventure

    known = sorted((profile for profile in profiles if profile.person.adventure), key=name)
    return [
        Adventure(*key, tuple(sorted(members, key=lambda one: (-one.total.events, one.person.character_id))))
        for key, members in groupby(known, key=name)
    ]


def render_character(profile: Profile, language: Language, known: Collection[str]) -> bytes:
    """Render a character's page."""
    template = make_environment(language, is_week=False).get_template("character.html.j2")
    return template.render(profile=profile, link=make_linker(character_key(profile.person), known)).encode()


def render_adventure(adventure: Adventure, language: Language, known: Collection[str]) -> bytes:
    """Render an adventure's page."""
    template = make_environment(language, is_week=False).get_template("adventure.html.j2")
    link = make_linker(adventure_key(adventure.server_id, adventure.name), known)
    return template.render(adventure=adventure, link=link).encode()
