-- Items that dropped, by hour of the Korean clock and by channel. What counts as a drop is told in drops_by_day.
-- question: On which channel, and at which hour, did most 태초 drop?
-- keys: day, hour, channel_name, channel_no
-- day date: the game day
-- hour integer: hour of the Korean clock, 0 to 23
-- channel_name text: channel; only dungeon drops, pots and boxes have one
-- channel_no integer: number of that channel
-- drops bigint: equipment that dropped
-- primeval_drops bigint: of these, 태초
-- mythic_drops bigint: of these, 신화
-- epic_drops bigint: of these, 에픽
-- legendary_drops bigint: of these, 레전더리
-- oath_drops bigint: oath items that dropped
-- oath_primeval_drops bigint: of these, 태초
-- oath_epic_drops bigint: of these, 에픽
SELECT
  day,
  CAST(SUBSTR(occurred_minute, 12, 2) AS INTEGER) AS hour,
  channel_name,
  channel_no,
  COUNT(*) FILTER (WHERE item_family = 'equipment') AS drops,
  COUNT(*) FILTER (WHERE item_family = 'equipment' AND item_rarity = '태초') AS primeval_drops,
  COUNT(*) FILTER (WHERE item_family = 'equipment' AND item_rarity = '신화') AS mythic_drops,
  COUNT(*) FILTER (WHERE item_family = 'equipment' AND item_rarity = '에픽') AS epic_drops,
  COUNT(*) FILTER (WHERE item_family = 'equipment' AND item_rarity = '레전더리') AS legendary_drops,
  COUNT(*) FILTER (WHERE item_family = 'oath') AS oath_drops,
  COUNT(*) FILTER (WHERE item_family = 'oath' AND item_rarity = '태초') AS oath_primeval_drops,
  COUNT(*) FILTER (WHERE item_family = 'oath' AND item_rarity = '에픽') AS oath_epic_drops
FROM drops
WHERE role = 'drop'
GROUP BY ALL
