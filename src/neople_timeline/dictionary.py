"""Write docs/data-dictionary.md from the tables and the marts: `python -m neople_timeline.dictionary [--check]`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from neople_timeline.bookkeeping import OWN_TABLES, OwnTable
from neople_timeline.catalogue import MARTS, Mart
from neople_timeline.tables import TABLES, Table

PAGE: Final = Path("docs/data-dictionary.md")

INTRODUCTION: Final = """# Data dictionary

Made from `tables.py`, `bookkeeping.py` and the headers of `marts/sql/*.sql` by `python -m neople_timeline.dictionary`.
Do not edit it.

Columns have the same names in the lake (Parquet) and in PostgreSQL (schema `timeline`), where those that came later
are last. A day is the game's day, 06:00 to 05:59 Korean time unless `DAY_STARTS_AT` says otherwise, named by the date
on which it starts. A week runs from Thursday to Wednesday and is named by its Thursday, a month by its first day.
Instants are UTC; a "Korean minute" is text, `YYYY-MM-DD HH:mm`. Counts are numbers of events or characters, levels are
the game's own numbers; nothing else has a unit. `source` is the field of the API's answer; empty where the project
derives the value.
"""


def render_dictionary() -> str:
    """Render the whole page as Markdown."""
    parts = [INTRODUCTION, "## Data\n"]
    parts += ["\n".join(_describe_table(table)) for table in TABLES]
    parts.append("## Marts\n\nComputed anew for the days, weeks and months that a run touches, and replaced whole.\n")
    parts += ["\n".join(_describe_mart(mart)) for mart in MARTS]
    parts.append(
        "## Bookkeeping\n\nThe project's own notes, in PostgreSQL only (schema `timeline`). Read them, but leave the\n"
        "writing to the project; `roster` alone is yours.\n"
    )
    parts += ["\n".join(_describe_own(table)) for table in OWN_TABLES]
    return "\n".join(parts)


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` say whether it is fresh; give the exit code."""
    text = render_dictionary()
    if arguments != ["--check"]:
        PAGE.write_text(text, "utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text("utf-8") == text:
        return 0
    sys.stderr.write(f"{PAGE} is stale: run `python -m neople_timeline.dictionary` and commit it\n")
    return 1


def _describe_table(table: Table) -> Iterator[str]:
    yield f"### {table.name}\n"
    yield f"{table.meaning} Lake: `{table.name}/day=…/`; PostgreSQL: `timeline.{table.warehouse_name}`.\n"
    yield "| column | Parquet | PostgreSQL | meaning | source |"
    yield "|---|---|---|---|---|"
    for column in table.columns:
        source = f"`{column.source}`" if column.source else ""
        yield f"| `{column.name}` | {column.arrow} | {column.sql} | {_cell(column.meaning)} | {source} |"
    yield ""


def _describe_mart(mart: Mart) -> Iterator[str]:
    yield f"### {mart.name}\n"
    yield f"{mart.meaning}\n"
    yield f"For example: {mart.question}\n"
    keys = ", ".join(f"`{key}`" for key in mart.keys)
    lake = f"marts/{mart.name}/{mart.period}=…/"
    yield f"One row per {keys}. Lake: `{lake}`; PostgreSQL: `timeline.{mart.warehouse_name}`.\n"
    yield "| column | Parquet | PostgreSQL | meaning |"
    yield "|---|---|---|---|"
    for column in mart.columns:
        yield f"| `{column.name}` | {column.arrow} | {column.sql} | {_cell(column.meaning)} |"
    yield ""


def _describe_own(table: OwnTable) -> Iterator[str]:
    yield f"### {table.name}\n"
    yield f"{table.meaning}\n"
    yield "| column | PostgreSQL | meaning |"
    yield "|---|---|---|"
    for name, kind, meaning in table.columns:
        yield f"| `{name}` | {kind} | {_cell(meaning)} |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
