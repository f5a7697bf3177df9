-- Clears of raids (201), vanguard raids (210), fiend war (207) and legions (209). A raid with phases has one row per
-- phase in the timeline and is cleared with the last one, which is learnt from the runs of the week and the week
-- before. Until a raid's end was seen, the last phase that was seen passes for it. A raid of which only earlier phases
-- were seen has a row with 0 clears. A week runs from Thursday to Wednesday.
-- question: How many characters cleared the hard mode of a raid this week, and how many only its normal mode?
-- keys: week, kind, content_name, mode_name, is_hard
-- week date: the players' week, named by its Thursday
-- kind text: raid, raid vanguard, fiend war or legion
-- content_name text: name of the raid or legion
-- mode_name text: mode of the raid, where it has one
-- is_hard boolean: hard mode
-- clears bigint: clears, each character counted
-- characters bigint: characters with at least one clear
-- guide_clears bigint: of the clears, in guide mode
-- single_clears bigint: of the clears, alone
-- squad_clears bigint: of the clears, in a squad
-- matching_clears bigint: of the clears, found by matching
-- earlier_phases bigint: rows of phases before the last one, which are no clears
SELECT
  clears.period AS week,
  clears.kind,
  clears.content_name,
  clears.mode_name,
  clears.is_hard,
  COUNT(*) FILTER (WHERE clears.is_clear) AS clears,
  COUNT(DISTINCT CASE WHEN clears.is_clear THEN (clears.server_id, clears.character_id) END) AS characters,
  COUNT(*) FILTER (WHERE clears.is_clear AND clears.is_guide) AS guide_clears,
  COUNT(*) FILTER (WHERE clears.is_clear AND clears.is_single) AS single_clears,
  COUNT(*) FILTER (WHERE clears.is_clear AND clears.is_squad) AS squad_clears,
  COUNT(*) FILTER (WHERE clears.is_clear AND clears.is_matching) AS matching_clears,
  COUNT(*) FILTER (WHERE NOT clears.is_clear) AS earlier_phases
FROM clears
GROUP BY ALL
