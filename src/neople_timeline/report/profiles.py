"""The pages of characters and adventures: plain, small, and made by the hundred."""

from collections.abc import Collection, Sequence
from itertools import groupby

from neople_timeline.report.environment import make_environment
from neople_timeline.report.places import adventure_key, character_key, make_linker
from neople_timeline.settings import Language
from neople_timeline.summary import Adventure, Profile


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
