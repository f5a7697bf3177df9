-- One row per character and day with dungeon runs that left a trace, and what they brought. A run is a minute in a
-- dungeon with at least one drop or card (505, 513, 550, 557).
WITH minutes AS (
  SELECT
    day,
    server_id,
    character_id,
    occurred_at,
    dungeon_name,
    COUNT(*) FILTER (WHERE code IN (505, 513) AND item_rarity = '태초') AS primeval_drops,
    COUNT(*) FILTER (WHERE code IN (505, 513) AND item_rarity = '에픽') AS epic_drops
  FROM events
  WHERE code IN (505, 513, 550, 557)
  GROUP BY day, server_id, character_id, occurred_at, dungeon_name
)
SELECT
  day,
  server_id,
  character_id,
  COUNT(*) AS dungeon_runs,
  CAST(SUM(primeval_drops) AS BIGINT) AS primeval_drops,
  CAST(SUM(epic_drops) AS BIGINT) AS epic_drops
FROM minutes
GROUP BY day, server_id, character_id
