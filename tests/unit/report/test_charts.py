import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["report.alert", "report.coverage", "report.profiles", "doctor"])
def test_what_draws_no_chart_loads_nothing_that_does(module: str) -> None:
    code = f"import neople_timeline.{module}, sys; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
