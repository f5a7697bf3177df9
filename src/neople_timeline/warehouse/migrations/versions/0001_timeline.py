"""The roster, the ledger, the data and the shared limiter."""

from alembic import op

from neople_timeline.tables import CHARACTERS, EVENTS, Table

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LEDGER = """
CREATE TABLE timeline.setting (
  name text PRIMARY KEY,
  value text NOT NULL
);

CREATE TABLE timeline.roster (
  server_id text NOT NULL,
  character_id text NOT NULL,
  name text,
  added_at timestamptz NOT NULL DEFAULT now(),
  slot smallint NOT NULL GENERATED ALWAYS AS
    (('x' || left(md5(server_id || '/' || character_id), 1))::bit(4)::integer) STORED,
  PRIMARY KEY (server_id, character_id)
);
COMMENT ON TABLE timeline.roster IS 'Whom to collect. Fill it by SQL or with `neople-timeline roster`.';
COMMENT ON COLUMN timeline.roster.slot IS 'Sixteenth of the roster; a day''s bucket is slot modulo its number of buckets.';

CREATE TABLE timeline.roster_reject (
  line_number integer PRIMARY KEY,
  line text NOT NULL,
  reason text NOT NULL
);
COMMENT ON TABLE timeline.roster_reject IS 'Lines of the last imported roster file that could not be used.';

CREATE TABLE timeline.day (
  day date PRIMARY KEY,
  buckets smallint NOT NULL CHECK (buckets IN (1, 2, 4, 8, 16)),
  planned_at timestamptz NOT NULL DEFAULT now(),
  verified_at timestamptz
);
COMMENT ON COLUMN timeline.day.verified_at IS 'When the last verification of the day succeeded; null again as soon as the day changes.';

CREATE TABLE timeline.worker (
  worker_id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  kind text NOT NULL,
  first_day date NOT NULL,
  last_day date NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  finished_at timestamptz,
  allowed_rate integer NOT NULL,
  requests bigint NOT NULL DEFAULT 0,
  retried bigint NOT NULL DEFAULT 0,
  repeated bigint NOT NULL DEFAULT 0,
  throttled bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE timeline.worker IS 'Collectors and what they spent. The id is the fencing generation of their claims.';

CREATE TABLE timeline.collection (
  day date NOT NULL,
  server_id text NOT NULL,
  character_id text NOT NULL,
  bucket smallint NOT NULL,
  state text NOT NULL DEFAULT 'planned'
    CHECK (state IN ('planned', 'landed', 'loaded', 'verified', 'missing', 'owed')),
  reason text,
  attempts integer NOT NULL DEFAULT 0,
  next_try_at timestamptz,
  worker_id bigint,
  raw_key text,
  events integer,
  digest bigint,
  landed_at timestamptz,
  PRIMARY KEY (day, server_id, character_id)
) PARTITION BY RANGE (day);
CREATE INDEX collection_open ON timeline.collection (day, bucket, server_id, character_id)
  WHERE state IN ('planned', 'owed');
CREATE INDEX collection_character ON timeline.collection (server_id, character_id, day);
COMMENT ON TABLE timeline.collection IS 'The ledger: one row per character-day, and where its raw answer is.';

CREATE TABLE timeline.part (
  day date NOT NULL REFERENCES timeline.day,
  bucket smallint NOT NULL,
  version integer NOT NULL,
  sources text NOT NULL,
  events bigint NOT NULL,
  characters bigint NOT NULL,
  events_etag text NOT NULL,
  characters_etag text NOT NULL,
  refined_at timestamptz NOT NULL DEFAULT now(),
  loaded_version integer,
  PRIMARY KEY (day, bucket)
);
COMMENT ON TABLE timeline.part IS 'What the Parquet objects of a day and bucket were made from, and which version PostgreSQL holds.';

CREATE TABLE timeline.dead_letter (
  dead_letter_id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  first_day date NOT NULL,
  last_day date NOT NULL,
  server_id text NOT NULL,
  character_id text NOT NULL,
  object_key text NOT NULL,
  reason text NOT NULL,
  written_at timestamptz NOT NULL DEFAULT now(),
  replayed_at timestamptz
);
COMMENT ON TABLE timeline.dead_letter IS 'Answers that could not be read, kept byte for byte in the lake.';

CREATE TABLE timeline.mail (
  edition text NOT NULL,
  day date NOT NULL,
  message_id text NOT NULL,
  claimed_at timestamptz NOT NULL DEFAULT now(),
  sent_at timestamptz,
  PRIMARY KEY (edition, day)
);
COMMENT ON TABLE timeline.mail IS 'Mails sent, so that a repeated run sends none twice.';
"""

LIMITER = """
CREATE TABLE timeline.rate_budget (
  key_hash text PRIMARY KEY,
  rate integer NOT NULL,
  paused_until timestamptz,
  slowed_at timestamptz
);
COMMENT ON TABLE timeline.rate_budget IS 'One row per API key (by hash): its limit, and what the API asked all workers to wait.';

CREATE TABLE timeline.rate_lease (
  key_hash text NOT NULL REFERENCES timeline.rate_budget,
  holder text NOT NULL,
  priority smallint NOT NULL,
  wanted integer NOT NULL,
  permits integer NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (key_hash, holder)
);
COMMENT ON TABLE timeline.rate_lease IS 'Permits lent to the processes on a key; a permit is good for one request per second.';
"""

DATA_KEYS = {
    EVENTS: "day, server_id, character_id, occurred_at, ordinal",
    CHARACTERS: "day, server_id, character_id",
}


def upgrade() -> None:
    """Create the schema; the data tables take their columns from tables.py."""
    execute = op.get_bind().exec_driver_sql
    execute(LEDGER)
    execute(LIMITER)
    for table, key in DATA_KEYS.items():
        execute(_create_table(table, key))


def downgrade() -> None:
    """Drop everything that upgrade made."""
    for name in (
        "character", "event", "rate_lease", "rate_budget", "mail", "dead_letter", "part", "collection", "worker",
        "day", "roster_reject", "roster", "setting",
    ):  # fmt: skip
        op.execute(f"DROP TABLE timeline.{name}")


def _create_table(table: Table, key: str) -> str:
    keys = key.split(", ")
    columns = ", ".join(f"{c.name} {c.sql}{' NOT NULL' if c.name in keys else ''}" for c in table.columns)
    comments = "".join(
        f"COMMENT ON COLUMN timeline.{table.warehouse_name}.{c.name} IS {_quote(c.meaning)};" for c in table.columns
    )
    return (
        f"CREATE TABLE timeline.{table.warehouse_name} ({columns}, PRIMARY KEY ({key})) PARTITION BY RANGE (day);"
        f"COMMENT ON TABLE timeline.{table.warehouse_name} IS {_quote(table.meaning)};{comments}"
    )


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
