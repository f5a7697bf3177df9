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
WITH gains AS (
  SELECT
    day,
    CAST(SUBSTR(occurred_minute, 12, 2) AS INTEGER) AS hour,
    channel_name,
    channel_no,
    CASE WHEN item_family = 'equipment' THEN COALESCE(item_rarity, '') END AS gear,
    CASE WHEN item_family = 'oath' THEN COALESCE(item_rarity, '') END AS oath
  FROM drops
  WHERE role = 'drop'
)
SELECT
  day,
  hour,
  channel_name,
  channel_no,
  COUNT(gear) AS drops,
  COUNT(*) FILTER (WHERE gear = '태초') AS primeval_drops,
  COUNT(*) FILTER (WHERE gear = '신화') AS mythic_drops,
  COUNT(*) FILTER (WHERE gear = '에픽') AS epic_drops,
  COUNT(*) FILTER (WHERE gear = '레전더리') AS legendary_drops,
  COUNT(oath) AS oath_drops,
  COUNT(*) FILTER (WHERE oath = '태초') AS oath_primeval_drops,
  COUNT(*) FILTER (WHERE oath = '에픽') AS oath_epic_drops
FROM gains
GROUP BY day, hour, channel_name, channel_no
