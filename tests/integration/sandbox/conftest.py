"""A sandbox for all of these tests."""

import json
from collections.abc import Iterator

import pytest
from sandbox_client import KEY, Client, running


@pytest.fixture(scope="module")
def shared() -> Iterator[Client]:
    with running(characters=60, missing=2) as client:
        yield client


@pytest.fixture
def client(shared: Client) -> Iterator[Client]:
    """The shared sandbox, with no rule, figure or setting left from another test."""
    before = json.loads(shared.ask("/sandbox/settings", key=None)[1])
    yield shared
    shared.put("/sandbox/settings", before | {"key": KEY})
    shared.ask("/sandbox/faults", method="DELETE")
    shared.ask("/sandbox/stats/reset", method="POST")
