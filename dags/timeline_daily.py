"""One run per game day: plan → collect → refine → load → marts → verify → report.

A game day begins at 06:00 in Korea, or at `DAY_STARTS_AT`, and is collected once it is over. Earlier days that owe
something are taken along. Running a day again changes nothing that is true already.

- **Trigger** with `day` for one past day, with `again` to collect it anew. For many days there is the DAG
  `timeline_backfill`; a backfill of Airflow's own would mail each of them.
- **up_for_reschedule**: the API is down for maintenance, or a store does not answer. The task holds no slot and comes
  back by itself, for up to 12 hours.
- **failed**: the mail and the task's log say why. Mend it and clear the failed tasks *with those after them*
  (Downstream), so that the report is written anew. What was landed stays.
- What is there, what is owed, and the reports: **Timeline** in the menu.
"""

import logging
from datetime import date, timedelta
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import Context, CronDataIntervalTimetable, Param, TriggerRule, chain, dag, get_current_context, task

from neople_timeline.settings import read_airflow_settings
from timeline_alerts import LATE_AFTER, explain_failure, mail_failure, mail_lateness, send_measures
from timeline_connections import connect_settings
from timeline_deadline import make_deadline
from timeline_lineage import REPORTS, ROWS, list_mart_tables, tell_lineage
from timeline_steps import DAILY_FIRST, DAILY_POOL, RETRIES, collect, load, make_mart_tasks, refine, verify
from timeline_terms import (
    PlainShard,
    choose_day,
    in_airflow_terms,
    pack_plan,
    refuse_unknown_parameters,
    skip_what_was_refused,
)

CALENDAR = read_airflow_settings().calendar
log = logging.getLogger("timeline.daily")


def read_day(context: Context) -> date:
    """Read which day a run is about; every task of a run reads the same."""
    run = context["dag_run"]
    return choose_day(context["params"].get("day"), run.data_interval_start, run.run_after)


@task(multiple_outputs=False)
def plan() -> list[PlainShard]:
    """Write the roster's ledger rows of the day, add debts that are due, and cut them into shards."""
    context = get_current_context()
    # Airflow skips intervals that passed while it was down or the DAG was paused: the next scheduled run owes them.
    follows = context["dag_run"].run_type == "scheduled"
    with in_airflow_terms():
        from neople_timeline.pipeline import plan_day

        refuse_unknown_parameters(context)
        again = bool(context["params"]["again"])
        return pack_plan(plan_day(connect_settings(), read_day(context), again=again, follows=follows))


@task(multiple_outputs=False, trigger_rule=TriggerRule.ALL_DONE)
def report() -> dict[str, Any]:
    """Write the day's pages, on a Wednesday its week's too, and mail each once, whatever happened before.

    A failed day is mailed with its reason.
    """
    context = get_current_context()
    with in_airflow_terms():
        from neople_timeline.pipeline import publish_report, republish_reports

        if context["dag_run"].conf:  # a scheduled run has no parameters that could be refused
            skip_what_was_refused(context)
        settings, day = connect_settings(), read_day(context)
        send_measures(day)
        reason = explain_failure(context)
        own_reason = explain_failure(context, day) if reason else None
        done = publish_report(settings, day, own_reason)
        if reason and not own_reason:  # the day is well, and so say its page and mail
            mail_failure(context, day, reason)
        for other, again in republish_reports(settings, but=day).items():
            log.info("The report of %s was out of date, and is written anew: %s", other, again.url)
    tell_lineage(settings, reads=[*ROWS, *list_mart_tables()], writes=[REPORTS])
    log.info("The report is at %s; mailed now: %s", done.url, done.mailed)
    return {"url": done.url, "week_url": done.week_url, "mailed": done.mailed or done.week_mailed, "debts": done.debts}


@dag(
    schedule=CronDataIntervalTimetable(f"{CALENDAR.starts_at:%M %H} * * *", timezone="Asia/Seoul"),
    start_date=CALENDAR.begins_at(CALENDAR.first_day),
    catchup=False,
    max_active_runs=1,
    deadline=make_deadline(LATE_AFTER, mail_lateness),
    default_args={"owner": "timeline", "execution_timeout": timedelta(hours=3), **RETRIES, **DAILY_FIRST},
    params={
        "day": Param(
            None,
            type=["null", "string"],
            format="date",
            description="A day, 06:00 to 05:59 in Korea, that is over. Empty: the newest such day",
        ),
        "again": Param(default=False, type="boolean", description="Collect the day anew and replace it whole"),
    },
    tags=["neople", "timeline"],
    doc_md=__doc__,
)
def timeline_daily() -> None:
    """Collect, prove and report the game day that a run's data interval covers."""
    shards: Any = plan()  # an XComArg, which stands for the list that the task will return
    collected = collect.override(pool=DAILY_POOL).partial(kind="daily").expand(shard=shards)
    refined = refine.expand(shard=shards)
    loaded = load.expand(shard=shards)
    verified = verify(shards)
    reported = report()
    # The report runs after a failure too; this one makes the run fail then.
    complete = EmptyOperator(task_id="complete", doc_md="Everything before succeeded.")
    chain(collected, refined, loaded, *make_mart_tasks(shards), verified, reported, complete)
    chain(verified, complete)


timeline_daily()
