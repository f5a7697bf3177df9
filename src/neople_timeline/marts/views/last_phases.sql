-- The last phase of each raid that has phases. Recorded answers prove it for 무형의 시로코. For other raids it is the
-- phase that, in the runs of the same period (a character's rows of one day and party), no other phase comes after more
-- often than before.
WITH
phases AS (
  SELECT
    days.period,
    events.raid_name,
    COALESCE(events.raid_mode_name, '') AS mode_name,
    events.raid_phase_name AS phase_name,
    events.day,
    events.server_id,
    events.character_id,
    COALESCE(events.raid_party_name, '') AS party_name,
    MIN(events.occurred_minute) AS first_minute
  FROM events
  JOIN days ON days.day = events.day
  WHERE events.code IN (201, 210) AND events.raid_phase_name IS NOT NULL
  GROUP BY ALL
),
votes AS (
  SELECT
    phases.period,
    phases.raid_name,
    phases.mode_name,
    phases.phase_name,
    other.phase_name AS other_name,
    COUNT(*) FILTER (WHERE other.first_minute > phases.first_minute)
    - COUNT(*) FILTER (WHERE other.first_minute < phases.first_minute) AS others_after
  FROM phases
  LEFT JOIN phases AS other
    ON other.raid_name = phases.raid_name
    AND other.mode_name = phases.mode_name
    AND other.day = phases.day
    AND other.server_id = phases.server_id
    AND other.character_id = phases.character_id
    AND other.party_name = phases.party_name
    AND other.phase_name <> phases.phase_name
  GROUP BY ALL
)
SELECT period, raid_name, mode_name, phase_name
FROM votes
GROUP BY period, raid_name, mode_name, phase_name
HAVING CASE raid_name WHEN '무형의 시로코' THEN phase_name = '토벌' ELSE MAX(others_after) <= 0 END
