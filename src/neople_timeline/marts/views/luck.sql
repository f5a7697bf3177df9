-- One row per collected character and period: dungeon runs that left a trace, and what they brought.
WITH
runs AS (
  SELECT
    days.period,
    dungeon_runs.server_id,
    dungeon_runs.character_id,
    CAST(SUM(dungeon_runs.dungeon_runs) AS BIGINT) AS dungeon_runs,
    CAST(SUM(dungeon_runs.primeval_drops) AS BIGINT) AS primeval_drops,
    CAST(SUM(dungeon_runs.epic_drops) AS BIGINT) AS epic_drops
  FROM dungeon_runs
  JOIN days ON days.day = dungeon_runs.day
  GROUP BY days.period, dungeon_runs.server_id, dungeon_runs.character_id
),
collected AS (
  SELECT
    days.period,
    characters.server_id,
    characters.character_id,
    characters.character_name,
    characters.adventure_name,
    COUNT(*) FILTER (WHERE characters.events > 0)
      OVER (PARTITION BY days.period, characters.server_id, characters.character_id) AS active_days,
    ROW_NUMBER()
      OVER (PARTITION BY days.period, characters.server_id, characters.character_id ORDER BY characters.day DESC) AS age
  FROM characters
  JOIN days ON days.day = characters.day
),
rates AS (
  SELECT
    collected.period,
    collected.server_id,
    collected.character_id,
    collected.character_name,
    collected.adventure_name,
    collected.active_days,
    COALESCE(runs.dungeon_runs, 0) AS dungeon_runs,
    COALESCE(runs.primeval_drops, 0) AS primeval_drops,
    COALESCE(runs.epic_drops, 0) AS epic_drops,
    CAST(runs.primeval_drops AS DOUBLE) / runs.dungeon_runs AS primeval_per_run,
    CAST(runs.epic_drops AS DOUBLE) / runs.dungeon_runs AS epic_per_run
  FROM collected
  LEFT JOIN runs
    ON runs.period = collected.period
    AND runs.server_id = collected.server_id
    AND runs.character_id = collected.character_id
  WHERE collected.age = 1
)
SELECT
  *,
  CASE
    WHEN dungeon_runs > 0
      THEN RANK() OVER (PARTITION BY period, dungeon_runs > 0 ORDER BY primeval_per_run DESC, epic_per_run DESC)
  END AS luck_rank
FROM rates
