-- One row per item that dropped (role drop) or moved through the account safe (role safe).
SELECT
  events.day,
  events.server_id,
  events.character_id,
  events.occurred_minute,
  events.code AS route_code,
  codes.kind AS route,
  codes.role,
  codes.item_family,
  events.item_id,
  events.item_name,
  events.item_rarity,
  events.channel_name,
  events.channel_no,
  events.dungeon_name,
  events.is_mist_gear,
  events.safe_move
FROM events
JOIN codes ON codes.code = events.code
WHERE codes.role IN ('drop', 'safe')
