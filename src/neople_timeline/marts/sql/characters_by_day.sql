-- Every character that was collected, with its day in numbers; a rest day has 0 events and no first or last minute.
-- question: Who rested this week, and who got most 에픽?
-- keys: day, server_id, character_id
-- day date: the game day
-- server_id text: id of the server
-- character_id text: id of the character
-- character_name text: its name when the day was collected
-- job_name text: its job
-- job_grow_name text: its advancement
-- level integer: its level
-- fame integer: its fame
-- adventure_name text: its adventure (모험단)
-- guild_id text: its guild
-- guild_name text: name of the guild
-- events bigint: events of the day
-- first_minute text: Korean minute of the first event
-- last_minute text: Korean minute of the last event
-- drops bigint: equipment that dropped (see drops_by_day for what counts)
-- primeval_drops bigint: of these, 태초
-- mythic_drops bigint: of these, 신화
-- epic_drops bigint: of these, 에픽
-- legendary_drops bigint: of these, 레전더리
-- oath_drops bigint: oath items that dropped
-- oath_primeval_drops bigint: of these, 태초
-- oath_epic_drops bigint: of these, 에픽
-- raid_clears bigint: clears of raids, vanguard raids and fiend war; their phases as known from the day and the seven before it, so that clears_by_week may know better
-- legion_clears bigint: clears of legions
WITH
-- A drop without a rarity counts as a drop all the same. Instants are compared, not texts: Spark would have to sort
-- all events for the least text.
gains AS (
  SELECT
    events.day,
    events.server_id,
    events.character_id,
    events.occurred_at,
    CASE WHEN codes.role = 'drop' AND codes.item_family = 'equipment' THEN COALESCE(events.item_rarity, '') END AS gear,
    CASE WHEN codes.role = 'drop' AND codes.item_family = 'oath' THEN COALESCE(events.item_rarity, '') END AS oath
  FROM events
  LEFT JOIN codes ON codes.code = events.code
),
tallies AS (
  SELECT
    day,
    server_id,
    character_id,
    COUNT(*) AS events,
    MIN(occurred_at) AS first_at,
    MAX(occurred_at) AS last_at,
    COUNT(gear) AS drops,
    COUNT(*) FILTER (WHERE gear = '태초') AS primeval_drops,
    COUNT(*) FILTER (WHERE gear = '신화') AS mythic_drops,
    COUNT(*) FILTER (WHERE gear = '에픽') AS epic_drops,
    COUNT(*) FILTER (WHERE gear = '레전더리') AS legendary_drops,
    COUNT(oath) AS oath_drops,
    COUNT(*) FILTER (WHERE oath = '태초') AS oath_primeval_drops,
    COUNT(*) FILTER (WHERE oath = '에픽') AS oath_epic_drops
  FROM gains
  GROUP BY day, server_id, character_id
),
cleared AS (
  SELECT
    day,
    server_id,
    character_id,
    COUNT(*) FILTER (WHERE kind <> 'legion') AS raid_clears,
    COUNT(*) FILTER (WHERE kind = 'legion') AS legion_clears
  FROM clears
  WHERE is_clear
  GROUP BY day, server_id, character_id
)
SELECT
  characters.day,
  characters.server_id,
  characters.character_id,
  characters.character_name,
  characters.job_name,
  characters.job_grow_name,
  characters.level,
  characters.fame,
  characters.adventure_name,
  characters.guild_id,
  characters.guild_name,
  COALESCE(tallies.events, 0) AS events,
  SUBSTR(CAST(tallies.first_at AS STRING), 1, 16) AS first_minute,
  SUBSTR(CAST(tallies.last_at AS STRING), 1, 16) AS last_minute,
  COALESCE(tallies.drops, 0) AS drops,
  COALESCE(tallies.primeval_drops, 0) AS primeval_drops,
  COALESCE(tallies.mythic_drops, 0) AS mythic_drops,
  COALESCE(tallies.epic_drops, 0) AS epic_drops,
  COALESCE(tallies.legendary_drops, 0) AS legendary_drops,
  COALESCE(tallies.oath_drops, 0) AS oath_drops,
  COALESCE(tallies.oath_primeval_drops, 0) AS oath_primeval_drops,
  COALESCE(tallies.oath_epic_drops, 0) AS oath_epic_drops,
  COALESCE(cleared.raid_clears, 0) AS raid_clears,
  COALESCE(cleared.legion_clears, 0) AS legion_clears
FROM characters
LEFT JOIN tallies
  ON tallies.day = characters.day
  AND tallies.server_id = characters.server_id
  AND tallies.character_id = characters.character_id
LEFT JOIN cleared
  ON cleared.day = characters.day
  AND cleared.server_id = characters.server_id
  AND cleared.character_id = characters.character_id
