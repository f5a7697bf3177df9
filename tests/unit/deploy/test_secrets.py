"""make_secrets.py: everything compose.yaml asks for, once, and readable by nobody else."""

import base64
import importlib.util
import json
import stat
from pathlib import Path
from types import ModuleType

import pytest
import yaml

DEPLOY = Path(__file__).parents[3] / "deploy"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_secrets", DEPLOY / "make_secrets.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FOLDER", tmp_path / "secrets")
    monkeypatch.setenv("NEOPLE_API_KEY", "the-key")
    return module


def test_every_secret_of_the_compose_file_is_made(script: ModuleType) -> None:
    script.main()
    made = {path.name for path in script.FOLDER.iterdir()}
    assert set(yaml.safe_load((DEPLOY / "compose.yaml").read_text())["secrets"]) <= made


def test_only_the_owner_gets_at_them(script: ModuleType) -> None:
    script.main()
    assert stat.S_IMODE(script.FOLDER.stat().st_mode) == 0o700


def test_containers_may_read_them_and_their_owner_may_replace_them_in_place(script: ModuleType) -> None:
    script.main()
    assert {stat.S_IMODE(path.stat().st_mode) for path in script.FOLDER.iterdir()} == {0o644}


def test_a_second_run_changes_nothing(script: ModuleType) -> None:
    script.main()
    before = {path.name: path.read_text() for path in script.FOLDER.iterdir()}
    script.main()
    assert {path.name: path.read_text() for path in script.FOLDER.iterdir()} == before


def test_the_parts_fit_together(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    script.main()
    read = {path.name: path.read_text() for path in script.FOLDER.iterdir()}
    connections = json.loads(read["connections.json"])
    assert connections["neople_api"]["password"] == "the-key"  # noqa: S105 - made up
    assert connections["neople_warehouse"]["password"] == read["warehouse"]
    credentials = json.loads(read["store.json"])["identities"][0]["credentials"]
    lake = connections["neople_lake"]
    assert credentials == [{"accessKey": lake["login"], "secretKey": lake["password"]}]
    assert read["metastore"] in read["metastore_url"]
    assert read["redis"] in read["broker_url"]
    assert len(base64.urlsafe_b64decode(read["fernet_key"])) == 32
    assert len(read["jwt_secret"]) >= 64
    assert not any(secret in capsys.readouterr().out for secret in read.values())
