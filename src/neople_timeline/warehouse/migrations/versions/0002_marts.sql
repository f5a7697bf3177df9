CREATE TABLE timeline.published_mart (
  mart text NOT NULL,
  period date NOT NULL,
  generation bigint NOT NULL,
  rows bigint NOT NULL,
  published_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (mart, period)
);

-- A channel or a mode may be absent, so the keys of a mart cannot be a primary key; absent counts as equal here. Texts
-- that others write are told apart by a digest: they have any length, and an entry of an index has not.

CREATE TABLE timeline.mart_drops_by_day (
  day date NOT NULL,
  item_family text,
  item_rarity text,
  rarity_rank integer,
  route_code integer,
  route text,
  dungeon_name text,
  channel_name text,
  channel_no integer,
  drops bigint,
  mist_gear_drops bigint,
  safe_net bigint
);
CREATE UNIQUE INDEX mart_drops_by_day_keys ON timeline.mart_drops_by_day
  (day, item_family, md5(item_rarity), route_code, md5(dungeon_name), md5(channel_name), channel_no)
  NULLS NOT DISTINCT;

CREATE TABLE timeline.mart_drops_by_item (
  day date NOT NULL,
  item_family text,
  item_id text,
  item_name text,
  item_rarity text,
  rarity_rank integer,
  route_code integer,
  route text,
  drops bigint,
  mist_gear_drops bigint,
  characters bigint
);
CREATE UNIQUE INDEX mart_drops_by_item_keys ON timeline.mart_drops_by_item
  (day, item_family, md5(item_id), md5(item_name), md5(item_rarity), route_code)
  NULLS NOT DISTINCT;

CREATE TABLE timeline.mart_drops_by_channel (
  day date NOT NULL,
  hour integer,
  channel_name text,
  channel_no integer,
  drops bigint,
  primeval_drops bigint,
  mythic_drops bigint,
  epic_drops bigint,
  legendary_drops bigint,
  oath_drops bigint,
  oath_primeval_drops bigint,
  oath_epic_drops bigint
);
CREATE UNIQUE INDEX mart_drops_by_channel_keys ON timeline.mart_drops_by_channel
  (day, hour, md5(channel_name), channel_no)
  NULLS NOT DISTINCT;

CREATE TABLE timeline.mart_characters_by_day (
  day date NOT NULL,
  server_id text,
  character_id text,
  character_name text,
  job_name text,
  job_grow_name text,
  level integer,
  fame integer,
  adventure_name text,
  guild_id text,
  guild_name text,
  events bigint,
  first_minute text,
  last_minute text,
  drops bigint,
  primeval_drops bigint,
  mythic_drops bigint,
  epic_drops bigint,
  legendary_drops bigint,
  oath_drops bigint,
  oath_primeval_drops bigint,
  oath_epic_drops bigint,
  raid_clears bigint,
  legion_clears bigint,
  UNIQUE NULLS NOT DISTINCT (day, server_id, character_id)
);

CREATE TABLE timeline.mart_adventures_by_day (
  day date NOT NULL,
  server_id text,
  adventure_name text,
  characters bigint,
  active_characters bigint,
  events bigint,
  drops bigint,
  primeval_drops bigint,
  mythic_drops bigint,
  epic_drops bigint,
  legendary_drops bigint,
  oath_drops bigint,
  oath_primeval_drops bigint,
  oath_epic_drops bigint,
  raid_clears bigint,
  legion_clears bigint
);
CREATE UNIQUE INDEX mart_adventures_by_day_keys ON timeline.mart_adventures_by_day
  (day, server_id, md5(adventure_name))
  NULLS NOT DISTINCT;

CREATE TABLE timeline.mart_guilds_by_day (
  day date NOT NULL,
  server_id text,
  guild_id text,
  guild_name text,
  characters bigint,
  active_characters bigint,
  events bigint,
  drops bigint,
  primeval_drops bigint,
  mythic_drops bigint,
  epic_drops bigint,
  legendary_drops bigint,
  oath_drops bigint,
  oath_primeval_drops bigint,
  oath_epic_drops bigint,
  raid_clears bigint,
  legion_clears bigint
);
CREATE UNIQUE INDEX mart_guilds_by_day_keys ON timeline.mart_guilds_by_day
  (day, server_id, md5(guild_id))
  NULLS NOT DISTINCT;

CREATE TABLE timeline.mart_servers_by_day (
  day date NOT NULL,
  server_id text,
  characters bigint,
  active_characters bigint,
  events bigint,
  drops bigint,
  primeval_drops bigint,
  mythic_drops bigint,
  epic_drops bigint,
  legendary_drops bigint,
  oath_drops bigint,
  oath_primeval_drops bigint,
  oath_epic_drops bigint,
  raid_clears bigint,
  legion_clears bigint,
  UNIQUE NULLS NOT DISTINCT (day, server_id)
);

CREATE TABLE timeline.mart_activity_by_hour (
  day date NOT NULL,
  hour integer,
  events bigint,
  characters bigint,
  drops bigint,
  UNIQUE NULLS NOT DISTINCT (day, hour)
);

CREATE TABLE timeline.mart_clears_by_week (
  week date NOT NULL,
  kind text,
  content_name text,
  mode_name text,
  is_hard boolean,
  clears bigint,
  characters bigint,
  guide_clears bigint,
  single_clears bigint,
  squad_clears bigint,
  matching_clears bigint,
  earlier_phases bigint
);
CREATE UNIQUE INDEX mart_clears_by_week_keys ON timeline.mart_clears_by_week
  (week, kind, md5(content_name), md5(mode_name), is_hard)
  NULLS NOT DISTINCT;

CREATE TABLE timeline.mart_clears_by_character (
  week date NOT NULL,
  server_id text,
  character_id text,
  kind text,
  content_name text,
  mode_name text,
  is_hard boolean,
  clears bigint
);
CREATE UNIQUE INDEX mart_clears_by_character_keys ON timeline.mart_clears_by_character
  (week, server_id, character_id, kind, md5(content_name), md5(mode_name), is_hard)
  NULLS NOT DISTINCT;

CREATE TABLE timeline.mart_enhancements_by_day (
  day date NOT NULL,
  kind text,
  target_level integer,
  attempts bigint,
  successes bigint,
  ticket_attempts bigint,
  ticket_successes bigint,
  safe_attempts bigint,
  safe_successes bigint,
  UNIQUE NULLS NOT DISTINCT (day, kind, target_level)
);

CREATE TABLE timeline.mart_luck_by_week (
  week date NOT NULL,
  server_id text,
  character_id text,
  character_name text,
  adventure_name text,
  active_days bigint,
  dungeon_runs bigint,
  primeval_drops bigint,
  epic_drops bigint,
  primeval_per_run double precision,
  epic_per_run double precision,
  luck_rank bigint,
  UNIQUE NULLS NOT DISTINCT (week, server_id, character_id)
);

CREATE TABLE timeline.mart_luck_by_month (
  month date NOT NULL,
  server_id text,
  character_id text,
  character_name text,
  adventure_name text,
  active_days bigint,
  dungeon_runs bigint,
  primeval_drops bigint,
  epic_drops bigint,
  primeval_per_run double precision,
  epic_per_run double precision,
  luck_rank bigint,
  UNIQUE NULLS NOT DISTINCT (month, server_id, character_id)
);

CREATE TABLE timeline.mart_safe_moves_by_day (
  day date NOT NULL,
  server_id text,
  adventure_name text,
  item_family text,
  item_rarity text,
  rarity_rank integer,
  put_in bigint,
  taken_out bigint,
  unknown_moves bigint,
  net bigint
);
CREATE UNIQUE INDEX mart_safe_moves_by_day_keys ON timeline.mart_safe_moves_by_day
  (day, server_id, md5(adventure_name), item_family, md5(item_rarity))
  NULLS NOT DISTINCT;

CREATE TABLE timeline.mart_changes_by_day (
  day date NOT NULL,
  server_id text,
  character_id text,
  occurred_minute text,
  ordinal integer,
  kind text,
  character_name text,
  before_name text,
  after_name text,
  job_grow_name text,
  reached_level integer,
  UNIQUE NULLS NOT DISTINCT (day, server_id, character_id, occurred_minute, ordinal)
);

CREATE TABLE timeline.mart_codes_by_day (
  day date NOT NULL,
  code integer,
  name text,
  known_name text,
  is_known boolean,
  is_renamed boolean,
  events bigint,
  characters bigint
);
CREATE UNIQUE INDEX mart_codes_by_day_keys ON timeline.mart_codes_by_day (day, code, md5(name)) NULLS NOT DISTINCT;

-- As in 0001_ledger.sql, for the same reason.
ALTER TABLE timeline.mart_drops_by_day ALTER day SET STATISTICS 0;
ALTER TABLE timeline.mart_drops_by_item ALTER day SET STATISTICS 0;
ALTER TABLE timeline.mart_drops_by_channel ALTER day SET STATISTICS 0;
ALTER TABLE timeline.mart_characters_by_day ALTER day SET STATISTICS 0;
ALTER TABLE timeline.mart_adventures_by_day ALTER day SET STATISTICS 0;
ALTER TABLE timeline.mart_guilds_by_day ALTER day SET STATISTICS 0;
ALTER TABLE timeline.mart_servers_by_day ALTER day SET STATISTICS 0;
ALTER TABLE timeline.mart_activity_by_hour ALTER day SET STATISTICS 0;
ALTER TABLE timeline.mart_clears_by_week ALTER week SET STATISTICS 0;
ALTER TABLE timeline.mart_clears_by_character ALTER week SET STATISTICS 0;
ALTER TABLE timeline.mart_enhancements_by_day ALTER day SET STATISTICS 0;
ALTER TABLE timeline.mart_luck_by_week ALTER week SET STATISTICS 0;
ALTER TABLE timeline.mart_luck_by_month ALTER month SET STATISTICS 0;
ALTER TABLE timeline.mart_safe_moves_by_day ALTER day SET STATISTICS 0;
ALTER TABLE timeline.mart_changes_by_day ALTER day SET STATISTICS 0;
ALTER TABLE timeline.mart_codes_by_day ALTER day SET STATISTICS 0;
