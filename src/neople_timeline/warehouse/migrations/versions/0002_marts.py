"""The marts' tables, with their columns from the catalogue."""

from alembic import op

from neople_timeline.catalogue import MARTS, Mart

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

PERIODS = """
CREATE SEQUENCE timeline.mart_generation;

CREATE TABLE timeline.published_mart (
  mart text NOT NULL,
  period date NOT NULL,
  generation bigint NOT NULL,
  rows bigint NOT NULL,
  published_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (mart, period)
);
COMMENT ON TABLE timeline.published_mart IS
  'Days, weeks and months that are published, and by which computation: an older one never replaces a newer one.';
"""


def upgrade() -> None:
    """Create a table per mart, and the record of what is published."""
    execute = op.get_bind().exec_driver_sql
    execute(PERIODS)
    for mart in MARTS:
        execute(_create_table(mart))


def downgrade() -> None:
    """Drop the marts; they can be computed again."""
    for mart in MARTS:
        op.execute(f"DROP TABLE timeline.{mart.warehouse_name}")
    op.execute("DROP TABLE timeline.published_mart")
    op.execute("DROP SEQUENCE timeline.mart_generation")


def _create_table(mart: Mart) -> str:
    name = f"timeline.{mart.warehouse_name}"
    columns = ", ".join(f"{c.name} {c.sql}{' NOT NULL' if c.name == mart.period else ''}" for c in mart.columns)
    comments = "".join(f"COMMENT ON COLUMN {name}.{c.name} IS {_quote(c.meaning)};" for c in mart.columns)
    # A channel or a mode may be absent, so the keys cannot be a primary key; absent counts as equal here.
    return (
        f"CREATE TABLE {name} ({columns}, UNIQUE NULLS NOT DISTINCT ({', '.join(mart.keys)}));"
        f"COMMENT ON TABLE {name} IS {_quote(mart.meaning)};{comments}"
    )


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
