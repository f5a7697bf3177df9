"""deploy/timeline.py: the command line in a container, with the settings of Airflow's Connections."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAKE = {"conn_type": "aws", "login": "an-id", "password": "a-secret"}
WAREHOUSE = {"conn_type": "postgres", "host": "127.0.0.1", "port": 1, "login": "timeline", "password": "a-password"}


SHOW = "#!/bin/sh\necho $NEOPLE_API_URL $NEOPLE_API_RATE $LAKE_URL $DAY_STARTS_AT $*\n"


def run(folder: Path, connections: dict[str, object], *arguments: str) -> "subprocess.CompletedProcess[str]":
    file = folder / "connections.json"
    file.write_text(json.dumps(connections))
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(folder),
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "dags"),
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(file)}),
        "AIRFLOW__METRICS__OTEL_ON": "True",  # of which Airflow tells in its log
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "DAY_STARTS_AT": "00:00",
    }
    program = folder / "neople-timeline"
    program.write_text(SHOW)
    program.chmod(0o755)
    command = [sys.executable, f"{ROOT}/deploy/timeline.py", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_it_takes_its_settings_from_the_connections(tmp_path: Path) -> None:
    lake = {**LAKE, "extra": {"lake_url": "s3://a-lake/there"}}
    api = {"conn_type": "http", "host": "http://127.0.0.1:1", "password": "the-key", "extra": {"rate": 77}}
    done = run(tmp_path, {"neople_api": api, "neople_lake": lake, "neople_warehouse": WAREHOUSE}, "roster", "list")
    assert done.stdout.splitlines() == ["http://127.0.0.1:1 77 s3://a-lake/there 00:00 roster list"]
    assert done.returncode == 0


def test_a_missing_connection_is_wrong_settings(tmp_path: Path) -> None:
    done = run(tmp_path, {"neople_lake": LAKE, "neople_warehouse": WAREHOUSE}, "doctor")
    assert done.returncode == 2
    assert "\nneople-timeline: there is no Connection neople_api: " in f"\n{done.stderr}"


def test_an_airflow_without_any_connection_is_told_to_get_them(tmp_path: Path) -> None:
    done = run(tmp_path, {}, "doctor")
    assert done.returncode == 2
    assert "\nneople-timeline: Airflow finds no Connection neople_api, nor the others: make them" in f"\n{done.stderr}"
