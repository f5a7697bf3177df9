-- Which codes came, under which display text. A code the project does not know yet is new in the API: its events are kept
-- whole in `data`, and the marts count it nowhere but here and among the events of characters and hours.
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
  seen.day,
  seen.code,
  seen.name,
  codes.label AS known_name,
  codes.label IS NOT NULL AS is_known,
  COALESCE(codes.label <> seen.name, FALSE) AS is_renamed,
  CAST(SUM(seen.events) AS BIGINT) AS events,
  COUNT(*) AS characters
FROM (
  SELECT day, code, name, server_id, character_id, COUNT(*) AS events
  FROM events
  GROUP BY day, code, name, server_id, character_id
) AS seen
LEFT JOIN codes ON codes.code = seen.code
GROUP BY seen.day, seen.code, seen.name, codes.label
