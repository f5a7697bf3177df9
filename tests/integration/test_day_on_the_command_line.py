"""A day on the command line, as a person types it: a process with settings in its environment, in a strange folder."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from mail_catcher import Smtp
from neople_timeline.digest import hash_bytes
from neople_timeline.lake import Lake, open_lake
from neople_timeline.raw import name_raw
from neople_timeline.settings import make_settings
from neople_timeline.warehouse.connection import upgrade
from sandbox_control import SandboxApi

DAY = date(2026, 11, 15)
COMPLETE, INDEBTED, WRONG, FAILED = range(4)


@dataclass(frozen=True)
class Terminal:
    """A folder with nothing in it, and an environment with the settings."""

    folder: Path
    settings: dict[str, str]
    printed: list[str] = field(default_factory=list)

    def run(self, *arguments: str, **settings: str) -> tuple[int, str]:
        """Give the exit code and what was printed on both streams."""
        done = subprocess.run(
            [Path(sys.executable).with_name("neople-timeline"), *arguments],
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.settings, **settings},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        assert "Traceback" not in done.stdout, done.stdout
        self.printed.append(done.stdout)
        return done.returncode, done.stdout

    @property
    def lake(self) -> Lake:
        return open_lake(make_settings({name.lower(): value for name, value in self.settings.items()}))

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.settings["WAREHOUSE_URL"], autocommit=True) as connection:
            result = connection.execute(statement.encode())
            return result.fetchall() if result.description else []

    def read_objects(self, prefix: str = "") -> dict[str, bytes]:
        return {key: self.lake.get(key) for key in self.lake.list_keys(prefix)}

    @property
    def api(self) -> SandboxApi:
        return SandboxApi(self.settings["NEOPLE_API_URL"], self.settings["NEOPLE_API_KEY"])

    def count_requests(self) -> int:
        return int(self.api.stats()["requests"])


@pytest.fixture
def make_terminal(
    tmp_path: Path,
    postgres_url: str,
    sandbox_api: SandboxApi,
    smtp: Smtp,
) -> Callable[[dict[str, str]], Terminal]:
    def make(lake: dict[str, str]) -> Terminal:
        settings = {
            "NEOPLE_API_URL": sandbox_api.url,
            "NEOPLE_API_KEY": sandbox_api.key,
            "WAREHOUSE_URL": postgres_url,
            "SMTP_URL": smtp.url,
            "REPORT_TO": "players@example.org",
            **lake,
        }
        terminal = Terminal(tmp_path, settings)
        (tmp_path / "guild.csv").write_bytes(terminal.api.read("roster.csv"))
        assert terminal.run("roster", "import", "guild.csv")[0] == COMPLETE
        return terminal

    return make


@pytest.fixture
def terminal(make_terminal: Callable[[dict[str, str]], Terminal], s3: dict[str, str]) -> Terminal:
    return make_terminal(s3)


def read_truth(terminal: Terminal, day: date) -> Counter[tuple[Any, ...]]:
    span = f"start={day}%2006:00&end={day + timedelta(days=1)}%2005:59"
    rows = map(json.loads, terminal.api.read(f"truth?{span}").splitlines())
    return Counter((row["serverId"], row["characterId"], row["date"], row["code"], _sort(row["data"])) for row in rows)


def read_rows(terminal: Terminal, day: date) -> Counter[tuple[Any, ...]]:
    columns = "server_id, character_id, occurred_minute, code, data"
    rows = terminal.query(f"SELECT {columns} FROM timeline.event WHERE day = '{day}'")
    return Counter((*head, _sort(data)) for *head, data in rows)


def _sort(data: object) -> str:
    return json.dumps(data, sort_keys=True)


def test_a_day_is_the_truth_and_a_second_run_asks_and_changes_nothing(terminal: Terminal) -> None:
    code, said = terminal.run("day", f"{DAY}")
    assert code == COMPLETE, said
    truth = read_truth(terminal, DAY)
    assert truth.total() > 400
    assert read_rows(terminal, DAY) == truth
    before = terminal.read_objects(), terminal.query("SELECT xmin, * FROM timeline.event"), terminal.count_requests()

    code, said = terminal.run("day", f"{DAY}")
    assert code == COMPLETE
    assert "everything is there already" in said
    assert terminal.query("SELECT xmin, * FROM timeline.event") == before[1]
    assert terminal.count_requests() == before[2]
    data = {key for key in before[0] if not key.startswith("reports/")}
    assert {key: body for key, body in terminal.read_objects().items() if key in data} == {
        key: before[0][key] for key in data
    }


def test_a_day_needs_no_s3_and_no_mail_server(
    make_terminal: Callable[[dict[str, str]], Terminal], tmp_path: Path
) -> None:
    terminal = make_terminal({"LAKE_URL": f"file://{tmp_path}/lake"})
    code, said = terminal.run("day", f"{DAY}", SMTP_URL="", REPORT_TO="")
    assert code == COMPLETE, said
    assert read_rows(terminal, DAY) == read_truth(terminal, DAY)


def test_collecting_again_replaces_a_day_whole(terminal: Terminal) -> None:
    assert terminal.run("day", f"{DAY}")[0] == COMPLETE
    terminal.api.fail({"fault": "unknown_code", "route": "timeline"})
    assert terminal.run("day", f"{DAY}")[1].count("everything is there already") == 1
    assert terminal.run("day", f"{DAY}", "--again")[0] == COMPLETE
    assert read_rows(terminal, DAY) == read_truth(terminal, DAY)
    assert [code for *_, code, _ in read_rows(terminal, DAY)].count(999) >= 40 - 1
    assert terminal.run("verify", f"{DAY}")[0] == COMPLETE


def test_what_cannot_be_had_is_owed_and_paid_by_the_next_run(terminal: Terminal) -> None:
    character = terminal.query("SELECT character_id FROM timeline.roster ORDER BY 1 LIMIT 1")[0][0]
    terminal.api.fail({"fault": "html_200", "character": character})
    code, said = terminal.run("day", f"{DAY}")
    assert (code, "owed" in said) == (INDEBTED, True), said
    code, said = terminal.run("owed")
    assert code == INDEBTED
    assert character in said

    terminal.api.fail()
    code, said = terminal.run("retry")
    assert code == COMPLETE, said
    assert terminal.run("owed") == (COMPLETE, "Nothing is owed.\n")
    assert read_rows(terminal, DAY) == read_truth(terminal, DAY)


DOUBLE = "jsonb_populate_record(o, '{\"ordinal\": 99}')"
TAMPER = (
    "UPDATE timeline.event SET name = name || '!' WHERE {one}",
    "UPDATE timeline.event SET item_rarity = coalesce(item_rarity, '') || '!' WHERE {one}",
    "UPDATE timeline.event SET is_guide = is_guide IS NULL WHERE {one}",
    "UPDATE timeline.event SET occurred_at = occurred_at + interval '1 microsecond' WHERE {one}",
    "DELETE FROM timeline.event WHERE {one}",
    f"INSERT INTO timeline.event SELECT e.* FROM timeline.event o, {DOUBLE} e ORDER BY o.ctid LIMIT 1",
    "UPDATE timeline.character SET character_name = '???'",
    "DELETE FROM timeline.character WHERE events = 0",
)
ONE = "ctid = (SELECT min(ctid) FROM timeline.event)"


def test_a_changed_row_is_found_and_the_next_run_mends_it_without_asking(terminal: Terminal) -> None:
    assert terminal.run("day", f"{DAY}")[0] == COMPLETE
    asked = terminal.count_requests()
    for statement in TAMPER:
        terminal.query(statement.replace("{one}", ONE))
        code, said = terminal.run("verify", f"{DAY}")
        assert (code, "PostgreSQL has" in said) == (FAILED, True), (statement, said)
        code, said = terminal.run("day", f"{DAY}")
        assert code == COMPLETE, (statement, said)
    assert read_rows(terminal, DAY) == read_truth(terminal, DAY)
    assert terminal.count_requests() == asked


def test_a_spoilt_or_lost_object_is_found_and_the_next_run_mends_it(terminal: Terminal) -> None:
    assert terminal.run("day", f"{DAY}")[0] == COMPLETE
    for table in ("events", "characters", "raw"):
        key = terminal.lake.list_keys(f"{table}/day={DAY}/")[0]
        whole = terminal.lake.get(key)
        terminal.lake.put(key, whole[: len(whole) // 2])
        assert terminal.run("verify", f"{DAY}")[0] == FAILED, table
        terminal.lake.delete([key])
        assert terminal.run("verify", f"{DAY}")[0] == FAILED, table
        asked = terminal.count_requests()
        code, said = terminal.run("day", f"{DAY}")
        assert (code, terminal.count_requests()) == (COMPLETE, asked), (table, said)
    assert terminal.run("verify", f"{DAY}")[0] == COMPLETE
    assert read_rows(terminal, DAY) == read_truth(terminal, DAY)


def test_rows_that_nobody_answers_for_are_found(terminal: Terminal) -> None:
    assert terminal.run("day", f"{DAY}")[0] == COMPLETE
    terminal.query(
        "INSERT INTO timeline.character SELECT s.* FROM timeline.character c,"
        f' jsonb_populate_record(c, \'{{"character_id": "{"f" * 32}"}}\') s ORDER BY c.ctid LIMIT 1'
    )
    code, said = terminal.run("verify", f"{DAY}")
    assert (code, "PostgreSQL has 1 row in timeline.character" in said) == (FAILED, True), said
    terminal.query(f"DELETE FROM timeline.character WHERE character_id = '{'f' * 32}'")
    assert terminal.run("verify", f"{DAY}")[0] == COMPLETE


def move_a_day(table: pa.Table) -> pa.Table:
    return table.set_column(0, "day", pa.array([DAY - timedelta(days=1)] * table.num_rows))


def double_a_row(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table, table.slice(0, 1)])


@pytest.mark.parametrize(
    ("name", "tamper", "said"), [("events", move_a_day, "other days"), ("characters", double_a_row, "characters twice")]
)
def test_a_changed_object_is_found_and_the_next_run_mends_it(
    terminal: Terminal, name: str, tamper: Callable[[pa.Table], pa.Table], said: str
) -> None:
    assert terminal.run("day", f"{DAY}")[0] == COMPLETE
    key = terminal.lake.list_keys(f"{name}/day={DAY}/")[0]
    changed = io.BytesIO()
    pq.write_table(tamper(pq.read_table(io.BytesIO(terminal.lake.get(key)))), changed)
    terminal.lake.put(key, changed.getvalue())
    code, printed = terminal.run("verify", f"{DAY}")
    assert (code, "is not as it was written" in printed) == (FAILED, True), printed
    terminal.query(f"UPDATE timeline.part SET {name}_hash = '{hash_bytes(changed.getvalue())}' WHERE bucket = 0")
    code, printed = terminal.run("verify", f"{DAY}")
    assert (code, said in printed) == (FAILED, True), printed
    assert terminal.run("day", f"{DAY}")[0] == COMPLETE
    assert terminal.run("verify", f"{DAY}")[0] == COMPLETE


def test_a_lost_answer_without_events_is_found(terminal: Terminal) -> None:
    assert terminal.run("day", f"{DAY}")[0] == COMPLETE
    ((character, key),) = terminal.query(
        f"SELECT character_id, raw_key FROM timeline.collection WHERE day = '{DAY}' AND events = 0"
        " AND raw_key IS NOT NULL ORDER BY 1 LIMIT 1"
    )
    lines = zstandard.ZstdDecompressor().stream_reader(terminal.lake.get(key)).read().splitlines(keepends=True)
    kept = b"".join(line for line in lines if character.encode() not in line)
    data = zstandard.ZstdCompressor().compress(kept)
    terminal.lake.put(key, data)
    code, said = terminal.run("verify", f"{DAY}")
    assert (code, f"{key} is damaged" in said) == (FAILED, True), said
    other = name_raw(f"raw/day={DAY}", "other", data)
    terminal.lake.put(other, data)
    terminal.query(f"UPDATE timeline.collection SET raw_key = '{other}' WHERE raw_key = '{key}'")
    code, said = terminal.run("verify", f"{DAY}")
    assert (code, f"{character}: raw answers have none" in said) == (FAILED, True), said


def test_a_day_that_is_not_over_is_refused_and_on_demand_collected_but_not_called_complete(terminal: Terminal) -> None:
    now = make_settings({}).calendar.day_at(datetime.now(UTC))
    for day, fault in ((now, "is not over"), (now + timedelta(days=1), "has not begun")):
        code, said = terminal.run("day", f"{day}")
        assert code == WRONG
        assert fault in said
    code, said = terminal.run("day", f"{now}", "--unfinished")
    assert code == INDEBTED
    assert "marked as provisional. It is not mailed" in said
    assert terminal.query("SELECT count(*) FROM timeline.mail") == [(0,)]


WRONG_SETTINGS = (
    ({"NEOPLE_API_KEY": "wrong"}, FAILED, "API003"),
    ({"NEOPLE_API_KEY": ""}, WRONG, "NEOPLE_API_KEY not set"),
    ({"NEOPLE_API_RATE": "fast"}, WRONG, "NEOPLE_API_RATE"),
    ({"AWS_SECRET_ACCESS_KEY": "wrong"}, WRONG, "check AWS_ACCESS_KEY_ID"),
    ({"LAKE_URL": "s3://lake/of-somebody-else"}, WRONG, "do not belong together"),
    ({"DAY_STARTS_AT": "00:00"}, WRONG, "DAY_STARTS_AT"),
)


def test_a_wrong_setting_is_named(terminal: Terminal) -> None:
    assert terminal.run("day", "2026-11-14")[0] == COMPLETE
    for settings, code, said in WRONG_SETTINGS:
        found, printed = terminal.run("day", f"{DAY}", **settings)
        assert (found, said in printed) == (code, True), printed
    for command in (
        ["retry"],
        ["verify", "2026-11-14"],
        ["report", "2026-11-14"],
        ["backfill", "2026-11-13", "2026-11-14"],
    ):
        found, printed = terminal.run(*command, DAY_STARTS_AT="00:00")
        assert (found, "DAY_STARTS_AT" in printed) == (WRONG, True), (command, printed)
        found, printed = terminal.run(*command, LAKE_URL="s3://lake/of-somebody-else")
        assert (found, "do not belong together" in printed) == (WRONG, True), (command, printed)
    assert "do not belong together" in terminal.run("doctor", LAKE_URL="s3://lake/of-somebody-else")[1]
    assert terminal.query("SELECT count(verified_at) FROM timeline.day") == [(1,)]


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Let programs started here hear Ctrl-C, also where these tests run in the background and do not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_a_warehouse_that_does_not_answer_is_waited_for_until_somebody_interrupts(terminal: Terminal) -> None:
    with subprocess.Popen(
        [Path(sys.executable).with_name("neople-timeline"), "day", f"{DAY}"],
        env={**terminal.settings, "WAREHOUSE_URL": "postgresql://nobody@127.0.0.1:1/none"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        assert "PostgreSQL does not answer" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == FAILED


def test_no_secret_is_printed_and_none_is_left_behind(terminal: Terminal) -> None:
    assert terminal.run("day", f"{DAY}")[0] == COMPLETE
    assert "overwrites nothing unasked" in terminal.run("doctor")[1]
    terminal.run("day", "2026-11-14", NEOPLE_API_KEY=f"{terminal.settings['NEOPLE_API_KEY']}0")
    secrets = [
        terminal.settings["NEOPLE_API_KEY"],
        terminal.settings["AWS_SECRET_ACCESS_KEY"],
        *re.findall(r"://\w+:([^@]+)@", terminal.settings["WAREHOUSE_URL"] + terminal.settings["SMTP_URL"]),
    ]
    assert len(secrets) == 4
    for name, content in list_remains(terminal):
        assert [secret for secret in secrets if secret.encode() in content] == [], name


def list_remains(terminal: Terminal) -> Iterator[tuple[str, bytes]]:
    yield from (("the output", text.encode()) for text in terminal.printed)
    yield from terminal.read_objects("reports/").items()
    yield from terminal.read_objects("lake.json").items()
    tables = terminal.query("SELECT tablename FROM pg_tables WHERE schemaname = 'timeline'")
    for (table,) in tables:
        yield table, "\n".join(row[0] for row in terminal.query(f"SELECT t::text FROM timeline.{table} t")).encode()


def test_names_find_characters(terminal: Terminal) -> None:
    terminal.run(
        "roster",
        "remove",
        *(f"{s},{c}" for s, c in terminal.query("SELECT server_id, character_id FROM timeline.roster")),
    )
    assert "The roster is empty" in terminal.run("roster", "list")[1]
    code, said = terminal.run("roster", "add", "카인", "없는이름")
    assert code == INDEBTED
    assert "no character named" in said
    code, said = terminal.run("roster", "add", "어딘가", "이름")
    assert code == WRONG
    assert "카인" in said


def test_the_schema_goes_back_and_forth_with_data_in_it(terminal: Terminal) -> None:
    settings = make_settings({name.lower(): value for name, value in terminal.settings.items()})
    assert terminal.run("day", f"{DAY}")[0] == COMPLETE
    upgrade(settings, "0001")
    assert read_rows(terminal, DAY) == read_truth(terminal, DAY)
    assert terminal.run("day", f"{DAY}")[0] == COMPLETE
    assert terminal.query("SELECT sum(events)::int FROM timeline.mart_codes_by_day") == [
        (read_truth(terminal, DAY).total(),)
    ]
    upgrade(settings, "base")
    assert terminal.query("SELECT tablename FROM pg_tables WHERE schemaname = 'timeline' AND tablename = 'event'") == []
