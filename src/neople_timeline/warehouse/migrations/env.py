"""Run the migrations on the connection that connection.py hands over."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema="timeline",
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
