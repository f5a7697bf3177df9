from collections.abc import Iterator

import psycopg
import pytest
from small_ledger import CHARACTERS

from neople_timeline.settings import Settings
from neople_timeline.warehouse.connection import connect
from neople_timeline.warehouse.roster import Member, add_members


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with connect(Settings(warehouse_url=postgres_url)) as connection:
        yield connection


@pytest.fixture
def three_characters(connection: psycopg.Connection) -> None:
    """Have three characters on the roster: `small_ledger.CHARACTERS`."""
    add_members(connection, [Member(key, None) for key in CHARACTERS])
