-- Items moved through the account safe by transcend stones (516, oath items 556). What one character puts in another one
-- takes out, so only the net says what an adventure has gained.
-- question: Which adventure takes more 태초 out of its safe than it puts in?
-- keys: day, server_id, adventure_name, item_family, item_rarity
-- day date: the game day
-- server_id text: id of the server
-- adventure_name text: the adventure (모험단); null where the API did not name it
-- item_family text: equipment or oath
-- item_rarity text: rarity, in Korean
-- rarity_rank integer: place of the rarity, 1 (커먼) to 9 (태초)
-- put_in bigint: items put into the safe
-- taken_out bigint: items taken out of it
-- unknown_moves bigint: moves whose direction the API did not tell
-- net bigint: taken_out less put_in
SELECT
  drops.day,
  drops.server_id,
  characters.adventure_name,
  drops.item_family,
  drops.item_rarity,
  rarities.rarity_rank,
  COUNT(*) FILTER (WHERE drops.safe_move = 'in') AS put_in,
  COUNT(*) FILTER (WHERE drops.safe_move = 'out') AS taken_out,
  COUNT(*) FILTER (WHERE COALESCE(drops.safe_move, '') NOT IN ('in', 'out')) AS unknown_moves,
  COUNT(*) FILTER (WHERE drops.safe_move = 'out') - COUNT(*) FILTER (WHERE drops.safe_move = 'in') AS net
FROM drops
LEFT JOIN rarities ON rarities.item_rarity = drops.item_rarity
LEFT JOIN characters
  ON characters.day = drops.day
  AND characters.server_id = drops.server_id
  AND characters.character_id = drops.character_id
WHERE drops.role = 'safe'
GROUP BY
  drops.day, drops.server_id, characters.adventure_name, drops.item_family, drops.item_rarity, rarities.rarity_rank
