from collections.abc import Iterator

import psycopg
import pytest

from neople_timeline.settings import Settings
from neople_timeline.warehouse.connection import connect


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with connect(Settings(warehouse_url=postgres_url)) as connection:
        yield connection
