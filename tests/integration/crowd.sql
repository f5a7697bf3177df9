-- A day of 100,000 characters, as the load and the marts leave it.
INSERT INTO timeline.day (day, buckets, verified_at) VALUES ('2026-10-17', 16, now());
CREATE TABLE timeline.collection_crowd PARTITION OF timeline.collection DEFAULT;
CREATE TABLE timeline.event_crowd PARTITION OF timeline.event DEFAULT;
CREATE TABLE timeline.character_crowd PARTITION OF timeline.character DEFAULT;
CREATE TEMP TABLE crowd AS SELECT '2026-10-17'::date AS day, (ARRAY['cain', 'prey', 'anton'])[1 + n % 3] AS server_id,
  md5(n::text) AS character_id, '캐릭터' || n AS character_name, '모험단' || n / 4 AS adventure_name, n
  FROM generate_series(1, 100000) n;
INSERT INTO timeline.collection (day, server_id, character_id, bucket, state, events)
  SELECT day, server_id, character_id, 0, 'verified', 3 FROM crowd;
INSERT INTO timeline.character (day, server_id, character_id, character_name, adventure_name)
  SELECT day, server_id, character_id, character_name, adventure_name FROM crowd;
INSERT INTO timeline.event (day, server_id, character_id, occurred_at, occurred_minute, ordinal, code, name, item_name,
  item_rarity)
  SELECT day, server_id, character_id, day + interval '1 day', day || ' 12:00', k, 505, '', '검', (ARRAY['태초', '에픽', '유니크'])[k]
  FROM crowd, generate_series(1, 3) k;
INSERT INTO timeline.mart_characters_by_day (day, server_id, character_id, character_name, adventure_name, events,
  primeval_drops, epic_drops, legendary_drops, raid_clears, legion_clears)
  SELECT day, server_id, character_id, character_name, adventure_name, 3, 1, 1, 0, 1, 1 FROM crowd;
INSERT INTO timeline.mart_servers_by_day (day, server_id, characters, active_characters, events, primeval_drops,
  epic_drops, legendary_drops, raid_clears, legion_clears) VALUES ('2026-10-17', 'cain', 100000, 100000, 300000, 100000, 100000, 0, 1, 1);
INSERT INTO timeline.mart_luck_by_week (week, server_id, character_id, character_name, adventure_name, dungeon_runs,
  primeval_drops, epic_drops, luck_rank)
  SELECT '2026-10-15', server_id, character_id, character_name, adventure_name, 9 + n % 90, n % 3, 1, n FROM crowd;
INSERT INTO timeline.mart_clears_by_character (week, server_id, character_id, kind, content_name, is_hard, clears)
  SELECT '2026-10-15', server_id, character_id, 'raid', '레이드' || k, false, 1 FROM crowd, generate_series(1, 4) k;
INSERT INTO timeline.mart_clears_by_week (week, kind, content_name, is_hard, clears, characters)
  SELECT '2026-10-15', 'raid', '레이드' || k, false, 100000, 100000 FROM generate_series(1, 4) k;
