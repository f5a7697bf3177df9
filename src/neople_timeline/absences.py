"""Whether to believe the API that it does not know a character.

A character that is recorded as missing is not asked for again. Characters are deleted, and rosters hold wrong ids, so
most absences are true; but one wrong answer says the same, and so does an API that has lost everybody. So whoever is
absent for the first time is asked for once more, and is doubted if too many others are.
"""

from dataclasses import dataclass
from typing import Final

from neople_timeline.models import CharacterKey, Claim

DOUBTED: Final = 3
DOUBTED_SHARE: Final = 0.01
"""Characters that the API has lost in a run, and their share of those asked for, above which it may be the API."""


@dataclass(frozen=True)
class Absence:
    """A claim whose character the API does not know: what it answered, and why that is not to be believed, if so."""

    claim: Claim
    answer: str
    doubt: str | None


class Absences:
    """Those whom the API does not know, in one run of a collector; `has_found_anybody` tells of all runs before it."""

    def __init__(self, *, has_found_anybody: bool) -> None:
        self.gone: dict[Claim, str] = {}
        """New absences that are still to be settled, with what the API said."""
        self._has_found_anybody = has_found_anybody
        self._has_found_any_now = False
        self._asked = 0
        self._lost: set[Claim] = set()
        self._in_a_row: set[CharacterKey] = set()

    @property
    def lost_in_a_row(self) -> int:
        """Count the characters that the API knew the last time and has lost since it last found anybody."""
        return len(self._in_a_row)

    def ask(self, claims: list[Claim]) -> None:
        """Count the characters of claims, which nobody has asked for in this run."""
        self._asked += len({claim.character for claim in claims})

    def find(self, claim: Claim) -> None:
        """Note that the API does know a character."""
        self._has_found_any_now = True
        self._in_a_row.clear()
        self._lost.discard(claim)
        self.drop(claim)

    def drop(self, claim: Claim) -> None:
        """Settle a new absence otherwise."""
        self.gone.pop(claim, None)

    def add(self, claim: Claim, answer: str, *, was_there: bool | None) -> bool:
        """Note an absence, and say whether it is to be believed at once, as one that is not new.

        `was_there` tells what the API said of the character before this run, None if it was never asked.
        """
        if was_there is False and (self._has_found_anybody or self._has_found_any_now):
            return True
        if was_there:
            self._lost.add(claim)
            self._in_a_row.add(claim.character)
        self.gone[claim] = answer
        return False

    def settle(self) -> list[Absence]:
        """Give all new absences, and forget them.

        Of a small roster an outage may lose everybody. So it may from the first day on, when nobody was ever found.
        """
        lost = len({claim.character for claim in self._lost})
        has_lost_many = lost >= DOUBTED and lost > DOUBTED_SHARE * self._asked
        settled = []
        for claim, answer in self.gone.items():
            if claim in self._lost:
                doubt = "knew it the last time" if has_lost_many or not self._has_found_any_now else None
            else:
                doubt = "has found nobody" if not (self._has_found_anybody or self._has_found_any_now) else None
            settled.append(Absence(claim, answer, doubt))
        self.gone.clear()
        return settled
