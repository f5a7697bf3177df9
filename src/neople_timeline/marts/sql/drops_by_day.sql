-- Items that dropped, by family, rarity, route, dungeon and channel. Equipment counts by 504, 505, 507, 513, 514, 520
-- and 521; oath items, a family of their own, by 550, 551, 552, 554, 555 and 557. Upgrades (511, 553), purchases and
-- exchanges are no drops. Items that went through the account safe are no drops either: they are the rows of routes 516
-- and 556, counted in safe_net only.
-- question: On which channel and in which dungeon did most 태초 drop this week?
-- keys: day, item_family, item_rarity, route_code, dungeon_name, channel_name, channel_no
-- day date: the game day
-- item_family text: equipment or oath
-- item_rarity text: rarity, in Korean
-- rarity_rank integer: place of the rarity, 1 (커먼) to 9 (태초)
-- route_code integer: code of the way it came
-- route text: the same in words
-- dungeon_name text: dungeon; only dungeon drops and dungeon cards have one
-- channel_name text: channel; only dungeon drops, pots and boxes have one
-- channel_no integer: number of that channel
-- drops bigint: items that dropped; 0 in the rows of the account safe
-- mist_gear_drops bigint: of these, mist gear
-- safe_net bigint: items taken out of the account safe less those put in; 0 in all other rows
WITH counted AS (
  SELECT
    day,
    route_code,
    item_rarity,
    dungeon_name,
    channel_name,
    channel_no,
    COUNT(*) AS items,
    COUNT(*) FILTER (WHERE is_mist_gear) AS mist_gear_items,
    COUNT(*) FILTER (WHERE safe_move = 'out') - COUNT(*) FILTER (WHERE safe_move = 'in') AS safe_net
  FROM drops
  GROUP BY day, route_code, item_rarity, dungeon_name, channel_name, channel_no
)
SELECT
  counted.day,
  codes.item_family,
  counted.item_rarity,
  rarities.rarity_rank,
  counted.route_code,
  codes.kind AS route,
  counted.dungeon_name,
  counted.channel_name,
  counted.channel_no,
  CASE WHEN codes.role = 'drop' THEN counted.items ELSE 0 END AS drops,
  CASE WHEN codes.role = 'drop' THEN counted.mist_gear_items ELSE 0 END AS mist_gear_drops,
  CASE WHEN codes.role = 'safe' THEN counted.safe_net ELSE 0 END AS safe_net
FROM counted
JOIN codes ON codes.code = counted.route_code
LEFT JOIN rarities ON rarities.item_rarity = counted.item_rarity
