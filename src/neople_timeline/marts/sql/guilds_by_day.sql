-- Guilds with their collected characters taken together, members as of when the day was collected.
-- question: Which guild cleared most raids this week?
-- keys: day, server_id, guild_id
-- day date: the game day
-- server_id text: id of the server
-- guild_id text: id of the guild
-- guild_name text: its name (the last in order, where the guild was renamed during the day)
-- characters bigint: characters collected
-- active_characters bigint: of these, with at least one event
-- events bigint: events of the day
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
SELECT
  day,
  server_id,
  guild_id,
  MAX(guild_name) AS guild_name,
  COUNT(*) AS characters,
  COUNT(*) FILTER (WHERE events > 0) AS active_characters,
  CAST(SUM(events) AS BIGINT) AS events,
  CAST(SUM(drops) AS BIGINT) AS drops,
  CAST(SUM(primeval_drops) AS BIGINT) AS primeval_drops,
  CAST(SUM(mythic_drops) AS BIGINT) AS mythic_drops,
  CAST(SUM(epic_drops) AS BIGINT) AS epic_drops,
  CAST(SUM(legendary_drops) AS BIGINT) AS legendary_drops,
  CAST(SUM(oath_drops) AS BIGINT) AS oath_drops,
  CAST(SUM(oath_primeval_drops) AS BIGINT) AS oath_primeval_drops,
  CAST(SUM(oath_epic_drops) AS BIGINT) AS oath_epic_drops,
  CAST(SUM(raid_clears) AS BIGINT) AS raid_clears,
  CAST(SUM(legion_clears) AS BIGINT) AS legion_clears
FROM characters_by_day
WHERE guild_id IS NOT NULL
GROUP BY day, server_id, guild_id
