"""What happens when the API asks everybody on a key to wait for ten minutes."""

import pytest
from small_roster import CHARACTERS, WEDNESDAY, change, count

from neople_timeline import pipeline
from neople_timeline.errors import RetryLater
from neople_timeline.models import Shard
from neople_timeline.neople.protocol import Paused
from neople_timeline.settings import Settings
from sandbox_control import SandboxApi


def test_who_is_asked_to_wait_for_long_leaves_at_once_and_all_on_the_key_are_told(
    small: Settings, small_api: SandboxApi
) -> None:
    pipeline.plan_day(small, WEDNESDAY)
    small_api.fail({"fault": "too_many", "retry_after": "600", "times": 1})
    with pytest.raises(RetryLater) as told:
        pipeline.collect_shard(small, Shard.whole(WEDNESDAY))
    assert 500 < told.value.seconds <= 600
    assert (
        count(
            small,
            "state = 'planned' AND worker_id IN (SELECT worker_id FROM timeline.worker WHERE finished_at IS NULL)",
        )
        == 0
    )

    asked = small_api.stats()["requests"]
    with pytest.raises(Paused, match="asked everybody on this key to wait"):
        pipeline.collect_shard(small, Shard.whole(WEDNESDAY))
    with pytest.raises(Paused):
        pipeline.search_characters(small, "all", "빛")
    assert small_api.stats()["requests"] == asked

    change(small, "UPDATE timeline.rate_budget SET paused_until = now()")
    pipeline.collect_shard(small, Shard.whole(WEDNESDAY))
    assert count(small, "state = 'landed'") == CHARACTERS
