-- Items that dropped, each by name and by the way it came. What counts as a drop is told in drops_by_day.
-- question: Which 태초 item dropped most often, and from where?
-- keys: day, item_family, item_id, item_name, item_rarity, route_code
-- day date: the game day
-- item_family text: equipment or oath
-- item_id text: id of the item
-- item_name text: its name
-- item_rarity text: its rarity, in Korean
-- rarity_rank integer: place of the rarity, 1 (커먼) to 9 (태초)
-- route_code integer: code of the way it came
-- route text: the same in words
-- drops bigint: how often it dropped
-- mist_gear_drops bigint: of these, as mist gear
-- characters bigint: characters that got it
WITH
gained AS (
  SELECT
    day,
    item_id,
    item_name,
    item_rarity,
    route_code,
    server_id,
    character_id,
    COUNT(*) AS drops,
    COUNT(*) FILTER (WHERE is_mist_gear) AS mist_gear_drops
  FROM drops
  WHERE role = 'drop'
  GROUP BY day, item_id, item_name, item_rarity, route_code, server_id, character_id
),
items AS (
  SELECT
    day,
    item_id,
    item_name,
    item_rarity,
    route_code,
    CAST(SUM(drops) AS BIGINT) AS drops,
    CAST(SUM(mist_gear_drops) AS BIGINT) AS mist_gear_drops,
    COUNT(*) AS characters
  FROM gained
  GROUP BY day, item_id, item_name, item_rarity, route_code
)
SELECT
  items.day,
  codes.item_family,
  items.item_id,
  items.item_name,
  items.item_rarity,
  rarities.rarity_rank,
  items.route_code,
  codes.kind AS route,
  items.drops,
  items.mist_gear_drops,
  items.characters
FROM items
JOIN codes ON codes.code = items.route_code
LEFT JOIN rarities ON rarities.item_rarity = items.item_rarity
