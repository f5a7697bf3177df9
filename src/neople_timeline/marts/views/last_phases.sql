-- The last phase of each raid that has phases. Recorded answers prove it for 무형의 시로코. That of other raids is learnt
-- from runs (a character's rows of one day and party) of the period and the week before: the phase that no other comes
-- after more often than before. So until a raid's end was seen, the last phase that was seen passes for it.
WITH
spans AS (
  SELECT period, period - INTERVAL 7 DAY AS first_day, MAX(day) AS last_day FROM days GROUP BY period
),
phases AS (
  SELECT
    content_name,
    COALESCE(mode_name, '') AS mode_name,
    phase_name,
    day,
    server_id,
    character_id,
    COALESCE(party_name, '') AS party_name,
    MIN(occurred_at) AS first_at
  FROM raid_rows
  WHERE
    (phase_name = '토벌' OR content_name <> '무형의 시로코')
    AND phase_name IS NOT NULL
    AND day >= (SELECT MIN(first_day) FROM spans)
    AND day <= (SELECT MAX(last_day) FROM spans)
  GROUP BY ALL
),
votes AS (
  SELECT
    phases.day,
    phases.content_name,
    phases.mode_name,
    phases.phase_name,
    other.phase_name AS other_name,
    COUNT(*) FILTER (WHERE other.first_at > phases.first_at)
    - COUNT(*) FILTER (WHERE other.first_at < phases.first_at) AS others_after
  FROM phases
  LEFT JOIN phases AS other
    ON other.content_name = phases.content_name
    AND other.mode_name = phases.mode_name
    AND other.day = phases.day
    AND other.server_id = phases.server_id
    AND other.character_id = phases.character_id
    AND other.party_name = phases.party_name
    AND other.phase_name <> phases.phase_name
  GROUP BY ALL
),
counted AS (
  SELECT
    spans.period,
    votes.content_name,
    votes.mode_name,
    votes.phase_name,
    votes.other_name,
    SUM(votes.others_after) AS others_after
  FROM votes
  JOIN spans ON votes.day BETWEEN spans.first_day AND spans.last_day
  GROUP BY ALL
),
ranked AS (
  SELECT
    period,
    content_name,
    mode_name,
    phase_name,
    ROW_NUMBER()
      OVER (PARTITION BY period, content_name, mode_name ORDER BY MAX(others_after), phase_name DESC) AS place
  FROM counted
  GROUP BY period, content_name, mode_name, phase_name
)
SELECT period, content_name, mode_name, phase_name
FROM ranked
WHERE place = 1
