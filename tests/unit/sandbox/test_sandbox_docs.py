import re
from pathlib import Path

import pytest

from neople_timeline.sandbox.api import read_options
from neople_timeline.sandbox.faults import NAMES
from neople_timeline.sandbox.rules import Rule
from neople_timeline.sandbox.switches import Switches

DOCS = Path(__file__).parents[3].joinpath("docs/sandbox.md").read_text("utf-8")
TOLD = set(re.findall(r"`([\w-]+)`", DOCS))


def test_every_fault_rule_field_and_setting_is_told() -> None:
    wanted = NAMES | {*Rule.__struct_fields__} - {"fault"} | {*Switches.__struct_fields__}
    assert wanted - TOLD == set()


def test_every_option_is_told_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_options(["--help"])
    options = set(re.findall(r"--[\w-]+", capsys.readouterr().out)) - {"--help"}
    assert set(re.findall(r"^\| `(--[\w-]+)`", DOCS, re.MULTILINE)) == options
