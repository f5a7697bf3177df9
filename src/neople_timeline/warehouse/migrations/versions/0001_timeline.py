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
COMMENT ON COLUMN timeline.roster.slot IS 'Sixteenth of the roster; the bucket on a day is slot modulo buckets.';

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
COMMENT ON COLUMN timeline.day.verified_at IS 'When the day was last proven; null as soon as it changes.';

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
COMMENT ON TABLE timeline.part IS
  'What the Parquet objects of a day and bucket were made from, and which version PostgreSQL holds.';

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
  paused_until timestamptz,
  slowed_at timestamptz,
  slowed_to double precision NOT NULL DEFAULT 1
);
COMMENT ON TABLE timeline.rate_budget IS 'One row per API key (by hash): what the API asked everybody on it to wait.';
COMMENT ON COLUMN timeline.rate_budget.slowed_to IS
  'Share of the rate that was left when the API last had too many requests; it grows back in two minutes.';

CREATE FUNCTION timeline.share_left(budget timeline.rate_budget) RETURNS double precision LANGUAGE sql AS $$
  SELECT least(1, budget.slowed_to + coalesce(extract(epoch FROM clock_timestamp() - budget.slowed_at), 0) / 120)
$$;

-- Makes everybody on a key wait, and halves the rate, but once for all the refusals of one second.
CREATE FUNCTION timeline.slow_down(my_key text, seconds double precision) RETURNS void LANGUAGE sql AS $$
  UPDATE timeline.rate_budget AS budget SET
    paused_until = greatest(paused_until, clock_timestamp() + seconds * interval '1 second'),
    slowed_to = greatest(0.005, timeline.share_left(budget) / 2),
    slowed_at = clock_timestamp()
  WHERE key_hash = my_key AND (slowed_at IS NULL OR slowed_at < clock_timestamp() - interval '1 second'
    OR paused_until < clock_timestamp() + (seconds - 1) * interval '1 second')
$$;

CREATE TABLE timeline.rate_lease (
  key_hash text NOT NULL REFERENCES timeline.rate_budget,
  holder text NOT NULL,
  rate integer NOT NULL,
  weight integer NOT NULL,
  wanted integer NOT NULL,
  permits integer NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (key_hash, holder)
);
COMMENT ON TABLE timeline.rate_lease IS
  'Permits lent to the processes on a key. A permit is good for one request a second.';

-- Lends permits to one process and returns how many it may use. The sum over all processes never exceeds the rate: a
-- process gets its share only as far as the others have let go of theirs, and keeps counted what it still uses.
-- Shares are weighted; what one does not want goes to the others, so nobody starves and nothing lies idle.
CREATE FUNCTION timeline.lend_permits(
  my_key text, me text, my_rate integer, my_weight integer, my_wanted integer, my_in_use integer, lease interval,
  OUT granted integer, OUT paused_seconds double precision
) LANGUAGE plpgsql AS $$
DECLARE
  moment timestamptz;
  budget timeline.rate_budget;
  other timeline.rate_lease;
  capacity integer;
  held_by_others integer;
  rest integer;
  weights integer;
BEGIN
  INSERT INTO timeline.rate_budget (key_hash) VALUES (my_key) ON CONFLICT DO NOTHING;
  SELECT * INTO budget FROM timeline.rate_budget WHERE key_hash = my_key FOR UPDATE;
  moment := clock_timestamp();
  DELETE FROM timeline.rate_lease WHERE key_hash = my_key AND expires_at < moment - interval '2 seconds';
  INSERT INTO timeline.rate_lease AS mine VALUES (my_key, me, my_rate, my_weight, my_wanted, 0, moment + lease)
    ON CONFLICT (key_hash, holder) DO UPDATE
    SET rate = my_rate, weight = my_weight, wanted = my_wanted, expires_at = moment + lease;

  SELECT min(rate), sum(weight), coalesce(sum(permits) FILTER (WHERE holder <> me), 0)
    INTO capacity, weights, held_by_others FROM timeline.rate_lease WHERE key_hash = my_key;
  capacity := greatest(1, floor(capacity * timeline.share_left(budget)));

  rest := capacity;
  FOR other IN SELECT * FROM timeline.rate_lease WHERE key_hash = my_key
    ORDER BY wanted::float / weight, holder
  LOOP
    granted := least(other.wanted, ceil(rest::float * other.weight / weights)::integer);
    EXIT WHEN other.holder = me;
    rest := rest - granted;
    weights := weights - other.weight;
  END LOOP;
  granted := greatest(0, least(granted, capacity - held_by_others));
  UPDATE timeline.rate_lease SET permits = greatest(granted, my_in_use) WHERE key_hash = my_key AND holder = me;
  paused_seconds := greatest(0, coalesce(extract(epoch FROM budget.paused_until - moment), 0));
END $$;
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
    op.execute("DROP FUNCTION timeline.lend_permits, timeline.slow_down, timeline.share_left")
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
