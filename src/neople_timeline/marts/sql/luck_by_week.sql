-- How lucky each collected character was in a week: 태초 and 에픽 equipment per dungeon run. The timeline shows only runs
-- that left a drop or a card, so a run here is a minute in a dungeon with at least one of 505, 513, 550 and 557.
-- question: Who is luckiest this week, who unluckiest, and who has had no 태초 for all their runs?
-- keys: week, server_id, character_id
-- week date: the players' week, named by its Thursday
-- server_id text: id of the server
-- character_id text: id of the character
-- character_name text: its name on the last day collected
-- adventure_name text: its adventure (모험단) on that day
-- active_days bigint: days with at least one event
-- dungeon_runs bigint: dungeon runs that left a trace
-- primeval_drops bigint: 태초 equipment from dungeon drops and dungeon cards (505, 513); 0 for those with none
-- epic_drops bigint: 에픽 equipment from there
-- primeval_per_run double precision: primeval_drops / dungeon_runs; null without runs
-- epic_per_run double precision: epic_drops / dungeon_runs; null without runs
-- luck_rank bigint: 1 is the luckiest, by primeval_per_run, then by epic_per_run; equals share a rank; null without runs
SELECT
  period AS week,
  server_id,
  character_id,
  character_name,
  adventure_name,
  active_days,
  dungeon_runs,
  primeval_drops,
  epic_drops,
  primeval_per_run,
  epic_per_run,
  luck_rank
FROM luck
