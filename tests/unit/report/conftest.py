import pytest
from report_values import make_summary

from neople_timeline.summary import Summary


@pytest.fixture
def summary() -> Summary:
    return make_summary()
