"""Where each page is in the lake, and how one points to another: paths are made of ids and days, never of names."""

import hashlib
import posixpath
from collections.abc import Callable, Collection
from datetime import date

from neople_timeline.summary import Person


def day_key(day: date) -> str:
    """Name the object of a day's page."""
    return f"reports/day={day}/index.html"


def week_key(thursday: date) -> str:
    """Name the object of a week's page."""
    return f"reports/week={thursday}/index.html"


def character_key(person: Person) -> str:
    """Name the object of a character's page."""
    return f"reports/characters/{person.server_id}/{person.character_id}.html"


def adventure_key(server_id: str, name: str) -> str:
    """Name the object of an adventure's page; an adventure has no id, so a digest of its name stands for it."""
    return f"reports/adventures/{server_id}/{hashlib.sha256(name.encode()).hexdigest()[:24]}.html"


def make_linker(source: str, known: Collection[str]) -> Callable[[str], str]:
    """Make the function that points from one page to another; empty where that one is not known to be there."""
    folder = posixpath.dirname(source)
    return lambda key: posixpath.relpath(key, folder) if key in known else ""
