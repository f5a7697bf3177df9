"""What the warehouse keeps for the project's own use, in words for people; the migrations make the tables.

A line without indent is a table, an indented one a column: name, type, meaning.
"""

from dataclasses import dataclass
from typing import Final

TEXT: Final = """
roster: Whom to collect. Fill it by SQL or with `neople-timeline roster`.
  server_id text: id of the server
  character_id text: id of the character
  name text: its name when it was put on the roster; only for people to read
  added_at timestamptz: when it was put on the roster
  slot smallint: sixteenth of the roster, from a hash; the bucket on a day is slot modulo buckets
roster_reject: Lines of the last imported roster file that could not be used.
  line_number integer: line in the file, from 1
  line text: the line
  reason text: what is wrong with it
day: Days that were ever planned.
  day date: the game day
  buckets smallint: parts of the day (2, 4, 8 or 16), each an object per table in the lake
  planned_at timestamptz: when it was first planned
  verified_at timestamptz: when the day was last proven; null as soon as it changes
  changed_in bigint: number, in the sequence of published_mart.generation, at which the day last changed
  proven_in bigint: number in that sequence at which it was proven after it had not been, or disproved
  reported_in bigint: number in that sequence at which the day was last read for its page; 0 while page or mail is owed
collection: The ledger: one row per character-day, and where its raw answer is.
  day date: the game day
  server_id text: id of the server
  character_id text: id of the character
  bucket smallint: part of the day that it belongs to
  state text: planned, landed, loaded, verified, missing (no such character) or owed (to be tried again)
  reason text: owed and missing: why
  attempts integer: how often a collector claimed it since it was planned (or with `--again`), whatever came of that
  next_try_at timestamptz: owed: when it is tried again
  worker_id bigint: the collector that claims it
  raw_key text: object of the lake that holds its raw answer
  events integer: events in that answer
  digest bigint: digest of the multiset of these events, see architecture.md
  claimed_at timestamptz: when it was last claimed; the API is asked for it after that
  asked_at timestamptz: when the answer that is recorded here was claimed; what happened later need not be in it
  doubted_at timestamptz: owed because the API does not know the character, and may be wrong: since when
part: What the Parquet objects of a day and bucket were made from, and which version PostgreSQL holds.
  day date: the game day
  bucket smallint: part of the day
  version integer: how often it was refined
  sources text: digest of the ledger rows that it was refined from
  events bigint: events in it
  characters bigint: characters in it
  events_hash text: hash of the bytes of its object of events
  characters_hash text: hash of the bytes of its object of characters
  events_etag text: entity tag of its object of events
  characters_etag text: entity tag of its object of characters
  refined_at timestamptz: when it was last refined
  loaded_version integer: version that PostgreSQL holds; null before the first load
worker: Collectors and what they spent. The id is the fencing generation of their claims.
  worker_id bigint: number of the collector; it only grows
  kind text: daily, retry or backfill
  first_day date: first day that it collects
  last_day date: last day that it collects
  started_at timestamptz: when it started
  seen_at timestamptz: when it last told what it had spent
  expires_at timestamptz: when its claims are free for others unless it renews them
  finished_at timestamptz: when it ended of its own accord
  allowed_rate integer: limit of the key, in requests a second
  requests bigint: requests that it sent
  retried bigint: of these, failed, or sent again because the API knew no such character
  repeated bigint: of these, sent again to fetch a chain of pages anew
  throttled bigint: of these, refused as too many
  unlanded bigint: of these, for pages that were not in the ledger when it last told; lost if it has ended since
backfill: Backfills that were planned: for half a day from then on no daily run takes their days.
  first_day date: first day that was planned
  last_day date: last day that was planned
  planned_at timestamptz: when
dead_letter: Answers that could not be read, kept byte for byte in the lake.
  dead_letter_id bigint: number of the answer
  first_day date: first day that was asked for
  last_day date: last day that was asked for
  server_id text: id of the server
  character_id text: id of the character
  object_key text: object of the lake that holds the answer
  reason text: what could not be read
  written_at timestamptz: when it came
mail: Mails sent, so that a repeated run sends none twice.
  edition text: which mail of the day: daily or weekly (-incomplete or -complete behind it), late, or a failed run's
  day date: the game day
  message_id text: the mail's Message-ID, the same for every try
  claimed_at timestamptz: when the sending began
  sent_at timestamptz: when the server had accepted it
published_mart: Days, weeks and months that are published. An older computation never replaces a newer one.
  mart text: name of the mart
  period date: the day, or the first day of the week or month
  generation bigint: number of the computation, taken before it read its first row
  rows bigint: rows of the mart in that period
  published_at timestamptz: when it was published
rate_budget: One row per API key (by hash): what the API asked everybody on it to wait.
  key_hash text: first 16 hex digits of the key's SHA-256
  paused_until timestamptz: nobody sends before
  slowed_at timestamptz: when the API last had too many requests
  slowed_to double precision: share of the rate (0 to 1) that was left then; it grows back in two minutes
  fastest_seconds double precision: the fastest answer so far that many others bore out; none before
rate_lease: Permits lent to the processes on a key. A permit is good for one request a second.
  key_hash text: the key, as in rate_budget
  holder text: the process
  rate integer: limit that the process knows, in requests a second
  weight integer: its share where there is not enough for all: daily 16, retry 4, backfill 1
  wanted integer: permits that it could use
  permits integer: permits that it has
  expires_at timestamptz: when they fall back unless it renews them
  lapsed_at timestamptz: when another process first saw that it did not; two seconds later they are free
setting: Facts about the whole warehouse.
  name text: lake_id or followed_to
  value text: the lake that fills this warehouse, as in its lake.json; the newest day that the schedule came to
"""


@dataclass(frozen=True)
class OwnTable:
    """A table, and its columns as (name, type, meaning)."""

    name: str
    meaning: str
    columns: tuple[tuple[str, str, str], ...]


def read_own_tables(text: str = TEXT) -> tuple[OwnTable, ...]:
    """Read the tables from their description."""
    tables: list[OwnTable] = []
    for line in text.strip().splitlines():
        head, _, meaning = line.partition(": ")
        if line.startswith(" "):
            name, _, kind = head.strip().partition(" ")
            last = tables.pop()
            tables.append(OwnTable(last.name, last.meaning, (*last.columns, (name, kind, meaning))))
        else:
            tables.append(OwnTable(head, meaning, ()))
    return tuple(tables)


OWN_TABLES: Final = read_own_tables()
