"""The templates' environment: what every template may say, show and point to."""

from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from neople_timeline.report.places import adventure_key, character_key, day_key
from neople_timeline.report.reasons import show_reason
from neople_timeline.report.words import (
    ROUTES,
    make_speaker,
    show_content,
    show_day,
    show_rarity,
    show_server,
    show_text,
    show_weekday,
)
from neople_timeline.settings import Language
from neople_timeline.summary import RARITIES


@lru_cache
def make_environment(language: Language, *, is_week: bool) -> Environment:
    """Make the templates' environment of an edition: everything is escaped, nothing may be undefined."""
    environment = Environment(
        loader=PackageLoader("neople_timeline.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "text": show_text,
        "reason": lambda reason: show_text(show_reason(reason, language)),
        "number": lambda value: f"{value:,}",
        "rarity": lambda rarity: show_rarity(rarity, language),
    }
    environment.globals |= {
        "language": language,
        "say": make_speaker(language, is_week=is_week),
        "route": lambda code: ROUTES[language].get(code, str(code)),
        "rarity_name": lambda rarity: show_rarity(rarity, language),
        "rarity_rank": lambda rarity: RARITIES.index(rarity) if rarity in RARITIES else len(RARITIES),
        "server": lambda server_id: show_server(server_id, language),
        "weekday": lambda number: show_weekday(number, language),
        "show_content": lambda kind, name: show_content(kind, name, language),
        "show_day": lambda day: show_day(day, language),
        "day_key": day_key,
        "character_key": character_key,
        "adventure_key": adventure_key,
    }
    return environment
