import io
from datetime import date, time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neople_timeline.errors import ConfigError, DataError, Overtaken, RetryLater
from neople_timeline.lake import LAKE_FILE, Lake, open_lake, part_key, raw_prefix
from neople_timeline.models import Calendar
from neople_timeline.settings import Settings
from neople_timeline.tables import EVENTS

DAY, NEXT_DAY = date(2026, 11, 15), date(2026, 11, 16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a lake"


@pytest.fixture
def lake(folder: Path) -> Lake:
    return open_lake(Settings(lake_url=f"file://{folder}"))


def make_parquet(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def make_events(day: date, rows: int) -> bytes:
    empty = EVENTS.schema.empty_table().to_pylist()
    filled = [{**dict.fromkeys(EVENTS.schema.names), "day": day, "ordinal": number} for number in range(rows)]
    return make_parquet(pa.Table.from_pylist([*empty, *filled], EVENTS.schema))


def test_without_an_address_there_is_no_lake() -> None:
    with pytest.raises(ConfigError, match="LAKE_URL"):
        open_lake(Settings())


def test_what_was_put_is_read_listed_and_deleted(lake: Lake) -> None:
    for key in ("raw/day=2026-11-15/2", "raw/day=2026-11-15/1", "raw/day=2026-11-16/3", "rawish/4"):
        lake.put_new(key, key.encode())
    assert lake.list_keys(raw_prefix(DAY)) == ["raw/day=2026-11-15/1", "raw/day=2026-11-15/2"]
    assert len(lake.list_keys("raw")) == 3
    assert lake.get("rawish/4") == b"rawish/4"
    lake.delete(["raw/day=2026-11-15/1", "raw/day=2026-11-15/1", "never/there"])
    assert lake.list_keys(raw_prefix(DAY)) == ["raw/day=2026-11-15/2"]


def test_a_new_object_never_overwrites_another(lake: Lake) -> None:
    lake.put_new("raw/1", b"first")
    lake.put_new("raw/1", b"first")
    with pytest.raises(DataError, match="nothing was overwritten"):
        lake.put_new("raw/1", b"second")
    assert lake.get("raw/1") == b"first"


def test_put_overwrites_on_purpose(lake: Lake) -> None:
    lake.put("marts/x", b"first")
    lake.put("marts/x", b"second")
    assert lake.get("marts/x") == b"second"


def test_what_is_not_there_is_none_or_a_broken_promise(lake: Lake) -> None:
    assert lake.read("raw/1") is None
    assert lake.etag("raw/1") is None
    with pytest.raises(DataError, match="raw/1 is gone"):
        lake.get("raw/1")
    assert lake.list_keys("raw") == []


def test_the_entity_tag_is_that_of_the_bytes_read(lake: Lake) -> None:
    tag = lake.put("a", b"first")
    found = lake.read("a")
    assert found
    assert (found.data, found.etag) == (b"first", tag)
    assert lake.etag("a") == tag


def test_replacing_what_is_not_there_any_more_as_it_was_seen_is_refused(lake: Lake) -> None:
    lake.replace("a", b"mine", etag=None)
    lake.replace("a", b"mine", etag=None)  # our own write, whose answer got lost
    with pytest.raises(RetryLater, match="rewritten by another run"):
        lake.replace("a", b"yours", etag=None)
    assert lake.get("a") == b"mine"
    lake.replace("a", b"new", etag=lake.etag("a"))
    assert lake.get("a") == b"new"


def test_an_object_that_somebody_deleted_is_not_called_a_bucket_that_is_not_there(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(*_: object, **__: object) -> None:
        raise FileNotFoundError  # as Amazon's S3 says of both

    monkeypatch.setattr("neople_timeline.lake.obstore.put", answer)
    with pytest.raises(Overtaken, match="rewritten by another run"):
        lake.replace("a", b"new", etag="as it was seen")
    with pytest.raises(ConfigError, match="there is no bucket"):
        lake.replace("a", b"new", etag=None)


def test_the_first_claim_fixes_where_days_start(lake: Lake) -> None:
    lake_id = lake.ensure_id(Calendar(time(6)))
    assert lake.ensure_id(Calendar(time(6))) == lake_id
    with pytest.raises(ConfigError, match="DAY_STARTS_AT is 00:00, but the days of this lake start at 06:00"):
        lake.ensure_id(Calendar(time(0)))
    assert lake.list_keys("") == [LAKE_FILE]


@pytest.mark.parametrize("content", [b"", b"garbage", b"[]", b"{}", b'{"lake_id": "", "day_starts_at": "06:00"}'])
def test_a_damaged_lake_file_is_named(lake: Lake, content: bytes) -> None:
    lake.put(LAKE_FILE, content)
    with pytest.raises(ConfigError, match=LAKE_FILE):
        lake.ensure_id(Calendar())


def test_the_parquet_of_a_local_lake_is_read_where_it_is(lake: Lake, folder: Path) -> None:
    keys = [part_key("events", DAY, 0, 2), part_key("events", DAY, 1, 2), part_key("events", NEXT_DAY, 0, 2)]
    for key in keys:
        lake.put(key, b"parquet")
    assert lake.fetch(keys, folder) == [folder / key for key in keys]
    with pytest.raises(DataError, match="bucket-02-of-04"):
        lake.fetch([*keys, part_key("events", DAY, 2, 4)], folder)


def test_keys_are_named_for_people_and_for_sorting(lake: Lake, folder: Path) -> None:
    assert lake.describe("reports/x") == f"file://{folder}/reports/x"
    assert part_key("events", DAY, 3, 16) == "events/day=2026-11-15/bucket-03-of-16.parquet"
    assert raw_prefix(DAY) == "raw/day=2026-11-15"


def test_a_folder_that_cannot_be_made_is_named() -> None:
    with pytest.raises(ConfigError, match="LAKE_URL: the folder /proc/none/lake cannot be made"):
        open_lake(Settings(lake_url="file:///proc/none/lake"))


def test_a_folder_in_which_nothing_can_be_written_is_not_waited_for(lake: Lake, folder: Path) -> None:
    (folder / "raw").write_bytes(b"a file")
    with pytest.raises(ConfigError, match=r"raw/day=2026-11-15/x cannot be read and written here.*LAKE_URL"):
        lake.put_new("raw/day=2026-11-15/x", b"")
