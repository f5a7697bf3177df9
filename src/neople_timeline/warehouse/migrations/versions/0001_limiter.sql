-- The shared limiter: everybody on an API key borrows permits here (neople/limiter.py).

CREATE TABLE timeline.rate_budget (
  key_hash text PRIMARY KEY,
  paused_until timestamptz,
  slowed_at timestamptz,
  slowed_to double precision NOT NULL DEFAULT 1,
  fastest_seconds double precision
);

CREATE FUNCTION timeline.share_left(budget timeline.rate_budget) RETURNS double precision LANGUAGE sql AS $$
  SELECT least(1, budget.slowed_to + coalesce(extract(epoch FROM clock_timestamp() - budget.slowed_at), 0) / 120)
$$;

-- Hands the fastest answer that anybody on a key ever had in and out: how much of a permit's rest may be saved.
CREATE FUNCTION timeline.know_fastest(my_key text, my_fastest double precision) RETURNS double precision
LANGUAGE sql AS $$
  UPDATE timeline.rate_budget SET fastest_seconds = my_fastest
    WHERE key_hash = my_key AND my_fastest < coalesce(fastest_seconds, 'infinity');
  SELECT fastest_seconds FROM timeline.rate_budget WHERE key_hash = my_key
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
  lapsed_at timestamptz,
  PRIMARY KEY (key_hash, holder)
);

-- Lends permits to one process and returns how many it may use. The sum over all processes never exceeds the rate: a
-- process gets its share only as far as the others have let go of theirs, and keeps counted what it still uses.
-- Each kind of work has a weight, which its processes share; what one does not want goes to the others, so nobody
-- starves and nothing lies idle.
--
-- A lease that has run out counts for two seconds more, from when that was first seen: a clock that leaps ahead ends
-- all leases at once, and their processes, who are alive, renew them within that time.
--
-- A lease that changes in nothing is written once a second, and lasts as much longer: each write leaves an old row
-- behind, which nobody can clear away while a backup runs.
CREATE FUNCTION timeline.lend_permits(
  my_key text, me text, my_rate integer, my_weight integer, my_wanted integer, my_in_use integer, lease interval,
  OUT granted integer, OUT paused_seconds double precision
) LANGUAGE plpgsql AS $$
DECLARE
  moment timestamptz;
  budget timeline.rate_budget;
  before timeline.rate_lease;
  other timeline.rate_lease;
  capacity integer;
  held_by_others integer;
  rest integer;
  my_share double precision;
  shares double precision;
  one record;
BEGIN
  INSERT INTO timeline.rate_budget (key_hash) VALUES (my_key) ON CONFLICT DO NOTHING;
  SELECT * INTO budget FROM timeline.rate_budget WHERE key_hash = my_key FOR UPDATE;
  moment := clock_timestamp();
  DELETE FROM timeline.rate_lease WHERE key_hash = my_key AND lapsed_at < moment - interval '2 seconds';
  UPDATE timeline.rate_lease SET lapsed_at = moment
    WHERE key_hash = my_key AND holder <> me AND expires_at < moment AND lapsed_at IS NULL;

  SELECT least(my_rate, min(rate)), coalesce(sum(permits), 0),
      my_weight::float / (1 + count(*) FILTER (WHERE weight = my_weight AND wanted > 0))
    INTO capacity, held_by_others, my_share FROM timeline.rate_lease WHERE key_hash = my_key AND holder <> me;
  capacity := greatest(1, floor(capacity * timeline.share_left(budget)));

  rest := capacity;
  SELECT sum(DISTINCT weight) INTO shares FROM (
    SELECT weight FROM timeline.rate_lease WHERE key_hash = my_key AND holder <> me AND wanted > 0
    UNION ALL SELECT my_weight) AS kinds;
  FOR one IN
    SELECT * FROM (
      SELECT holder, wanted, weight::float / (count(*) OVER (PARTITION BY weight) + (weight = my_weight)::integer) AS share
      FROM timeline.rate_lease WHERE key_hash = my_key AND holder <> me AND wanted > 0) AS others
    WHERE (wanted / share, holder) < (my_wanted / my_share, me)
    ORDER BY wanted / share, holder
  LOOP
    granted := least(one.wanted, ceil(rest * one.share / shares)::integer);
    rest := rest - granted;
    shares := shares - one.share;
  END LOOP;
  granted := least(my_wanted, ceil(rest * my_share / shares)::integer);
  granted := greatest(0, least(granted, capacity - held_by_others));

  SELECT * INTO before FROM timeline.rate_lease WHERE key_hash = my_key AND holder = me;
  other := (my_key, me, my_rate, my_weight, my_wanted, greatest(granted, my_in_use), before.expires_at, NULL);
  IF before.expires_at IS NULL OR before IS DISTINCT FROM other OR before.expires_at < moment + lease THEN
    INSERT INTO timeline.rate_lease AS mine
      VALUES (my_key, me, my_rate, my_weight, my_wanted, other.permits, moment + lease + interval '1 second')
      ON CONFLICT (key_hash, holder) DO UPDATE SET rate = excluded.rate, weight = excluded.weight,
        wanted = excluded.wanted, permits = excluded.permits, expires_at = excluded.expires_at, lapsed_at = NULL;
  END IF;
  paused_seconds := greatest(0, coalesce(extract(epoch FROM budget.paused_until - moment), 0));
END $$;
