"""The mail server of the tests: where it is, and where the mails land."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Smtp:
    url: str
    maildir: Path
