"""Marts tell their rows apart by a digest of what others write: a name has any length, an entry of an index has not."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEYS = {
    "drops_by_day": (
        "day", "item_family", "item_rarity", "route_code", "dungeon_name", "channel_name", "channel_no",
    ),
    "drops_by_item": ("day", "item_family", "item_id", "item_name", "item_rarity", "route_code"),
    "drops_by_channel": ("day", "hour", "channel_name", "channel_no"),
    "adventures_by_day": ("day", "server_id", "adventure_name"),
    "guilds_by_day": ("day", "server_id", "guild_id"),
    "clears_by_week": ("week", "kind", "content_name", "mode_name", "is_hard"),
    "clears_by_character": ("week", "server_id", "character_id", "kind", "content_name", "mode_name", "is_hard"),
    "safe_moves_by_day": ("day", "server_id", "adventure_name", "item_family", "item_rarity"),
    "codes_by_day": ("day", "code", "name"),
}  # fmt: skip
"""The marts that others' texts are a key of."""

OTHERS_TEXTS = {
    "item_id", "item_name", "item_rarity", "dungeon_name", "channel_name", "adventure_name", "guild_id", "content_name",
    "mode_name", "name",
}  # fmt: skip


def upgrade() -> None:
    """Put a unique index with digests in place of each constraint over whole texts."""
    for name, keys in KEYS.items():
        digested = ", ".join(f"md5({key})" if key in OTHERS_TEXTS else key for key in keys)
        op.execute(f"ALTER TABLE timeline.mart_{name} DROP CONSTRAINT {_find_constraint(name)}")
        op.execute(f"CREATE UNIQUE INDEX mart_{name}_keys ON timeline.mart_{name} ({digested}) NULLS NOT DISTINCT")


def downgrade() -> None:
    """Back to the whole texts, which PostgreSQL refuses while one of them is too long."""
    for name, keys in KEYS.items():
        op.execute(f"DROP INDEX timeline.mart_{name}_keys")
        op.execute(f"ALTER TABLE timeline.mart_{name} ADD UNIQUE NULLS NOT DISTINCT ({', '.join(keys)})")


def _find_constraint(name: str) -> str:
    found = op.get_bind().exec_driver_sql(
        f"SELECT conname FROM pg_constraint WHERE conrelid = 'timeline.mart_{name}'::regclass AND contype = 'u'"
    )
    return str(found.scalar_one())
