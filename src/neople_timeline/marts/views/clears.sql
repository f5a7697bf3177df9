-- One row per raid, vanguard raid, fiend war or legion row; `is_clear` is false for the earlier phases of a raid.
SELECT
  days.period,
  raid_rows.day,
  raid_rows.server_id,
  raid_rows.character_id,
  raid_rows.kind,
  raid_rows.content_name,
  raid_rows.mode_name,
  raid_rows.is_hard,
  raid_rows.is_guide,
  raid_rows.is_single,
  raid_rows.is_squad,
  raid_rows.is_matching,
  raid_rows.phase_name IS NULL OR last_phases.phase_name IS NOT NULL AS is_clear
FROM raid_rows
JOIN days ON days.day = raid_rows.day
LEFT JOIN last_phases
  ON last_phases.period = days.period
  AND last_phases.content_name = raid_rows.content_name
  AND last_phases.mode_name = COALESCE(raid_rows.mode_name, '')
  AND last_phases.phase_name = raid_rows.phase_name
