-- Attempts to reinforce (401), amplify (402), refine (403) and remodel (404) items, by the level aimed at. Attempts with a
-- ticket (it jumps levels) and safe attempts are counted apart, so that successes / attempts is the plain rate. An attempt
-- without a result counts as failed: the API leaves false out.
-- question: How often does amplification to 12 succeed without ticket and without safety?
-- keys: day, kind, target_level
-- day date: the game day
-- kind text: reinforce, amplify, refine or remodel
-- target_level integer: level aimed at, whether the attempt succeeded or not
-- attempts bigint: plain attempts
-- successes bigint: of these, successful
-- ticket_attempts bigint: attempts with a ticket, also one whose name could not be read (ticket_item_name is '', not null)
-- ticket_successes bigint: of these, successful
-- safe_attempts bigint: safe attempts without a ticket
-- safe_successes bigint: of these, successful
WITH attempted AS (
  SELECT
    events.day,
    codes.kind,
    events.after_level AS target_level,
    CASE WHEN events.ticket_item_name IS NOT NULL THEN 'ticket' WHEN events.is_safe THEN 'safe' ELSE 'plain' END AS way,
    COALESCE(events.is_success, FALSE) AS is_success
  FROM events
  JOIN codes ON codes.code = events.code
  WHERE codes.role = 'enhance'
)
SELECT
  day,
  kind,
  target_level,
  COUNT(*) FILTER (WHERE way = 'plain') AS attempts,
  COUNT(*) FILTER (WHERE way = 'plain' AND is_success) AS successes,
  COUNT(*) FILTER (WHERE way = 'ticket') AS ticket_attempts,
  COUNT(*) FILTER (WHERE way = 'ticket' AND is_success) AS ticket_successes,
  COUNT(*) FILTER (WHERE way = 'safe') AS safe_attempts,
  COUNT(*) FILTER (WHERE way = 'safe' AND is_success) AS safe_successes
FROM attempted
GROUP BY day, kind, target_level
