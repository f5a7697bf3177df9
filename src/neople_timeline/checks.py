"""Do the ledger, the raw answers, Parquet and PostgreSQL agree? Pure: counts and digests in, findings out.

Raw answers and Parquet hold the payload byte for byte, so their digests are the ledger's. PostgreSQL's jsonb keeps
values but not their spelling, so there a digest of the canonical form is compared, of Parquet and of PostgreSQL alike,
and with it all that was derived from the payload.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal
from typing import Final, NamedTuple

import msgspec
import pyarrow as pa

from neople_timeline.digest import NO_DATA, fold_digest, hash_event
from neople_timeline.models import CharacterKey, number_of
from neople_timeline.tables import EVENTS, INSTANT, Column


class EventText(NamedTuple):
    """The columns that make an event what it is; `data` is JSON text, None where the API sent none."""

    server_id: str
    character_id: str
    occurred_minute: str
    code: int
    name: str
    data: str | None
    derived: str = ""
    """The other columns in one text, as `DERIVED_SQL` and `spell_derived` write it; empty where there are none yet."""


DERIVED: Final = tuple(column for column in EVENTS.columns if column.name not in {"day", *EventText._fields})
"""Columns that the project made: time, number within the minute, and fields of the payload."""

_NOTHING: Final = "\x1e"
_BETWEEN: Final = "\x1f"


def spell_derived(events: pa.RecordBatch) -> pa.StringArray:
    """Write each event's derived columns, of the table `events` in the lake, in one text."""
    import pyarrow.compute as pc  # noqa: PLC0415 - takes as long to load as pyarrow itself, and only proofs need it

    texts = []
    for column in DERIVED:
        values = events.column(column.name)
        if column.arrow == INSTANT:
            values = values.cast(pa.int64())
        texts.append(values.cast(pa.string()))
    # The stubs know no separator.
    return pc.binary_join_element_wise(*texts, _BETWEEN, null_handling="replace", null_replacement=_NOTHING)  # type: ignore[call-overload,no-any-return]


def _spell_in_sql(column: Column) -> str:
    value = f"(1000000 * extract(epoch FROM {column.name}))::bigint" if column.arrow == INSTANT else column.name
    return f"coalesce({value}::text, U&'\\001E')"


DERIVED_SQL: Final = f"concat_ws(U&'\\001F', {', '.join(map(_spell_in_sql, DERIVED))})"
"""Does with the columns of `timeline.event` what `spell_derived` does."""


class Tally(NamedTuple):
    """How many events there are, and the digest of their multiset."""

    events: int
    digest: int


@dataclass(frozen=True)
class Disagreement:
    """A character-day on which two holders of the data differ, or a day whose data are not where they should be."""

    day: date
    character: CharacterKey | None
    where: str
    finding: str
    is_final: bool = False
    """Whether no run that is still at work could be the reason."""
    is_pending: bool = False
    """Whether it is only that something which landed is not published yet: nothing differs from anything."""
    raw_key: str | None = None
    """The raw object that does not hold what was sent, where it is that."""

    def __str__(self) -> str:
        """Say it in one line."""
        whom = "/".join(self.character) if self.character else "all characters"
        return f"{self.day} {whom}: {self.where} {self.finding}"


Tallies = dict[CharacterKey, Tally]


def tally_events(events: Iterable[EventText]) -> tuple[Tallies, Tallies]:
    """Count and digest events per character: with the payload as it is spelt, and in its canonical form.

    The canonical form includes what was derived from the payload.
    """
    counts: Counter[CharacterKey] = Counter()
    as_spelt: Counter[CharacterKey] = Counter()
    canonical: Counter[CharacterKey] = Counter()
    for event in events:
        character = CharacterKey(event.server_id, event.character_id)
        data = NO_DATA if event.data is None else event.data.encode()
        equal_data = canonicalize(data) + b"\x1f" + event.derived.encode()
        counts[character] += 1
        as_spelt[character] += hash_event(event.code, event.name, event.occurred_minute, data)
        canonical[character] += hash_event(event.code, event.name, event.occurred_minute, equal_data)
    return _fold(counts, as_spelt), _fold(counts, canonical)


def _fold(counts: Mapping[CharacterKey, int], sums: Mapping[CharacterKey, int]) -> Tallies:
    return {character: Tally(count, fold_digest(sums[character])) for character, count in counts.items()}


def compare_tallies(
    day: date, where: str, expected: Mapping[CharacterKey, Tally], found: Tallies
) -> list[Disagreement]:
    """Name every character for which a holder has not what is expected; no events and no entry are the same."""
    nothing = Tally(0, 0)
    differing = [
        (character, expected.get(character, nothing), found.get(character, nothing))
        for character in sorted(expected.keys() | found.keys())
        if expected.get(character, nothing) != found.get(character, nothing)
    ]
    return [Disagreement(day, character, where, _say(wanted, has)) for character, wanted, has in differing]


def compare_characters(
    day: date, where: str, expected: Mapping[CharacterKey, object], found: Mapping[CharacterKey, object]
) -> list[Disagreement]:
    """Name every character whose own row is lacking, is one too many, or says something else than expected."""
    findings = {
        character: "has no row of the character" if character not in found else "has a different row of the character"
        for character in sorted(expected.keys() | found.keys())
        if expected.get(character) != found.get(character)
    }
    return [Disagreement(day, character, where, finding) for character, finding in findings.items()]


def canonicalize(data: bytes) -> bytes:
    """Spell a JSON value in the one way in which equal values are spelt equally: sorted keys, exact plain numbers."""
    return _encoder.encode(_decoder.decode(data))


def _say(wanted: Tally, has: Tally) -> str:
    if wanted.events != has.events:
        return f"has {number_of(has.events, 'event')} instead of {wanted.events}"
    return f"has {number_of(has.events, 'event')} with other contents"


def _read_number(text: str) -> int | Decimal:
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() else number.normalize(_EXACT)


_EXACT = Context(prec=10_000)
_decoder = msgspec.json.Decoder(float_hook=_read_number)
_encoder = msgspec.json.Encoder(order="sorted", decimal_format="number")
