"""Who lives in the world: every character is derived from its index, so that a million of them cost no memory."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from neople_timeline.sandbox.catalogue import FIRST_DAY, WORDS
from neople_timeline.sandbox.dice import hex_id, roll

ROUNDS = 4
ACCOUNTS = ((1, 2, 3, 6), (5, 4, 3), (1, 1, 4, 6), (12,), (2, 2, 8), (1, 3, 3, 5))
"""How twelve neighbouring indices are shared out to adventures."""
SYLLABLES: str = WORDS["syllables"]
SERVER_BY_DRAW: tuple[str, ...] = tuple(server for server, _, weight in WORDS["servers"] for _ in range(weight))


@dataclass(frozen=True, slots=True)
class Character:
    """A character as it is now.

    `habit` (0 to 2) shapes its hours, `vigour` its events a day in tenths; `account` is what its adventure shares.
    """

    index: int
    character_id: str
    server_id: str
    name: str
    level: int
    job_id: str
    job_name: str
    grow_id: str
    grow_name: str
    fame: int | None
    account: str
    adventure: str | None
    guild_id: str | None
    guild_name: str | None
    habit: int
    vigour: int
    first_day: int


class Population:
    """The characters 0 … count-1 of a seed; a larger count keeps the smaller one's characters as they are."""

    def __init__(self, seed: int, count: int, missing: int = 0) -> None:
        """Of the count, `missing` are spread evenly over the indices and answer DNF001."""
        self.seed = seed
        self.count = count
        self.missing = frozenset(place * count // missing for place in range(missing))
        self._keys = [f"{seed}|{turn}".encode() for turn in range(ROUNDS)]
        self.character = lru_cache(maxsize=20_000)(self._build)

    def id_of(self, index: int) -> str:
        """Make the id of an index: a Feistel permutation of 128 bits, so that ids look random and lead back."""
        left, right = 0, index
        for key in self._keys:
            left, right = right, left ^ self._mix(key, right)
        return f"{left:016x}{right:016x}"

    def index_of(self, character_id: str) -> int | None:
        """Find the index of an id, None if no character of this world has it."""
        if len(character_id) != 32 or not set(character_id) <= set("0123456789abcdef"):
            return None
        left, right = int(character_id[:16], 16), int(character_id[16:], 16)
        for key in reversed(self._keys):
            left, right = right ^ self._mix(key, left), left
        return right if left == 0 and right < self.count else None

    def find(self, server_id: str, character_id: str) -> Character | None:
        """Find the character if it lives on that server and is not one of the missing."""
        index = self.index_of(character_id)
        if index is None or index in self.missing:
            return None
        character = self.character(index)
        return character if character.server_id == server_id else None

    def server_of(self, index: int) -> str:
        """All characters of an adventure live on one server."""
        return self._server(self._account(index))

    def name_of(self, index: int) -> str:
        """Name a character, uniquely but for a few hostile names and a few that another server has too."""
        if index % 16 == 5:  # so that 500 characters bear every hostile name there is
            return str(WORDS["hostile"][index // 16 % len(WORDS["hostile"])])
        namesake = index - 24
        if (
            roll(self.seed, "name", index) % 20 == 2
            and namesake >= 0
            and self.server_of(namesake) != self.server_of(index)
        ):
            return self.spell(namesake)
        return self.spell(index)

    def fame_of(self, index: int) -> int | None:
        """Fame, None for those below level 110."""
        if self._level(index) < 110:
            return None
        return 20_000 + roll(self.seed, "fame", index) % 265**2

    @staticmethod
    def _mix(key: bytes, half: int) -> int:
        return int.from_bytes(hashlib.blake2b(half.to_bytes(8), key=key, digest_size=8).digest())

    def _account(self, index: int) -> str:
        block, place = divmod(index, 12)
        sizes = ACCOUNTS[roll(self.seed, "accounts", block) % len(ACCOUNTS)]
        number = sum(place >= end for end in accumulate(sizes))
        return f"{block}.{number}"

    def _server(self, account: str) -> str:
        return SERVER_BY_DRAW[roll(self.seed, "server", account) % len(SERVER_BY_DRAW)]

    def spell(self, index: int) -> str:
        """Four syllables, different for every index below 171 to the power of 4."""
        base = len(SYLLABLES)
        number = (index * 387_420_489 + self.seed * 65_537) % base**4
        return "".join(SYLLABLES[number // base**place % base] for place in range(4))

    def _level(self, index: int) -> int:
        return 115 if (chance := roll(self.seed, "level", index) % 100) < 80 else 10 + chance

    def _build(self, index: int) -> Character:
        account, chance = self._account(index), roll(self.seed, "character", index)
        server_id = self._server(account)
        guild = f"{server_id}|{roll(self.seed, 'guild', index) % 300}" if chance % 10 < 7 else None
        job_name, grows = WORDS["jobs"][chance // 10 % len(WORDS["jobs"])]
        grow = chance // 1000 % len(grows)
        first_day = FIRST_DAY + chance // 100_000 % 3390 if chance // 10_000 % 10 < 2 else FIRST_DAY
        return Character(
            index=index,
            character_id=self.id_of(index),
            server_id=server_id,
            name=self.name_of(index),
            level=self._level(index),
            job_id=hex_id("job", job_name),
            job_name=job_name,
            grow_id=hex_id("grow", grow),  # unique only together with the job, as in the real API
            grow_name=f"眞 {grows[grow]}",
            fame=self.fame_of(index),
            account=account,
            adventure=self._adventure(account),
            guild_id=hex_id("guild", self.seed, guild) if guild else None,
            guild_name=_guild_name(roll("guild name", guild)) if guild else None,
            habit=chance // 10**9 % 3,
            vigour=self.vigour_of(index),
            first_day=first_day,
        )

    def vigour_of(self, index: int) -> int:
        """How busy a character is, in tenths; 0 is dormant for ever."""
        return (0, *[6] * 3, *[8] * 3, *[10] * 3, *[16] * 3)[roll(self.seed, "vigour", index) % 13]

    def _adventure(self, account: str) -> str | None:
        chance = roll(self.seed, "adventure", account)
        if chance % 20 == 0:
            return None
        if chance % 20 == 1:
            return str(WORDS["hostile"][chance // 20 % len(WORDS["hostile"])])
        tails = WORDS["adventure_tails"]
        return self.spell(chance % 10**9)[:2] + str(tails[chance // 10**9 % len(tails)])


def _guild_name(chance: int) -> str:
    if chance % 25 == 0:
        return str(WORDS["hostile"][chance // 25 % len(WORDS["hostile"])])
    heads, tails = WORDS["guild_heads"], WORDS["guild_tails"]
    return f"{heads[chance // 25 % len(heads)]}{tails[chance // 1000 % len(tails)]}"
