"""Settings from Airflow's Connections; what is no secret and the same for all tasks comes from the environment.

neople_api        host (with scheme and port), password = the API key, extra `rate`
neople_lake       type aws: login and password, or what the AWS hook finds; extra `lake_url`, endpoint_url, region_name
neople_warehouse  type postgres
spark_default     type spark, where MARTS_ENGINE is spark: host spark://master and port 7077 (or yarn, or k8s://…)
smtp_default      type smtp, optional; extra `report_to`, and from_email, disable_ssl, disable_tls as Airflow has them
"""

from contextlib import suppress
from dataclasses import replace
from urllib.parse import quote

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from neople_timeline.errors import ConfigError, TimelineError
from neople_timeline.settings import FROM_ENVIRONMENT, Settings, make_settings, read_airflow_settings

API = "neople_api"
LAKE = "neople_lake"
WAREHOUSE = "neople_warehouse"
MAIL = "smtp_default"
SPARK = "spark_default"


class NoConnectionsError(TimelineError):
    """Airflow finds none of our Connections: nobody made any, or it is away, and does not tell which. Worth a retry."""


def connect_settings() -> Settings:
    """Make the settings of a task; a Connection that is missing or incomplete is a ConfigError that names it."""
    values = {
        **read_api(_find(API)),
        **read_lake(_find(LAKE)),
        "warehouse_url": read_warehouse(_find(WAREHOUSE)),
        **_read_mail_if_there(),
    }
    for name in ("neople_api_key", "aws_secret_access_key", "aws_session_token"):
        if values.get(name):
            mask_secret(values[name])
    connected = make_settings({name: value for name, value in values.items() if value})
    environment = read_airflow_settings()
    return replace(connected, **{name: getattr(environment, name) for name in FROM_ENVIRONMENT})


def require_spark() -> None:
    """Refuse to submit without a complete Spark Connection: the provider would quietly choose YARN."""
    if not _find(SPARK).host:
        raise ConfigError(f"the Connection {SPARK} has no host: put spark://the-master there, and its port")


def read_api(connection: Connection) -> dict[str, str]:
    """Read where the API is, the key to it and the highest rate."""
    if not connection.password:
        raise ConfigError(f"the Connection {API} has no password: put the API key there")
    host = connection.host or Settings.neople_api_url
    address = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    return {
        "neople_api_url": f"{address}:{connection.port}" if connection.port else address,
        "neople_api_key": connection.password,
        "neople_api_rate": str(connection.extra_dejson.get("rate", "")),
    }


def read_lake(connection: Connection) -> dict[str, str]:
    """Read where the lake is and how to open it; without a login the AWS hook is asked for credentials."""
    extra = connection.extra_dejson
    if "lake_url" not in extra:
        raise ConfigError(f"the Connection {LAKE} has no lake_url in its extra: put s3://bucket/prefix there")
    access, secret, token = connection.login, connection.password, extra.get("aws_session_token")
    if not access and str(extra["lake_url"]).startswith("s3://"):
        # Imported here because it costs a second, and most installations have the two keys in the Connection.
        from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

        access, secret, token = AwsGenericHook(aws_conn_id=connection.conn_id).get_credentials()
    return {
        "lake_url": str(extra["lake_url"]),
        "aws_access_key_id": access or "",
        "aws_secret_access_key": secret or "",
        "aws_session_token": token or "",
        "aws_endpoint_url": str(extra.get("endpoint_url") or ""),
        "aws_region": str(extra.get("region_name") or ""),
    }


def read_warehouse(connection: Connection) -> str:
    """Read the warehouse as a URL; the empty extra that Airflow's form saves would be a parameter of it."""
    if not connection.extra_dejson:
        connection.extra = None
    return str(connection.get_uri())


def read_mail(connection: Connection) -> dict[str, str]:
    """Read the mail server as a URL, and the report's sender and recipients.

    Airflow's own hook would use implicit TLS and STARTTLS both when neither is disabled; here the first one wins.
    """
    if not connection.host:
        raise ConfigError(f"the Connection {MAIL} has no host: put the mail server there, or delete it")
    extra = connection.extra_dejson
    implicit_tls = not extra.get("disable_ssl", False)
    insist = "" if implicit_tls or extra.get("disable_tls", False) else "?starttls=required"
    login = (
        f"{quote(connection.login, safe='')}:{quote(connection.password or '', safe='')}@" if connection.login else ""
    )
    port = f":{connection.port}" if connection.port else ""
    return {
        "smtp_url": f"{'smtps' if implicit_tls else 'smtp'}://{login}{connection.host}{port}{insist}",
        "report_to": str(extra.get("report_to") or ""),
        "report_from": str(extra.get("from_email") or ""),
    }


def _read_mail_if_there() -> dict[str, str]:
    connection = _look_up(MAIL)
    return read_mail(connection) if connection else {}


def _find(name: str) -> Connection:
    connection = _look_up(name)
    if connection is None:
        raise ConfigError(f"there is no Connection {name}: make it under Admin → Connections")
    return connection


def _look_up(name: str) -> Connection | None:
    """Look a Connection up; None where there certainly is none.

    Airflow (3.3.2) calls a Connection not found too while its database or its API server is away. So that is believed
    only if another one is found right after, and this one still is not. Else a task would fail for good, or not mail.
    """
    for _ in range(2):
        try:
            connection: Connection = Connection.get(name)
        except AirflowNotFoundException:
            _require_another_than(name)
        else:
            return connection
    return None


def _require_another_than(name: str) -> None:
    for other in {API, LAKE, WAREHOUSE} - {name}:
        with suppress(AirflowNotFoundException):
            Connection.get(other)
            return
    raise NoConnectionsError(
        f"Airflow finds no Connection {name}, nor the others: make them under Admin → Connections, unless its database"
        " or its API server is away"
    )
