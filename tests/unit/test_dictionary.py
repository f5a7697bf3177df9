from pathlib import Path

import pytest

from neople_timeline import dictionary
from neople_timeline.catalogue import MARTS
from neople_timeline.tables import TABLES


def test_every_column_of_every_table_is_in_the_page() -> None:
    text = dictionary.render_dictionary()
    for table in (*TABLES, *MARTS):
        section = text.split(f"### {table.name}\n")[1].split("\n### ")[0]
        assert all(f"| `{column.name}` |" in section for column in table.columns)


def test_the_page_in_the_repository_is_fresh() -> None:
    page = Path(__file__).parents[2] / dictionary.PAGE
    assert page.read_text("utf-8") == dictionary.render_dictionary()


def test_a_stale_page_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    assert dictionary.main(["--check"]) == 1
    assert "is stale" in capsys.readouterr().err
    assert dictionary.main([]) == 0
    assert dictionary.main(["--check"]) == 0
