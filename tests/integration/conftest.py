from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest
import small_roster
from small_ledger import CHARACTERS

from neople_timeline import pipeline
from neople_timeline.models import Member
from neople_timeline.settings import Settings
from neople_timeline.warehouse.connection import connect
from neople_timeline.warehouse.roster import add_members
from sandbox_control import SandboxApi


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with connect(Settings(warehouse_url=postgres_url)) as connection:
        yield connection


@pytest.fixture
def three_characters(connection: psycopg.Connection) -> None:
    """Have three characters on the roster: `small_ledger.CHARACTERS`."""
    add_members(connection, [Member(key, None) for key in CHARACTERS])


@pytest.fixture
def small_api(make_sandbox_api: Callable[..., SandboxApi]) -> SandboxApi:
    return make_sandbox_api(
        "--characters", f"{small_roster.CHARACTERS}", "--seed", "1", "--rate", "1000", "--latency", "0"
    )


@pytest.fixture
def small(settings: Settings, small_api: SandboxApi) -> Settings:
    """Settings with a roster of few, of whom nothing is collected yet."""
    settings = replace(settings, neople_api_url=small_api.url, neople_api_key=small_api.key)
    pipeline.import_roster(settings, small_api.read("roster.csv"))
    return settings
