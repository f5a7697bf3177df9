from collections.abc import Iterator

import pytest
from through_airflow import World, open_world

from mail_catcher import Smtp
from neople_timeline.local import processes, services


@pytest.fixture(scope="session")
def world(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: services.Postgres,
    object_store: dict[str, str],
    smtp_server: Smtp,
) -> Iterator[World]:
    """Airflow with a metastore and Connections of its own, real parts, and a sandbox API that can be made to fail."""
    home = tmp_path_factory.mktemp("airflow")
    yield open_world(home, postgres_server, object_store, smtp_server.url, smtp_server.maildir)
    processes.stop(processes.list_recorded(home), home)
