"""A week of six characters, whom the sandbox knows and of whom nothing is collected yet: the fixture `small`."""

from datetime import date
from email import message_from_bytes, policy
from pathlib import Path

import psycopg

from neople_timeline import pipeline
from neople_timeline.lake import open_lake
from neople_timeline.models import Plan
from neople_timeline.settings import Settings
from neople_timeline.warehouse.connection import ask_number

WEDNESDAY, THURSDAY = date(2026, 10, 21), date(2026, 10, 15)
CHARACTERS = 6


def change(settings: Settings, statement: str) -> int:
    with psycopg.connect(settings.warehouse_url, autocommit=True) as connection:
        return connection.execute(statement.encode()).rowcount


def count(settings: Settings, condition: str) -> int:
    """Count the character-days of which a condition holds."""
    with psycopg.connect(settings.warehouse_url) as connection:
        return ask_number(connection, f"SELECT count(*) FROM timeline.collection WHERE {condition}".encode())


def read_page(settings: Settings, name: str) -> str:
    return open_lake(settings).get(f"reports/{name}/index.html").decode()


def list_subjects(maildir: Path) -> list[str]:
    mails = (message_from_bytes(path.read_bytes(), policy=policy.default) for path in (maildir / "new").iterdir())
    return sorted(str(mail["Subject"]) for mail in mails)


def collect(settings: Settings, plan: Plan) -> tuple[int, int]:
    """Collect; count the character-days that are missing and owed."""
    found = [pipeline.collect_shard(settings, shard) for shard in plan.shards]
    return sum(one.missing for one in found), sum(one.owed for one in found)


def read_generations(settings: Settings) -> dict[date, int]:
    """Read of each day when, by number, its marts were last computed."""
    with psycopg.connect(settings.warehouse_url) as connection:
        statement = "SELECT period, generation FROM timeline.published_mart WHERE mart = 'drops_by_day' ORDER BY 1"
        return dict(connection.execute(statement).fetchall())
