"""Which dead letters are still to be replayed follows from the ledger; it was noted beside it, and could differ."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Ask the ledger instead."""
    op.execute("ALTER TABLE timeline.dead_letter DROP replayed_at")
    op.execute("""
        CREATE VIEW timeline.unread_letter AS SELECT * FROM timeline.dead_letter AS d WHERE EXISTS (
          SELECT FROM timeline.collection c WHERE c.day BETWEEN d.first_day AND d.last_day
            AND c.server_id = d.server_id AND c.character_id = d.character_id AND c.state = 'owed')
    """)


def downgrade() -> None:
    """Note it."""
    op.execute("ALTER TABLE timeline.dead_letter ADD replayed_at timestamptz")
    op.execute("""
        UPDATE timeline.dead_letter SET replayed_at = clock_timestamp()
          WHERE dead_letter_id NOT IN (SELECT dead_letter_id FROM timeline.unread_letter)
    """)
    op.execute("DROP VIEW timeline.unread_letter")
