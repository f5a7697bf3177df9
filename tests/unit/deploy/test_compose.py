"""What compose.yaml promises: nothing open to the world, nothing secret in it, nothing that drifts."""

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[3] / "deploy"
BIN = Path(sys.executable).parent
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
LASTING = [name for name, service in SERVICES.items() if service.get("restart") != "no"]
AIRFLOW = ["api-server", "scheduler", "dag-processor", "triggerer", "worker"]


def test_it_is_what_the_compose_specification_allows() -> None:
    command = [f"{BIN / 'check-jsonschema'}", "--builtin-schema", "vendor.compose-spec", f"{DEPLOY / 'compose.yaml'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_variables_have_defaults() -> None:
    text = (DEPLOY / "compose.yaml").read_text().replace("$$", "")
    for name, default in re.findall(r"\$\{?(\w+)([^}$]*)", text):
        assert default.startswith((":-", ":+")), name


def test_every_part_of_the_topology_is_there() -> None:
    assert set(SERVICES) == {
        *AIRFLOW, "prepare", "postgres", "redis", "objects", "mail", "spark-master", "spark-worker",
        "grafana", "prometheus",
    }  # fmt: skip
    assert "replicas" in SERVICES["worker"]["deploy"]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - set(OURS)))
def test_foreign_images_are_pinned_to_a_whole_version(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].rpartition(":")
    assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-\w+)?", tag)


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_is_watched_and_started_again(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries"} <= set(service["healthcheck"])


@pytest.mark.parametrize("name", AIRFLOW)
def test_a_slow_start_is_no_failure_and_being_watched_costs_little(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["start_period"] == "5m"  # on two busy cores the API server needs two and a half
    assert not re.search(r"airflow[ .]", " ".join(check["test"]))  # whose import takes four seconds of a core


@pytest.mark.parametrize("name", OURS)
def test_our_containers_cannot_gain_rights(name: str) -> None:
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in SERVICES[name]
    assert SERVICES[name].get("user") != "root"


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_on_loopback_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")
    assert "network_mode" not in SERVICES[name]


def test_secrets_come_from_files_that_git_ignores() -> None:
    assert {secret["file"] for secret in COMPOSE["secrets"].values()} == {
        f"./secrets/{name}" for name in COMPOSE["secrets"]
    }
    assert "secrets/" in (DEPLOY / ".gitignore").read_text().splitlines()
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert used == set(COMPOSE["secrets"])


def test_no_environment_variable_holds_a_secret() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET_|FERNET|_KEY|ALCHEMY_CONN|BROKER_URL|RESULT_BACKEND", name):
                assert name.endswith(("_CMD", "_FILE")), name
                assert "/run/secrets/" in value
    assert not re.search(r"://[^/\s$]+:[^@\s$]+@", (DEPLOY / "compose.yaml").read_text())


def test_secrets_that_a_service_reads_are_given_to_it() -> None:
    for name, service in SERVICES.items():
        if name in {*AIRFLOW, "prepare"}:
            read = re.findall(r"/run/secrets/([\w.]+)", str(service["environment"]))
            assert set(read) <= set(service["secrets"]), name


@pytest.mark.parametrize("name", AIRFLOW)
def test_airflow_starts_after_its_preparation(name: str) -> None:
    assert SERVICES[name]["depends_on"]["prepare"]["condition"] == "service_completed_successfully"


def test_a_lost_worker_and_a_lost_queue_are_noticed_in_minutes() -> None:
    environment = SERVICES["scheduler"]["environment"]
    assert int(environment["AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"]) <= 60
    assert int(environment["AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT"]) <= 300


def test_no_task_fails_for_good_because_workers_are_away_for_a_day() -> None:
    environment = SERVICES["scheduler"]["environment"]
    timeout = int(environment["AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT"])
    assert int(environment["AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES"]) * timeout > 24 * 3600


@pytest.mark.parametrize("name", SERVICES)
def test_logs_of_containers_do_not_grow_for_ever(name: str) -> None:
    assert SERVICES[name]["logging"] == {"driver": "local"}


def test_redis_does_not_deliver_a_task_again_while_it_still_runs() -> None:
    limits = [
        timedelta(**{unit: int(number)}).total_seconds()
        for path in (DEPLOY.parent / "dags").glob("*.py")
        for unit, number in re.findall(r'"execution_timeout": timedelta\((\w+)=(\d+)\)', path.read_text())
    ]
    environment = SERVICES["worker"]["environment"]
    assert limits
    assert int(environment["AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"]) > max(limits)


def test_files_that_are_mounted_exist() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


def test_redis_itself_hears_when_it_is_told_to_stop(tmp_path: Path) -> None:
    (tmp_path / "redis").write_text("the-password")
    redis = tmp_path / "redis-server"
    redis.write_text("#!/bin/sh\necho $$\ncat\n")
    redis.chmod(0o755)
    script = SERVICES["redis"]["command"][2].replace("/run/secrets", str(tmp_path)).replace("$$", "$")
    command = ["/bin/sh", "-c", script]
    started = subprocess.Popen(command, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, stdout=subprocess.PIPE, text=True)
    read, _ = started.communicate()
    assert read.splitlines()[:2] == [str(started.pid), "requirepass the-password"]
