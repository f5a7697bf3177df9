"""What the tasks make of Airflow's Connections."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from neople_timeline.errors import ConfigError
from neople_timeline.local.airflow import describe_connections
from neople_timeline.settings import FROM_ENVIRONMENT, Settings, make_settings
from timeline_connections import NoConnectionsError, connect_settings, read_api, read_lake, read_mail, read_warehouse

COMPLETE = Settings(
    neople_api_key="key",
    lake_url="s3://lake",
    aws_access_key_id="id",
    warehouse_url="postgres://u:p@h/d",
    smtp_url="smtp://mail:25",
)
Lose = Callable[..., list[str]]


@pytest.fixture
def lose(monkeypatch: pytest.MonkeyPatch) -> Lose:
    """Make all Connections, and have Airflow find those of some names, or all, only after so many questions."""

    def make(names: set[str] | None, questions: int) -> list[str]:
        for name, connection in describe_connections(COMPLETE).items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
        find, asked = Connection.get, list[str]()

        def get(name: str) -> Connection:
            asked.append(name)
            lost = [one for one in asked if names is None or one in names]
            if len(lost) <= questions and (names is None or name in names):
                raise AirflowNotFoundException(name)
            return find(name)  # type: ignore[no-any-return]

        monkeypatch.setattr(Connection, "get", get)
        return asked

    return make


@pytest.mark.parametrize("name", ["neople_api", "neople_lake", "neople_warehouse", "smtp_default"])
def test_a_connection_that_is_not_found_once_is_asked_for_again(name: str, lose: Lose) -> None:
    asked = lose({name}, 1)
    assert connect_settings().smtp_url == "smtp://mail:25"
    assert asked.count(name) >= 2


def test_where_none_is_found_the_task_is_tried_again_and_no_mail_is_left_out(lose: Lose) -> None:
    lose(None, 1_000)
    with pytest.raises(NoConnectionsError, match="unless its database or its API server is away"):
        connect_settings()


def test_an_outage_that_begins_after_some_were_found_is_no_lack_of_mail(
    lose: Lose, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose(set(), 0)
    find = Connection.get
    found: list[str] = []

    def get(name: str) -> Connection:
        if len(found) == 3:
            raise AirflowNotFoundException(name)
        found.append(name)
        return find(name)  # type: ignore[no-any-return]

    monkeypatch.setattr(Connection, "get", get)
    with pytest.raises(NoConnectionsError, match="no Connection smtp_default"):
        connect_settings()
    assert found == ["neople_api", "neople_lake", "neople_warehouse"]


def test_a_mail_connection_without_a_host_is_named() -> None:
    with pytest.raises(ConfigError, match="smtp_default has no host"):
        read_mail(Connection(conn_id="smtp_default", conn_type="smtp", extra="{}"))


def test_the_connections_of_the_stack_mean_the_same_as_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(
        neople_api_url="http://127.0.0.1:18080",
        neople_api_key="a key/with:signs@",
        neople_api_rate=70,
        lake_url="s3://lake/timeline",
        aws_access_key_id="id",
        aws_secret_access_key="secret/+",
        aws_endpoint_url="http://127.0.0.1:18333",
        warehouse_url="postgres://timeline:pass@127.0.0.1:15432/warehouse",
        smtp_url="smtp://timeline:pass@127.0.0.1:11025",
        report_to="players@example.org",
    )
    for name, connection in describe_connections(settings).items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))

    assert connect_settings() == settings


def test_every_setting_comes_from_a_connection_or_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    described = describe_connections(
        Settings(neople_api_key="key", lake_url="s3://lake", aws_access_key_id="id", smtp_url="smtp://h:25")
    )
    api, lake, mail = (
        Connection.from_json(json.dumps(described[name]), conn_id=name)
        for name in ("neople_api", "neople_lake", "smtp_default")
    )
    connected = {*read_api(api), *read_lake(lake), *read_mail(mail), "warehouse_url"}
    assert sorted([*connected, *FROM_ENVIRONMENT]) == sorted(Settings.__dataclass_fields__)

    chosen = {"report_url": "https://a.example.org", "report_language": "en", "day_starts_at": "00:00"}
    chosen["marts_engine"] = "spark"
    described["neople_warehouse"] = {"conn_type": "postgres", "host": "h"}
    for name, value in chosen.items():
        monkeypatch.setenv(name.upper(), value)
    for name, connection in described.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
    settings, expected = connect_settings(), make_settings(chosen)
    assert [getattr(settings, name) for name in FROM_ENVIRONMENT] == [
        getattr(expected, name) for name in FROM_ENVIRONMENT
    ]


def test_settings_without_mail_are_fine_and_without_a_lake_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    known = describe_connections(
        Settings(neople_api_key="key", lake_url="s3://lake", aws_access_key_id="id", warehouse_url="postgres://u:p@h/d")
    )
    for name in ("neople_api", "neople_lake", "neople_warehouse"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(known[name]))
    assert connect_settings().smtp_url == ""

    monkeypatch.delenv("AIRFLOW_CONN_NEOPLE_LAKE")
    with pytest.raises(ConfigError, match="neople_lake"):
        connect_settings()


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "https://api.neople.co.kr"),
        ({"host": "api.neople.co.kr"}, "https://api.neople.co.kr"),
        ({"host": "127.0.0.1", "schema": "http", "port": 18080}, "http://127.0.0.1:18080"),
        ({"host": "https://api.neople.co.kr", "port": 443}, "https://api.neople.co.kr:443"),
    ],
)
def test_the_api_is_found_however_its_connection_is_written(given: dict[str, Any], url: str) -> None:
    assert read_api(Connection(conn_id="neople_api", password="key", **given))["neople_api_url"] == url


@pytest.mark.parametrize(
    ("extra", "url"),
    [
        (None, "postgres://me@h/d"),
        ("{}", "postgres://me@h/d"),
        ('{"sslmode": "require"}', "postgres://me@h/d?sslmode=require"),
    ],
)
def test_a_warehouse_s_extra_is_libpq_s_parameters_and_may_be_empty(extra: str | None, url: str) -> None:
    where: dict[str, Any] = {"conn_type": "postgres", "host": "h", "login": "me", "schema": "d"}
    assert read_warehouse(Connection(conn_id="neople_warehouse", extra=extra, **where)) == url


def test_an_api_without_a_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="neople_api"):
        read_api(Connection(conn_id="neople_api", host="api.neople.co.kr"))


def test_a_lake_without_its_url_is_refused() -> None:
    with pytest.raises(ConfigError, match="lake_url"):
        read_lake(Connection(conn_id="neople_lake", login="id", password="secret"))


@pytest.mark.parametrize(
    ("extra", "url"),
    [
        ({}, "smtps://me%40home:p%2F@mail"),
        ({"disable_ssl": True}, "smtp://me%40home:p%2F@mail?starttls=required"),
        ({"disable_ssl": True, "disable_tls": True}, "smtp://me%40home:p%2F@mail"),
    ],
)
def test_mail_is_encrypted_as_the_connection_says(extra: dict[str, bool], url: str) -> None:
    written = {"conn_type": "smtp", "host": "mail", "login": "me@home", "password": "p/", "extra": extra}
    connection = Connection.from_json(json.dumps(written), conn_id="smtp_default")

    assert read_mail(connection)["smtp_url"] == url
