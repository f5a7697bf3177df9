"""The dashboard files: complete panels, questions that only read, and a data source that can do no more."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

GRAFANA = Path(__file__).parents[3] / "deploy" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "neople-timeline.json").read_text())
METRICS: dict[str, Any] = json.loads((GRAFANA / "neople-timeline-metrics.json").read_text())


@pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: panel["title"])
def test_a_panel_explains_itself_and_only_reads(panel: dict[str, Any]) -> None:
    assert len(panel["description"]) > 20
    assert panel["targets"][0]["rawSql"].startswith("SELECT ")
    assert ";" not in panel["targets"][0]["rawSql"]
    assert panel["datasource"]["uid"] == "${datasource}"


@pytest.mark.parametrize("panel", METRICS["panels"], ids=lambda panel: panel["title"])
def test_a_panel_of_metrics_explains_itself_and_asks_for_airflows_metrics(panel: dict[str, Any]) -> None:
    assert len(panel["description"]) > 20
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for target in panel["targets"]:
        assert re.findall(r"\bairflow_\w+", target["expr"])
        assert target["expr"].count("(") == target["expr"].count(")")


def test_figures_of_different_runs_are_one_line_of_which_the_last_is_shown() -> None:
    """Every task is a process, thus a series of its own in Prometheus."""
    targets = [target for panel in METRICS["panels"] for target in panel["targets"]]
    figures = [target for target in targets if "airflow_timeline_" in target["expr"]]
    assert len(figures) >= 11
    for target in figures:
        assert re.fullmatch(r"max\(last_over_time\(airflow_timeline_\w+\[\$__interval\]\)\)", target["expr"])
        assert not target.get("instant")


@pytest.mark.parametrize("board", [DASHBOARD, METRICS], ids=["warehouse", "metrics"])
def test_panels_do_not_overlap(board: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_the_figures_that_matter_are_there() -> None:
    titles = " ".join(panel["title"] for panel in DASHBOARD["panels"])
    for figure in ("Requests", "share", "owed", "Events", "Lag", "From plan to proof"):
        assert figure in titles


def test_the_data_source_is_the_reader_with_a_password_from_a_file() -> None:
    source = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "timeline.yaml").read_text())["datasources"][0]
    assert source["user"] == "timeline_reader"
    assert source["secureJsonData"] == {"password": "$__file{/run/secrets/reader}"}
