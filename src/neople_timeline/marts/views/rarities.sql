-- Rarities in the game's order, the rarest last (크로니클, an older kind of set item, beside the uniques).
SELECT item_rarity, rarity_rank
FROM (
  VALUES
    ('커먼', 1), ('언커먼', 2), ('레어', 3), ('유니크', 4), ('크로니클', 5),
    ('레전더리', 6), ('에픽', 7), ('신화', 8), ('태초', 9)
) AS known (item_rarity, rarity_rank)
