-- Items that dropped, by family, rarity, route, dungeon and channel. Oath items are a family of their own. Upgrades
-- (511, 553), purchases and exchanges are no drops. Items that went through the account safe are no drops either:
-- they are the rows of routes 516 and 556, counted in safe_net only.
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
SELECT
  day,
  item_family,
  item_rarity,
  rarity_rank,
  route_code,
  route,
  dungeon_name,
  channel_name,
  channel_no,
  COUNT(*) FILTER (WHERE role = 'drop') AS drops,
  COUNT(*) FILTER (WHERE role = 'drop' AND is_mist_gear) AS mist_gear_drops,
  COUNT(*) FILTER (WHERE role = 'safe' AND safe_move = 'out')
  - COUNT(*) FILTER (WHERE role = 'safe' AND safe_move = 'in') AS safe_net
FROM drops
GROUP BY ALL
