"""Past days at once: from the first to the last, one chain of pages per character and up to 90 days.

It writes no new reports: those that are there are written anew where their days changed.
"""

from datetime import date, timedelta
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import Param, TriggerRule, chain, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from timeline_alerts import explain_failure, mail_failure
from timeline_connections import connect_settings
from timeline_steps import (
    BACKFILL_LAST,
    BACKFILL_POOL,
    RETRIES,
    collect,
    load,
    make_mart_tasks,
    refine,
    republish,
    verify,
)
from timeline_terms import PlainShard, in_airflow_terms, pack_plan, refuse_unknown_parameters, skip_what_was_refused


@task(multiple_outputs=False)
def plan() -> list[PlainShard]:
    """Write the ledger rows of all days in range that have none, and cut them into shards."""
    context = get_current_context()
    params = context["params"]
    with in_airflow_terms():
        from neople_timeline.pipeline import plan_backfill

        refuse_unknown_parameters(context)
        first, last = (date.fromisoformat(params[name]) for name in ("first", "last"))
        return pack_plan(plan_backfill(connect_settings(), first, last, again=params["again"]))


@task(trigger_rule=TriggerRule.ALL_DONE)
def alert() -> bool:
    """Mail which tasks failed and why, once all have ended; again if the run is cleared and fails again."""
    context = get_current_context()
    reason = explain_failure(context)
    if reason is None:
        raise AirflowSkipException("nothing failed")
    first = date.fromisoformat(context["params"]["first"])
    with in_airflow_terms():
        skip_what_was_refused(context)
        return mail_failure(context, first, reason)


@dag(
    schedule=None,
    max_active_runs=1,
    is_paused_upon_creation=False,  # it runs when asked, and would be asked in vain
    default_args={"owner": "timeline", "execution_timeout": timedelta(days=2), **RETRIES, **BACKFILL_LAST},
    params={
        "first": Param(type="string", format="date", description="First day, 2017-09-21 or later"),
        "last": Param(type="string", format="date", description="Last day, included; it must be over"),
        "again": Param(default=False, type="boolean", description="Collect the days anew and replace them whole"),
    },
    tags=["neople", "timeline"],
    doc_md=__doc__,
)
def timeline_backfill() -> None:
    """Collect and prove a range of past days at what the daily run leaves of the rate."""
    shards: Any = plan()  # an XComArg, which stands for the list that the task will return
    collected = collect.override(pool=BACKFILL_POOL).partial(kind="backfill").expand(shard=shards)
    refined = refine.expand(shard=shards)
    loaded = load.expand(shard=shards)
    answers = make_mart_tasks(shards)
    verified = verify(shards)
    # The mail about a failure succeeds; this one makes the run fail then.
    complete = EmptyOperator(task_id="complete", doc_md="Everything before succeeded.")
    republished = republish()
    chain(collected, refined, loaded, *answers, verified, republished, complete)
    chain([shards, collected, refined, loaded, *answers, verified, republished], alert())


timeline_backfill()
