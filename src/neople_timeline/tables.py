"""The published tables, each written once: Arrow types for the lake, SQL types for PostgreSQL, meaning and source.

The Parquet files in the lake and the tables in PostgreSQL have the same column names. Those that a later migration
added are last in PostgreSQL, whatever their place is here; nothing depends on the order.
docs/data-dictionary.md is generated from here.
"""

from dataclasses import dataclass

import pyarrow as pa

INSTANT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Column:
    """One column: `source` is the path of the field in the API's answer, empty where the project derives the value."""

    name: str
    arrow: pa.DataType
    sql: str
    meaning: str
    source: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the lake (`events/day=…`) and its twin in PostgreSQL (`timeline.event`)."""

    name: str
    """Its folder in the lake."""
    warehouse_name: str
    """Its name in the schema `timeline`."""
    meaning: str
    columns: tuple[Column, ...]

    @property
    def schema(self) -> pa.Schema:
        """Give the Arrow schema of the Parquet files."""
        return pa.schema([pa.field(column.name, column.arrow) for column in self.columns])


def _text(name: str, meaning: str, source: str) -> Column:
    return Column(name, pa.string(), "text", meaning, source)


def _count(name: str, meaning: str, source: str) -> Column:
    return Column(name, pa.int32(), "integer", meaning, source)


def _flag(name: str, meaning: str, source: str) -> Column:
    return Column(name, pa.bool_(), "boolean", meaning, source)


KEY_COLUMNS = (
    Column("day", pa.date32(), "date", "the game day, named by the Korean date on which it starts (06:00)"),
    _text("server_id", "id of the server", "(roster)"),
    _text("character_id", "id of the character, 32 hex digits; stays when the character is renamed", "characterId"),
)

# Of a text, a number of 32 bits or a flag that stands in the payload itself, or is its ticket's name.
PAYLOAD_COLUMNS = (
    _text("item_id", "item: id", "itemId"),
    _text("item_name", "item: name", "itemName"),
    _text("item_rarity", "item: rarity, in Korean (태초, 에픽, 레전더리 …)", "itemRarity"),
    _text("channel_name", "channel on which an item dropped", "channelName"),
    _count("channel_no", "number of that channel", "channelNo"),
    _text("dungeon_name", "dungeon", "dungeonName"),
    _flag("is_mist_gear", "item is mist gear", "mistGear"),
    _text("raid_name", "raid", "raidName"),
    _text("raid_party_name", "party, as its leader named it", "raidPartyName"),
    _text("raid_mode_name", "mode of a raid", "modeName"),
    _text("raid_phase_name", "phase of a raid: one row per phase, a clear is the last one", "phaseName"),
    _text("region_name", "legion", "regionName"),
    _text("beast_mode", "mode of a beast dungeon", "mode"),
    _flag("is_hard", "hard mode; the API leaves false out", "hard"),
    _flag("is_guide", "guide mode; the API leaves false out", "guide"),
    _flag("is_single", "single mode; the API leaves false out", "single"),
    _flag("is_squad", "squad mode; the API leaves false out", "squad"),
    _flag("is_matching", "found by matching; the API leaves false out", "matching"),
    _count("before_level", "401, 402, 404: level before the attempt", "before"),
    _count("after_level", "401-404: level aimed at, also when the attempt failed", "after"),
    _flag("is_success", "401-404: the attempt succeeded", "result"),
    _flag("is_safe", "401, 402, 404: a safe attempt; kept out of plain success rates", "safe"),
    _text(
        "ticket_item_name",
        "401, 402: ticket used (it jumps levels); empty where its name cannot be read",
        "ticket.itemName",
    ),
    _text("safe_move", "516, 556: 'in' to or 'out' of the account safe; net them", "adventureSafeMoveType"),
    _text("before_name", "102, 105: old name", "beforeName"),
    _text("after_name", "102, 105: new name", "afterName"),
    _count("reached_level", "104: level reached", "level"),
    _text("job_grow_name", "103: advancement", "jobGrowName"),
    _text("npc_name", "508: shop's keeper", "npcName"),
)

EVENTS = Table(
    "events",
    "event",
    "One row per event of a character's timeline, exactly as often as the API has it.",
    (
        *KEY_COLUMNS,
        Column("occurred_at", INSTANT, "timestamptz", "start of the minute in which it happened, UTC"),
        _text("occurred_minute", "the same minute on the Korean clock, as the API sent it", "rows[].date"),
        _count("ordinal", "number of the event within its character's minute, from 0; equal rows are legal", ""),
        _count("code", "kind of event", "rows[].code"),
        _text("name", "the code's display text at the time; it changes over the years, use `code`", "rows[].name"),
        *PAYLOAD_COLUMNS,
        Column(
            "data",
            pa.string(),
            "jsonb",
            "the whole payload, in the lake as sent (line breaks are blanks)",
            "rows[].data",
        ),
    ),
)

CHARACTERS = Table(
    "characters",
    "character",
    "One row per character and day: the character as it was when the day was collected (not when an event happened).",
    (
        *KEY_COLUMNS,
        _text("character_name", "name", "characterName"),
        _count("level", "level", "level"),
        _text("job_id", "job", "jobId"),
        _text("job_name", "name of the job", "jobName"),
        _text("job_grow_id", "advancement; unique only together with job_id", "jobGrowId"),
        _text("job_grow_name", "name of the advancement", "jobGrowName"),
        _count("fame", "fame; absent in answers before about 2024", "fame"),
        _text("adventure_name", "adventure (모험단): the account", "adventureName"),
        _text("guild_id", "guild", "guildId"),
        _text("guild_name", "name of the guild", "guildName"),
        Column("collected_at", INSTANT, "timestamptz", "when the API answered, UTC"),
        _count("events", "events of the day", ""),
        Column("digest", pa.int64(), "bigint", "digest of the multiset of events, see docs/architecture.md"),
    ),
)

TABLES = (EVENTS, CHARACTERS)
