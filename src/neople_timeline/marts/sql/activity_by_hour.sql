-- When people play: events and characters of each hour of the Korean clock. A game day starts with hour 6 and ends
-- with hour 5; hours without an event have no row.
-- question: At which hour is most going on, and how does the weekend differ?
-- keys: day, hour
-- day date: the game day
-- hour integer: hour of the Korean clock, 0 to 23
-- events bigint: events in that hour
-- characters bigint: characters with at least one event in that hour
-- drops bigint: of the events, items that dropped (equipment and oath)
SELECT day, hour, CAST(SUM(events) AS BIGINT) AS events, COUNT(*) AS characters, CAST(SUM(drops) AS BIGINT) AS drops
FROM (
  SELECT
    events.day,
    CAST(SUBSTR(events.occurred_minute, 12, 2) AS INTEGER) AS hour,
    events.server_id,
    events.character_id,
    COUNT(*) AS events,
    COUNT(*) FILTER (WHERE codes.role = 'drop') AS drops
  FROM events
  LEFT JOIN codes ON codes.code = events.code
  GROUP BY ALL
) AS hours
GROUP BY day, hour
