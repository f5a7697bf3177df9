-- What happened to characters themselves, one row per event: made (101), renamed (102, 105), job advanced (103), level
-- reached (104).
-- question: Under which names was this character known, and which characters are new this week?
-- keys: day, server_id, character_id, occurred_minute, ordinal
-- day date: the game day
-- server_id text: id of the server
-- character_id text: id of the character
-- occurred_minute text: Korean minute
-- ordinal integer: number of the event within that minute
-- kind text: created, renamed, job advanced, level reached or adventure renamed
-- character_name text: name of the character when the day was collected
-- before_name text: renamed: the old name of the character or adventure
-- after_name text: renamed: the new one
-- job_grow_name text: job advanced: the advancement
-- reached_level integer: level reached: the level
SELECT
  events.day,
  events.server_id,
  events.character_id,
  events.occurred_minute,
  events.ordinal,
  codes.kind,
  characters.character_name,
  events.before_name,
  events.after_name,
  events.job_grow_name,
  events.reached_level
FROM events
JOIN codes ON codes.code = events.code
LEFT JOIN characters
  ON characters.day = events.day
  AND characters.server_id = events.server_id
  AND characters.character_id = events.character_id
WHERE codes.role = 'self'
