-- The last phase of each raid that has phases. Recorded answers prove it for 무형의 시로코. For other raids it is the
-- phase that, in the runs of the same period (a character's rows of one day and party), no other phase comes after more
-- often than before.
WITH
phases AS (
  SELECT
    days.period,
    raid_rows.content_name,
    COALESCE(raid_rows.mode_name, '') AS mode_name,
    raid_rows.phase_name,
    raid_rows.day,
    raid_rows.server_id,
    raid_rows.character_id,
    COALESCE(raid_rows.party_name, '') AS party_name,
    MIN(raid_rows.occurred_at) AS first_at
  FROM raid_rows
  JOIN days ON days.day = raid_rows.day
  WHERE raid_rows.phase_name IS NOT NULL
  GROUP BY ALL
),
votes AS (
  SELECT
    phases.period,
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
)
SELECT period, content_name, mode_name, phase_name
FROM votes
GROUP BY period, content_name, mode_name, phase_name
HAVING CASE content_name WHEN '무형의 시로코' THEN phase_name = '토벌' ELSE MAX(others_after) <= 0 END
