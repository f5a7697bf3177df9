import os
import tempfile
from pathlib import Path

import pytest

# Airflow reads its surroundings when it is first imported, and would write a configuration into the home folder.
AIRFLOW_HOME = Path(tempfile.mkdtemp(prefix="nt-airflow-"))
os.environ["AIRFLOW_HOME"] = str(AIRFLOW_HOME)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
DAGS = Path(__file__).parents[2] / "dags"


@pytest.fixture(autouse=True)
def _dags_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DAGS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            # Airflow and its providers warn of one another's deprecations; nothing of ours.
            item.add_marker(pytest.mark.filterwarnings("default"))


def pytest_sessionfinish() -> None:
    import shutil  # noqa: PLC0415

    shutil.rmtree(AIRFLOW_HOME, ignore_errors=True)
