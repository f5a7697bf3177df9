-- One row per raid, vanguard raid, fiend war or legion row; `is_clear` is false for the earlier phases of a raid.
SELECT
  days.period,
  events.day,
  events.server_id,
  events.character_id,
  codes.kind,
  COALESCE(events.raid_name, events.region_name, codes.label) AS content_name,
  events.raid_mode_name AS mode_name,
  COALESCE(events.is_hard, FALSE) AS is_hard,
  COALESCE(events.is_guide, FALSE) AS is_guide,
  COALESCE(events.is_single, FALSE) AS is_single,
  COALESCE(events.is_squad, FALSE) AS is_squad,
  COALESCE(events.is_matching, FALSE) AS is_matching,
  events.raid_phase_name IS NULL OR last_phases.phase_name IS NOT NULL AS is_clear
FROM events
JOIN days ON days.day = events.day
JOIN codes ON codes.code = events.code
LEFT JOIN last_phases
  ON last_phases.period = days.period
  AND last_phases.raid_name = events.raid_name
  AND last_phases.mode_name = COALESCE(events.raid_mode_name, '')
  AND last_phases.phase_name = events.raid_phase_name
WHERE codes.role = 'clear'
