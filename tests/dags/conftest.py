import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

# Airflow reads its surroundings when it is first imported, and would write a configuration into the home folder.
AIRFLOW_HOME = tempfile.mkdtemp(prefix="nt-airflow-")
atexit.register(shutil.rmtree, AIRFLOW_HOME, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = AIRFLOW_HOME
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(Path(__file__).parents[2] / "plugins")
# As Airflow does it, which adds the folder of plugins by itself.
sys.path.insert(0, str(Path(__file__).parents[2] / "dags"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            # Airflow and its providers warn of one another's deprecations; nothing of ours.
            item.add_marker(pytest.mark.filterwarnings("default"))
