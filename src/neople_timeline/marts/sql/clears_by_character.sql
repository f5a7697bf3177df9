-- Who has cleared what in a week: one row per character and raid (201), vanguard raid (210), fiend war (207) or legion
-- (209) in one of its modes. A raid with phases is cleared with the last one (see clears_by_week).
-- question: Which of my characters still have to clear the hard mode of a raid this week?
-- keys: week, server_id, character_id, kind, content_name, mode_name, is_hard
-- week date: the players' week, named by its Thursday
-- server_id text: id of the server
-- character_id text: id of the character
-- kind text: raid, raid vanguard, fiend war or legion
-- content_name text: name of the raid or legion
-- mode_name text: mode of the raid, where it has one
-- is_hard boolean: hard mode
-- clears bigint: clears of this character
SELECT
  clears.period AS week,
  clears.server_id,
  clears.character_id,
  clears.kind,
  clears.content_name,
  clears.mode_name,
  clears.is_hard,
  COUNT(*) AS clears
FROM clears
WHERE clears.is_clear
GROUP BY
  clears.period, clears.server_id, clears.character_id, clears.kind, clears.content_name, clears.mode_name, clears.is_hard
