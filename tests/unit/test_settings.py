from datetime import time
from pathlib import Path

import pytest

from neople_timeline.errors import ConfigError
from neople_timeline.models import Calendar
from neople_timeline.settings import Settings, make_settings, read_settings

SECRETS = {
    "NEOPLE_API_KEY": "secret-1",
    "AWS_ACCESS_KEY_ID": "secret-2",
    "AWS_SECRET_ACCESS_KEY": "secret-3",
    "AWS_SESSION_TOKEN": "secret-4",
    "WAREHOUSE_URL": "postgresql://u:secret-5@h/d",
    "SMTP_URL": "smtp://u:secret-6@h",
}


def test_without_any_setting_the_defaults_hold() -> None:
    settings = read_settings({})
    assert settings == Settings()
    assert (settings.neople_api_rate, settings.day_starts_at, settings.calendar) == (1000, time(6), Calendar(time(6)))


def test_the_environment_is_read_by_the_public_names() -> None:
    settings = read_settings(
        {
            "NEOPLE_API_URL": "https://api.dfoneople.com/df/",
            "NEOPLE_API_KEY": " key ",
            "NEOPLE_API_RATE": "250",
            "LAKE_URL": "s3://bucket/prefix/",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:8333",
            "WAREHOUSE_URL": "postgresql://h/d",
            "DAY_STARTS_AT": "00:00",
            "REPORT_LANGUAGE": "en",
            "MARTS_ENGINE": "spark",
        }
    )
    assert (settings.neople_api_url, settings.neople_api_key, settings.neople_api_rate) == (
        "https://api.dfoneople.com",
        "key",
        250,
    )
    assert (settings.lake_url, settings.aws_endpoint_url) == ("s3://bucket/prefix", "http://127.0.0.1:8333")
    assert (settings.day_starts_at, settings.report_language, settings.marts_engine) == (time(0), "en", "spark")


def test_an_empty_variable_counts_as_absent() -> None:
    assert read_settings({"NEOPLE_API_RATE": " ", "DAY_STARTS_AT": ""}) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NEOPLE_API_URL", "api.neople.co.kr"),
        ("NEOPLE_API_URL", "ftp://api.neople.co.kr"),
        ("NEOPLE_API_URL", "https://"),
        ("NEOPLE_API_RATE", "0"),
        ("NEOPLE_API_RATE", "1001"),
        ("NEOPLE_API_RATE", "-5"),
        ("NEOPLE_API_RATE", "1e2"),
        ("NEOPLE_API_RATE", "99.5"),
        ("NEOPLE_API_RATE", "١٢"),
        ("DAY_STARTS_AT", "6"),
        ("DAY_STARTS_AT", "24:00"),
        ("DAY_STARTS_AT", "06:00:30"),
        ("DAY_STARTS_AT", "06:00+09:00"),
        ("LAKE_URL", "bucket/prefix"),
        ("LAKE_URL", "s3://"),
        ("LAKE_URL", "file://relative/folder"),
        ("LAKE_URL", "file:///"),
        ("LAKE_URL", "gs://bucket"),
        ("LAKE_URL", "s3://buc ket/x"),
        ("LAKE_URL", "s3://lake/a//b"),
        ("LAKE_URL", "s3://lake/../b"),
        ("LAKE_URL", "file:///a?b#c"),
        ("AWS_ENDPOINT_URL", "http://exa mple:9000"),
        ("AWS_REGION", "us\neast"),
        ("NEOPLE_API_URL", "http://exa mple"),
        ("NEOPLE_API_KEY", "k\udcff"),
        ("NEOPLE_API_RATE", "9" * 5000),
        ("AWS_ENDPOINT_URL", "127.0.0.1:9000"),
        ("AWS_ENDPOINT_URL", "http://"),
        ("AWS_ENDPOINT_URL", "http://999.1.1.1:9000"),
        ("AWS_ENDPOINT_URL", "http://a%zz"),
        ("AWS_ENDPOINT_URL", "http://[fe80::1%25eth0]:9000"),
        ("AWS_ENDPOINT_URL", "http://xn--a:9000"),
        ("AWS_ENDPOINT_URL", "http://a..b"),
        ("NEOPLE_API_URL", "http://1.2.3.4.5"),
        ("NEOPLE_API_URL", "http://a|b"),
        ("NEOPLE_API_URL", "http://api.neople.co.kr?x=1"),
        ("NEOPLE_API_URL", "http://api.neople.co.kr/#x"),
        ("WAREHOUSE_URL", "mysql://h/d"),
        ("WAREHOUSE_URL", "postgresql://h:99999/d"),
        ("WAREHOUSE_URL", "host=h dbname=d"),
        ("REPORT_LANGUAGE", "fr"),
        ("MARTS_ENGINE", "hive"),
    ],
)
def test_a_malformed_setting_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        read_settings({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WAREHOUSE_URL", "postgresql://[::1/d"),
        ("WAREHOUSE_URL", "mysql://u:secret-5@h"),
        ("WAREHOUSE_URL", "postgresql://u:secret-[5@h/d"),
        ("WAREHOUSE_URL", "postgresql://u:p@secret@h/d"),
        ("WAREHOUSE_URL", "postgresql://u:p@se/cret@h/d"),
        ("NEOPLE_API_URL", "https://u:secret@h"),
        ("NEOPLE_API_URL", "https://:secret@h"),
        ("AWS_ENDPOINT_URL", "https://u:secret@h"),
        ("REPORT_URL", "https://u:secret@h"),
    ],
)
def test_a_malformed_address_with_a_secret_is_not_shown(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        read_settings({name: value})
    assert "secret" not in str(caught.value)
    assert "cret@" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NEOPLE_API_URL", "http://[::1]:8080/api"),
        ("AWS_ENDPOINT_URL", "http://object_store:9000"),
        ("AWS_ENDPOINT_URL", "http://저장소.한국:9000"),
        ("WAREHOUSE_URL", "postgresql://u:p@one:5432,two:5433/db?target_session_attrs=primary"),
        ("WAREHOUSE_URL", "postgresql:///db?host=/run/postgresql"),
        ("WAREHOUSE_URL", "postgresql://u:p%40ss@[::1]:5432/db?application_name=me@home"),
    ],
)
def test_less_common_addresses_are_taken_as_they_are(name: str, value: str) -> None:
    assert getattr(read_settings({name: value}), name.lower()) == value


@pytest.mark.parametrize("name", ["NEOPLE_API_URL", "LAKE_URL"])
def test_an_address_that_no_parser_takes_is_refused_too(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        read_settings({name: "https://[::1"})


def test_no_secret_is_in_the_representation() -> None:
    assert "secret" not in repr(read_settings(SECRETS))
    assert all(value in vars(read_settings(SECRETS)).values() for value in SECRETS.values())


def test_what_is_required_and_missing_is_named_as_the_variable_to_set() -> None:
    with pytest.raises(ConfigError, match="LAKE_URL and WAREHOUSE_URL not set"):
        Settings().require("neople_api_url", "lake_url", "warehouse_url")
    make_settings({"lake_url": "file:///x"}).require("lake_url")


def test_a_local_lake_is_any_absolute_folder(tmp_path: Path) -> None:
    assert read_settings({"LAKE_URL": f"{tmp_path.as_uri()}/"}).lake_url == tmp_path.as_uri()
