"""Writes to a real S3 that depend on what is there: nobody overwrites what somebody else wrote meanwhile."""

import pytest

from neople_timeline.errors import Overtaken
from neople_timeline.lake import Lake, open_lake
from neople_timeline.settings import make_settings


@pytest.fixture
def lake(s3: dict[str, str]) -> Lake:
    return open_lake(make_settings({name.lower(): value for name, value in s3.items()}))


def test_what_was_seen_and_is_there_still_is_replaced(lake: Lake) -> None:
    seen = lake.put("a", b"first")
    written = lake.replace("a", b"second", etag=seen)
    assert written != seen
    assert lake.etag("a") == written
    assert lake.get("a") == b"second"


def test_who_saw_an_older_object_is_overtaken_and_leaves_the_newer_bytes(lake: Lake) -> None:
    seen = lake.put("a", b"first")
    newer = lake.replace("a", b"newer", etag=seen)
    with pytest.raises(Overtaken, match="rewritten by another run"):
        lake.replace("a", b"late", etag=seen)
    found = lake.read("a")
    assert found
    assert (found.data, found.etag) == (b"newer", newer)


def test_who_saw_an_older_object_and_writes_what_is_there_gets_its_tag(lake: Lake) -> None:
    seen = lake.put("a", b"first")
    newer = lake.replace("a", b"newer", etag=seen)
    assert lake.replace("a", b"newer", etag=seen) == newer  # its own write, whose answer got lost


def test_who_saw_nothing_creates_the_object_and_overwrites_none(lake: Lake) -> None:
    lake.replace("a", b"first", etag=None)
    with pytest.raises(Overtaken):
        lake.replace("a", b"late", etag=None)
    assert lake.get("a") == b"first"


def test_an_object_that_vanished_is_not_written_anew_by_who_had_seen_it(lake: Lake) -> None:
    seen = lake.put("a", b"first")
    lake.delete(["a"])
    with pytest.raises(Overtaken):
        lake.replace("a", b"second", etag=seen)
    assert lake.read("a") is None
