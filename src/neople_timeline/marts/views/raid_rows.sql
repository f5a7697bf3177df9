-- One row per raid, vanguard raid, fiend war or legion row of the timeline; a raid with phases has one per phase.
SELECT
  events.day,
  events.server_id,
  events.character_id,
  events.occurred_at,
  events.code,
  codes.kind,
  COALESCE(events.raid_name, events.region_name, codes.label) AS content_name,
  events.raid_mode_name AS mode_name,
  events.raid_phase_name AS phase_name,
  events.raid_party_name AS party_name,
  COALESCE(events.is_hard, FALSE) AS is_hard,
  COALESCE(events.is_guide, FALSE) AS is_guide,
  COALESCE(events.is_single, FALSE) AS is_single,
  COALESCE(events.is_squad, FALSE) AS is_squad,
  COALESCE(events.is_matching, FALSE) AS is_matching
FROM events
JOIN codes ON codes.code = events.code
WHERE codes.role = 'clear'
