"""The documents say what is there: what they name exists, and no setting or command is left out."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from neople_timeline.cli.main import app
from neople_timeline.settings import FROM_ENVIRONMENT, Settings

ROOT = Path(__file__).parents[2]
README, KOREAN = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.ko.md"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
SOURCES = (ROOT, ROOT / "src/neople_timeline", ROOT / "deploy")
MADE_LATER = {
    "store.json",
    "my-guild.csv",
    "lake.json",
    "manifest.json",
    "connections.json",
    "deploy/secrets/connections.json",
}


def list_commands(group: Any = None, *names: str) -> set[str]:
    """List the commands as they are typed, those of groups with the group's name."""
    commands = getattr(group or typer.main.get_command(app), "commands", None)
    if commands is None:
        return {" ".join(names)}
    return {command for name, one in commands.items() for command in list_commands(one, *names, name)}


def test_the_readme_lists_every_setting() -> None:
    told = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", README))
    assert {name.upper() for name in Settings.__dataclass_fields__} - told == set()


@pytest.mark.parametrize("text", [README, KOREAN], ids=["README.md", "README.ko.md"])
def test_the_readme_shows_every_command_and_no_other(text: str) -> None:
    commands = list_commands()
    assert {"doctor", "roster add", "sandbox api"} < commands
    lines = [line for line in text.splitlines() if line.startswith("neople-timeline ")]
    assert [one for one in commands if not any(re.search(rf"\b{one}\b", line) for line in lines)] == []
    assert [line for line in lines if not any(line.startswith(f"neople-timeline {one}") for one in commands)] == []


def test_both_readmes_show_the_same_commands() -> None:
    def read_code(text: str) -> list[str]:
        blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        return [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]

    assert read_code(README) == read_code(KOREAN)


def test_operations_tells_every_field_of_every_connection() -> None:
    code = (ROOT / "dags/timeline_connections.py").read_text("utf-8")
    section = (ROOT / "docs/operations.md").read_text("utf-8").split("## Connections")[1].split("\n## ")[0]
    names = set(re.findall(r'^[A-Z]+ = "(\w+)"$', code, re.MULTILINE))
    fields = set(re.findall(r'extra(?:_dejson)?(?:\.get\(|\[)"(\w+)"', code))
    assert (len(names), len(fields)) == (5, 9)
    told = set(re.findall(r"`(\w+)`", section))
    assert (names | fields) - told == set()


def test_duckdb_is_told_everything_that_opens_the_lake() -> None:
    (secret,) = re.findall(r"CREATE SECRET lake \(.*?\);", (ROOT / "docs/queries.md").read_text("utf-8"), re.DOTALL)
    names = {name.upper() for name in Settings.__dataclass_fields__ if name.startswith("aws_")}
    assert set(re.findall(r"AWS_\w+", secret)) == names


@pytest.mark.parametrize("page", ["README.md", "README.ko.md", "docs/operations.md"])
def test_what_comes_from_the_environment_under_airflow_is_told(page: str) -> None:
    sentences = re.findall(r"[^\n]*`DAY_STARTS_AT`, `MARTS_ENGINE`,[^.]*", (ROOT / page).read_text("utf-8"))
    assert set(re.findall(r"`([A-Z_]+)`", sentences[0])) == {name.upper() for name in FROM_ENVIRONMENT}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_name_that_is_told_with_its_file_is_there(page: Path) -> None:
    for file, names in re.findall(r"`([\w./-]+\.py)`: ((?:`\w+`(?:, | and )?)+)", page.read_text("utf-8")):
        (path,) = [base / file for base in SOURCES if (base / file).exists()]
        defined = set(
            re.findall(r"^\s*(?:(?:async )?def |class )?(\w+)\b\s*[=:(]", path.read_text("utf-8"), re.MULTILINE)
        )
        assert set(re.findall(r"\w+", names)) - defined == set(), file


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_file_and_target_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
    files = set(re.findall(r"`([\w./-]+\.(?:py|yaml|json|toml|md|sql|csv))`", text)) - MADE_LATER
    assert [name for name in files if not any((base / name).exists() for base in SOURCES)] == []
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z][a-z-]*)`", text)) - targets == set()
