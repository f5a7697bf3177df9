"""What the chart's values promise: secrets by name only, the image by version, the same settings as compose.yaml."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from neople_timeline.settings import FROM_ENVIRONMENT, read_settings

DEPLOY = Path(__file__).parents[3] / "deploy"
TEXT = (DEPLOY / "helm-values.yaml").read_text()
VALUES: dict[str, Any] = yaml.safe_load(TEXT)


def test_secrets_are_only_named() -> None:
    data = VALUES["data"]
    assert set(data) == {"metadataSecretName", "resultBackendSecretName", "brokerUrlSecretName"}
    for name in ("fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName"):
        assert VALUES[name].startswith("timeline-")
    for name in ("fernetKey", "apiSecretKey", "jwtSecret"):
        assert name not in VALUES
    assert not re.search(r"(?m)^[^#]*(pass|password): \S", TEXT)


def test_the_image_is_a_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", VALUES["images"]["airflow"]["tag"])


@pytest.mark.parametrize("part", ["apiServer", "scheduler", "dagProcessor", "triggerer"])
def test_every_part_says_what_it_needs(part: str) -> None:
    assert VALUES[part]["resources"]["requests"]["memory"]
    assert VALUES[part]["resources"]["limits"]["memory"]


def test_nobody_is_root() -> None:
    assert VALUES["securityContexts"]["pod"]["runAsNonRoot"] is True
    assert VALUES["securityContexts"]["container"]["allowPrivilegeEscalation"] is False


def test_no_more_runs_than_the_workers_have_slots_for() -> None:
    slots = VALUES["workers"]["celery"]["replicas"] * VALUES["config"]["celery"]["worker_concurrency"]
    assert VALUES["config"]["core"]["parallelism"] * VALUES["scheduler"]["replicas"] == slots
    environment = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["x-airflow"]["environment"]
    assert environment["AIRFLOW__CORE__PARALLELISM"] == f"${{PARALLELISM:-{slots}}}"


def test_what_runs_on_the_cluster_may_reach_the_api_server() -> None:
    assert VALUES["networkPolicies"]["enabled"]
    assert VALUES["apiServer"]["networkPolicy"]["ingress"]["from"]


def test_every_setting_that_no_connection_has_is_given_to_containers() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["x-airflow"]["environment"]
    names = {name.upper() for name in FROM_ENVIRONMENT}
    assert names - set(compose) == set()
    assert names - {variable["name"] for variable in VALUES["env"]} == set()
    kept = {variable["name"]: f"{variable['value']}" for variable in VALUES["env"]} | {"REPORT_URL": ""}
    read_settings({name: kept[name] for name in names})  # each value is one that the program takes


def test_settings_are_those_of_the_compose_file() -> None:
    environment = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["x-airflow"]["environment"]
    shared = {
        (section, name): str(value)
        for section in ("celery", "celery_broker_transport_options", "scheduler")
        for name, value in VALUES["config"][section].items()
    }
    assert len(shared) >= 6
    for (section, name), value in shared.items():
        assert environment[f"AIRFLOW__{section.upper()}__{name.upper()}"] == value, name
