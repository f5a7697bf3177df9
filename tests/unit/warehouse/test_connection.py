"""What goes wrong while connecting: nothing stays open, and no error carries a secret."""

import traceback
from datetime import date
from types import SimpleNamespace
from typing import Any, NoReturn

import psycopg
import pytest

from neople_timeline import pipeline
from neople_timeline.errors import ConfigError, DataError, RetryLater
from neople_timeline.settings import Settings
from neople_timeline.warehouse.connection import connect, connect_reader

SETTINGS = Settings(warehouse_url="postgresql://u:secret@h/d")
UNREADABLE = Settings(warehouse_url="postgresql://u:secret%zz@h/d")
DAY = date(2026, 11, 15)


class Dying:
    """A connection whose server goes away at the first statement."""

    closed = broken = False
    info = SimpleNamespace(parameter_status=lambda _: "UTF8", server_version=180_000)
    error: Exception = psycopg.OperationalError("server closed the connection unexpectedly")

    def execute(self, *_: object) -> NoReturn:
        raise self.error

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Dying:
    connection = Dying()
    monkeypatch.setattr(psycopg, "connect", lambda *_, **__: connection)
    return connection


def test_an_address_that_cannot_be_read_is_not_shown() -> None:
    with pytest.raises(ConfigError, match="WAREHOUSE_URL cannot be read") as caught:
        connect(UNREADABLE)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("opening", [connect, connect_reader])
def test_a_server_that_goes_away_at_once_leaves_no_connection_open(dying: Dying, opening: Any) -> None:
    with pytest.raises(psycopg.OperationalError):
        opening(SETTINGS)
    assert dying.closed


@pytest.mark.usefixtures("dying")
def test_who_only_reads_is_told_to_come_back_too() -> None:
    with pytest.raises(RetryLater, match="PostgreSQL went away"):
        list(pipeline.export_table(SETTINGS, "event", DAY, DAY))


def test_a_full_disk_is_called_one_and_waited_for(dying: Dying) -> None:
    dying.error = psycopg.errors.DiskFull("could not extend file: No space left on device")
    with pytest.raises(RetryLater, match="PostgreSQL has no room: could not extend file"):
        list(pipeline.export_table(SETTINGS, "event", DAY, DAY))


def test_a_statement_that_was_cancelled_is_not_called_a_server_that_went_away(dying: Dying) -> None:
    dying.error = psycopg.errors.QueryCanceled("canceling statement due to statement timeout")
    with pytest.raises(RetryLater, match="PostgreSQL did not finish a statement: canceling statement"):
        list(pipeline.export_table(SETTINGS, "event", DAY, DAY))
    dying.error = psycopg.errors.AdminShutdown("terminating connection due to administrator command")
    with pytest.raises(RetryLater, match="PostgreSQL went away: terminating"):
        list(pipeline.export_table(SETTINGS, "event", DAY, DAY))


def test_what_is_too_large_for_postgresql_is_said_and_not_waited_for(dying: Dying) -> None:
    dying.error = psycopg.errors.ProgramLimitExceeded("index row size 3024 exceeds btree version 4 maximum 2704")
    with pytest.raises(DataError, match="PostgreSQL cannot hold this: index row size 3024"):
        list(pipeline.export_table(SETTINGS, "event", DAY, DAY))
