-- Which codes came, under which display text. A code the project does not know yet is new in the API: its events are kept
-- whole in `data`, and the marts count it nowhere but here and in activity.
-- question: Did the API bring a code that nobody knows, or rename one?
-- keys: day, code, name
-- day date: the game day
-- code integer: kind of event
-- name text: display text that the API sent
-- known_name text: display text known to the project; null for an unknown code
-- is_known boolean: the project knows the code
-- is_renamed boolean: the code is known, but under another text
-- events bigint: events with that code and text
-- characters bigint: characters with such an event
SELECT
  day,
  code,
  name,
  known_name,
  known_name IS NOT NULL AS is_known,
  COALESCE(known_name <> name, FALSE) AS is_renamed,
  CAST(SUM(events) AS BIGINT) AS events,
  COUNT(*) AS characters
FROM (
  SELECT
    events.day,
    events.code,
    events.name,
    codes.label AS known_name,
    events.server_id,
    events.character_id,
    COUNT(*) AS events
  FROM events
  LEFT JOIN codes ON codes.code = events.code
  GROUP BY ALL
) AS seen
GROUP BY day, code, name, known_name
