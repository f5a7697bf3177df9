"""The fastest answer that anybody on a key ever had: how much of a permit's rest may be saved (neople/limiter.py)."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it, and the function that hands it in and out; nothing is saved until somebody is sure of it again."""
    op.execute("ALTER TABLE timeline.rate_budget ADD fastest_seconds double precision")
    op.execute("""
        CREATE FUNCTION timeline.know_fastest(my_key text, my_fastest double precision) RETURNS double precision
        LANGUAGE sql AS $$
          UPDATE timeline.rate_budget SET fastest_seconds = my_fastest
            WHERE key_hash = my_key AND my_fastest < coalesce(fastest_seconds, 'infinity');
          SELECT fastest_seconds FROM timeline.rate_budget WHERE key_hash = my_key
        $$
    """)


def downgrade() -> None:
    """Forget it."""
    op.execute("DROP FUNCTION timeline.know_fastest(text, double precision)")
    op.execute("ALTER TABLE timeline.rate_budget DROP fastest_seconds")
