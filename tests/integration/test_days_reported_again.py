"""Days and weeks whose report is not their last: collected before they were over, or with debts that are paid later."""

from dataclasses import replace
from datetime import date, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from collected_day import work_off
from small_roster import CHARACTERS, THURSDAY, WEDNESDAY, change, list_subjects, read_generations, read_page

from mail_catcher import Smtp
from neople_timeline import pipeline
from neople_timeline.errors import ConfigError, RetryLater
from neople_timeline.lake import Lake, open_lake
from neople_timeline.models import Member
from neople_timeline.report import outbox, publish
from neople_timeline.report.phrases import PHRASES
from neople_timeline.report.smtp import MailRefusedError, MailServer, send_mail
from neople_timeline.settings import Settings
from sandbox_control import SandboxApi

MARK = "잠정 집계:"


def fail_to_write(*_: Any) -> None:
    raise RetryLater("the store does not answer", seconds=1)


def test_a_mart_that_is_new_is_computed_for_older_days_that_a_backfill_takes(small: Settings) -> None:
    before, between, last = (WEDNESDAY - timedelta(days=offset) for offset in (8, 1, 0))
    for day in (before, between, last):
        work_off(small, pipeline.plan_day(small, day))
    assert pipeline.prepare_marts(small, [before, between, last]) == (last,)
    computed = read_generations(small)
    pipeline.build_marts(small, [before, between, last])
    assert [day for day, generation in read_generations(small).items() if generation > computed[day]] == [last]
    change(small, f"DELETE FROM timeline.published_mart WHERE mart = 'drops_by_day' AND period = '{between}'")
    assert pipeline.prepare_marts(small, [before, between, last]) == (between, last)
    change(small, "DELETE FROM timeline.published_mart WHERE mart = 'luck_by_week'")
    assert pipeline.prepare_marts(small, [before, between, last]) == (before, between, last)
    work_off(small, pipeline.plan_backfill(small, before, last))
    assert pipeline.prepare_marts(small, [before, between, last]) == (last,)


def make_unfinished(settings: Settings, day: date) -> None:
    """Have a day look as if it had been collected in its afternoon."""
    work_off(settings, pipeline.plan_day(settings, day))
    change(settings, f"UPDATE timeline.collection SET asked_at = '{day} 15:00+09' WHERE day = '{day}'")
    change(settings, f"UPDATE timeline.day SET verified_at = NULL WHERE day = '{day}'")  # such answers prove nothing


def test_a_day_collected_before_its_end_is_marked_brings_no_week_and_leaves_its_mail_for_later(
    small: Settings, smtp: Smtp
) -> None:
    make_unfinished(small, WEDNESDAY)
    published = pipeline.publish_report(small, WEDNESDAY)
    assert (published.is_provisional, published.mailed, published.week_url) == (True, False, None)
    assert MARK in read_page(small, f"day={WEDNESDAY}")

    work_off(small, pipeline.plan_day(small, WEDNESDAY))
    published = pipeline.publish_report(small, WEDNESDAY)
    assert (published.is_provisional, published.mailed, bool(published.week_url)) == (False, True, True)
    assert MARK not in read_page(small, f"day={WEDNESDAY}")
    # The other days of the week are in no plan, so that its figures are no mail's.
    assert [subject[:12].strip() for subject in list_subjects(smtp.maildir)] == [f"{WEDNESDAY} 던"]


def test_a_day_collected_before_its_end_is_collected_anew_by_the_next_run_even_of_a_later_day(
    small: Settings, smtp: Smtp
) -> None:
    day = WEDNESDAY - timedelta(days=1)
    make_unfinished(small, day)
    pipeline.publish_report(small, day)

    plan = pipeline.plan_day(small, WEDNESDAY)
    assert (plan.days, plan.pending) == ((day, WEDNESDAY), 2 * CHARACTERS)
    work_off(small, plan)
    assert list(pipeline.republish_reports(small, but=WEDNESDAY)) == [day]
    assert MARK not in read_page(small, f"day={day}")
    assert list_subjects(smtp.maildir)[0].startswith(f"{day} 던파")
    assert pipeline.plan_day(small, WEDNESDAY + timedelta(days=1)).days == (WEDNESDAY + timedelta(days=1),)


def test_a_day_that_failed_while_it_ran_is_mailed_all_the_same(small: Settings) -> None:
    make_unfinished(small, WEDNESDAY)
    published = pipeline.publish_report(small, WEDNESDAY, "the key is blocked")
    assert (published.is_provisional, published.mailed, published.week_url) == (True, True, None)


def test_a_failure_leaves_the_pages_of_another_warehouse_alone_and_is_mailed_without_one(
    small: Settings, smtp: Smtp
) -> None:
    pipeline.plan_day(small, WEDNESDAY)
    other = replace(small, lake_url=f"{small.lake_url}/other")
    open_lake(other).ensure_id(other.calendar)
    open_lake(other).put(f"reports/day={WEDNESDAY}/index.html", b"theirs")
    for _ in range(2):  # tried again, it is mailed once
        with pytest.raises(ConfigError, match="do not belong together"):
            pipeline.publish_report(other, WEDNESDAY, "plan: they do not belong together")
    assert read_page(other, f"day={WEDNESDAY}") == "theirs"
    assert list_subjects(smtp.maildir) == [f"[failed] {WEDNESDAY}"]


def test_a_debt_of_a_week_that_is_over_is_paid_into_the_page_of_the_week_too(small: Settings, smtp: Smtp) -> None:
    monday = WEDNESDAY - timedelta(days=2)
    work_off(small, pipeline.plan_backfill(small, THURSDAY, WEDNESDAY))
    owed = change(
        small,
        f"UPDATE timeline.collection SET state = 'owed', reason = 'timed out' WHERE day = '{monday}' AND bucket = 0",
    )
    assert owed
    for day in (monday, WEDNESDAY):
        pipeline.publish_report(small, day)
    assert f"아직 받지 못한 기록이 {owed}건(캐릭터·일 기준)" in read_page(small, f"week={THURSDAY}")

    work_off(small, pipeline.plan_debts(small))
    assert set(pipeline.republish_reports(small)) == {monday, WEDNESDAY}
    assert "받지 못한" not in read_page(small, f"week={THURSDAY}")
    assert f"[수집 완료] {THURSDAY} ~ 10-21 주간" in " ".join(list_subjects(smtp.maildir))
    assert pipeline.republish_reports(small) == {}


def test_days_that_the_schedule_left_out_are_told_then_collected_and_reported_and_only_then_their_week_is_proven(
    small: Settings, smtp: Smtp
) -> None:
    monday, tuesday = WEDNESDAY - timedelta(days=2), WEDNESDAY - timedelta(days=1)
    work_off(small, pipeline.plan_backfill(small, THURSDAY, monday - timedelta(days=2)))
    work_off(small, pipeline.plan_day(small, monday - timedelta(days=1), follows=True))

    work_off(small, pipeline.plan_day(small, WEDNESDAY))  # a run by hand, which does not follow the schedule
    published = pipeline.publish_report(small, WEDNESDAY)
    assert published.week_url
    assert f"수집하지 않은 날: {monday}, {tuesday}" in read_page(small, f"week={THURSDAY}")
    assert PHRASES["ko"]["not_verified"] in read_page(small, f"week={THURSDAY}")
    assert PHRASES["ko"]["verified"] in read_page(small, f"day={WEDNESDAY}")

    after = WEDNESDAY + timedelta(days=1)
    plan = pipeline.plan_day(small, after, follows=True)
    assert (plan.days, plan.pending) == ((monday, tuesday, after), 3 * CHARACTERS)
    assert pipeline.publish_report(small, after).waiting == 2
    assert f"이전 2일({monday} ~ {tuesday})" in read_page(small, f"day={after}")
    work_off(small, plan)
    assert pipeline.publish_report(small, after).waiting == 0
    # Sunday's own run had come to its proof only.
    assert set(pipeline.republish_reports(small)) == {monday - timedelta(days=1), monday, tuesday, WEDNESDAY}
    week = read_page(small, f"week={THURSDAY}")
    assert "수집하지 않은 날" not in week
    assert PHRASES["ko"]["verified"] in week
    subjects = " ".join(list_subjects(smtp.maildir))
    assert all(f"{day} 던파" in subjects for day in (monday, tuesday))
    assert f"{THURSDAY} ~ 10-21 주간" in subjects
    assert subjects.count("주간") == 1, "the week was mailed while two of its days were in no plan"


def test_a_mail_that_is_refused_for_now_leaves_with_the_next_run(small: Settings, smtp: Smtp) -> None:
    away = replace(small, smtp_url="smtp://127.0.0.1:1")
    work_off(small, pipeline.plan_day(small, WEDNESDAY))
    change(small, f"UPDATE timeline.collection SET state = 'owed', reason = 'x' WHERE day = '{WEDNESDAY}'")
    with pytest.raises(RetryLater):
        pipeline.publish_report(away, WEDNESDAY)
    assert list(pipeline.republish_reports(small)) == [WEDNESDAY]
    assert len(list_subjects(smtp.maildir)) == 1

    work_off(small, pipeline.plan_debts(small))
    with pytest.raises(RetryLater):
        pipeline.republish_reports(away)
    assert pipeline.republish_reports(small)[WEDNESDAY].mailed
    assert len([subject for subject in list_subjects(smtp.maildir) if "수집 완료" in subject]) == 1
    assert pipeline.republish_reports(small) == {}


def test_a_mail_that_is_refused_for_good_keeps_no_other_day_from_being_reported(
    small: Settings, smtp: Smtp, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuesday = WEDNESDAY - timedelta(days=1)
    for day in (tuesday, WEDNESDAY):
        work_off(small, pipeline.plan_day(small, day, follows=True))

    def refuse_one(server: MailServer, message: EmailMessage) -> tuple[str, ...]:
        if str(tuesday) in message["Subject"]:
            raise MailRefusedError(ConfigError("554 looks like spam"))
        return send_mail(server, message)

    monkeypatch.setattr(outbox, "send_mail", refuse_one)
    with pytest.raises(ConfigError, match="554 looks like spam"):
        pipeline.republish_reports(small)
    assert [subject[:10] for subject in list_subjects(smtp.maildir) if "주간" not in subject] == [str(WEDNESDAY)]


def test_a_day_and_a_week_that_are_proven_after_their_report_are_reported_anew(small: Settings, smtp: Smtp) -> None:
    monday = WEDNESDAY - timedelta(days=2)
    work_off(small, pipeline.plan_backfill(small, monday, WEDNESDAY))
    change(small, f"UPDATE timeline.day SET verified_at = NULL WHERE day IN ('{monday}', '{WEDNESDAY}')")
    assert pipeline.publish_report(small, WEDNESDAY, "verify: given up after 12 hours").week_url is None
    assert pipeline.republish_reports(small) == {}

    assert pipeline.verify_days(small, [WEDNESDAY]).ok
    assert pipeline.republish_reports(small)[WEDNESDAY].week_url
    assert "given up" not in read_page(small, f"day={WEDNESDAY}")
    assert [subject[:4] for subject in list_subjects(smtp.maildir)][-2:] == ["[수집 ", "[실패]"]

    assert pipeline.verify_days(small, [monday]).ok
    assert list(pipeline.republish_reports(small)) == [WEDNESDAY], (
        "its page has the week, in which Monday is now proven"
    )
    assert pipeline.verify_days(small, [monday, WEDNESDAY]).ok
    assert pipeline.republish_reports(small) == {}


def test_a_day_that_is_disproved_is_told_so_by_the_next_run_and_mailed_to_nobody(
    small: Settings, smtp: Smtp, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_off(small, pipeline.plan_day(small, WEDNESDAY))
    pipeline.publish_report(small, WEDNESDAY)
    assert PHRASES["ko"]["verified"] in read_page(small, f"day={WEDNESDAY}")
    mails, lake = list_subjects(smtp.maildir), open_lake(small)
    lake.delete(lake.list_keys(f"raw/day={WEDNESDAY}"))
    for _ in range(2):
        assert not pipeline.verify_days(small, [WEDNESDAY]).ok
    with monkeypatch.context() as patch:
        patch.setattr(publish, "write_page", fail_to_write)
        with pytest.raises(RetryLater):
            pipeline.republish_reports(small)
    assert list(pipeline.republish_reports(small)) == [WEDNESDAY]
    assert PHRASES["ko"]["verified"] not in read_page(small, f"day={WEDNESDAY}")
    assert PHRASES["ko"]["not_verified"] in read_page(small, f"day={WEDNESDAY}")
    assert pipeline.republish_reports(small) == {}
    assert list_subjects(smtp.maildir) == mails


def test_a_week_is_not_proven_with_a_mart_that_is_another_than_was_published(small: Settings) -> None:
    work_off(small, pipeline.plan_backfill(small, THURSDAY, WEDNESDAY))
    assert pipeline.publish_report(small, WEDNESDAY).week_url
    assert change(small, "UPDATE timeline.mart_clears_by_week SET clears = clears + 1")
    assert not pipeline.verify_days(small, [WEDNESDAY]).ok
    published = pipeline.publish_report(small, WEDNESDAY)
    assert (published.is_proven, published.week_url) == (False, None)

    change(small, "DELETE FROM timeline.backfill")
    change(small, "UPDATE timeline.worker SET expires_at = expires_at - interval '13 hours'")
    plan = pipeline.plan_day(small, WEDNESDAY + timedelta(days=1))
    assert plan.days == (THURSDAY, WEDNESDAY + timedelta(days=1))
    work_off(small, plan)
    assert pipeline.publish_report(small, WEDNESDAY).week_url


def test_a_proof_that_comes_while_the_page_is_written_is_told_on_the_next(
    small: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_off(small, pipeline.plan_day(small, WEDNESDAY))
    change(small, f"UPDATE timeline.day SET verified_at = NULL WHERE day = '{WEDNESDAY}'")
    read = publish.read_summaries

    def read_before_the_proof(*arguments: Any) -> Any:
        summaries = read(*arguments)
        assert pipeline.verify_days(small, [WEDNESDAY]).ok
        return summaries

    monkeypatch.setattr(publish, "read_summaries", read_before_the_proof)
    assert not pipeline.publish_report(small, WEDNESDAY).mailed
    monkeypatch.undo()
    assert PHRASES["ko"]["not_verified"] in read_page(small, f"day={WEDNESDAY}")
    assert list(pipeline.republish_reports(small)) == [WEDNESDAY]
    assert PHRASES["ko"]["verified"] in read_page(small, f"day={WEDNESDAY}")
    assert pipeline.republish_reports(small) == {}


def test_who_is_taken_off_the_roster_is_owed_on_no_page(small: Settings, small_api: SandboxApi, smtp: Smtp) -> None:
    debtor = pipeline.list_members(small)[0].character
    small_api.fail({"fault": "html_200", "character": debtor.character_id})
    work_off(small, pipeline.plan_day(small, WEDNESDAY))
    pipeline.publish_report(small, WEDNESDAY)
    banner = PHRASES["ko"]["owed_banner"].format(owed=1)
    assert banner in read_page(small, f"day={WEDNESDAY}")

    assert pipeline.remove_members(small, [debtor]) == (1, 1)

    plan = pipeline.plan_day(small, WEDNESDAY + timedelta(days=1))
    assert plan.days == (WEDNESDAY, WEDNESDAY + timedelta(days=1))
    work_off(small, plan)
    assert list(pipeline.republish_reports(small, but=WEDNESDAY + timedelta(days=1))) == [WEDNESDAY]
    assert banner not in read_page(small, f"day={WEDNESDAY}")
    assert any(subject.startswith("[수집 완료]") for subject in list_subjects(smtp.maildir))


@pytest.mark.parametrize("back", [1, 13])
def test_a_page_is_written_anew_when_a_day_changes_that_it_shows_beside_its_own(
    small: Settings, smtp: Smtp, back: int
) -> None:
    earlier = WEDNESDAY - timedelta(days=back)
    for day in (earlier - timedelta(days=1), earlier, WEDNESDAY):
        work_off(small, pipeline.plan_day(small, day))
        pipeline.publish_report(small, day)
    assert pipeline.republish_reports(small) == {}
    before, mails = read_page(small, f"day={WEDNESDAY}"), list_subjects(smtp.maildir)
    assert change(small, f"DELETE FROM timeline.collection WHERE day = '{earlier}' AND bucket = 0")
    work_off(small, pipeline.plan_day(small, earlier, again=True))
    assert change(small, "UPDATE timeline.mart_servers_by_day SET events = events + 1000000")
    assert list(pipeline.republish_reports(small)) == [earlier, WEDNESDAY]
    assert read_page(small, f"day={WEDNESDAY}") != before
    assert list_subjects(smtp.maildir) == mails
    assert pipeline.republish_reports(small) == {}


def test_the_pages_of_characters_are_written_once_for_all_days_and_lead_back_to_their_last_one(
    small: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [WEDNESDAY - timedelta(days=back) for back in (2, 1, 0)]
    for day in days:
        work_off(small, pipeline.plan_day(small, day))
        pipeline.publish_report(small, day)
    change(small, f"UPDATE timeline.day SET reported_in = 0 WHERE day < '{WEDNESDAY}'")
    written: list[str] = []
    write_page = publish.write_page

    def note_and_write(lake: Lake, key: str, *rest: Any) -> None:
        written.append(key)
        write_page(lake, key, *rest)

    monkeypatch.setattr(publish, "write_page", note_and_write)
    assert list(pipeline.republish_reports(small)) == days[:2]
    own = [key for key in written if key.startswith("reports/characters/")]
    assert (len(own), len(set(own))) == (CHARACTERS, CHARACTERS)
    for key in own:
        assert f'href="../../day={WEDNESDAY}/index.html"' in open_lake(small).get(key).decode()


def test_a_day_whose_run_dies_before_its_report_is_reported_by_the_next(small: Settings, smtp: Smtp) -> None:
    for shard in pipeline.plan_day(small, WEDNESDAY).shards:
        pipeline.collect_shard(small, shard)  # and the machine is restarted
    work_off(small, pipeline.plan_day(small, WEDNESDAY + timedelta(days=1)))
    pipeline.publish_report(small, WEDNESDAY + timedelta(days=1))
    assert list(pipeline.republish_reports(small, but=WEDNESDAY + timedelta(days=1))) == [WEDNESDAY]
    assert any(subject.startswith(f"{WEDNESDAY} ") for subject in list_subjects(smtp.maildir))


def test_a_failure_is_told_until_a_later_run_tells_how_it_ended(small: Settings, smtp: Smtp) -> None:
    work_off(small, pipeline.plan_day(small, WEDNESDAY))
    pipeline.publish_report(small, WEDNESDAY, "verify: an earlier day disagrees")
    assert pipeline.republish_reports(small, but=WEDNESDAY) == {}, "the run itself has told it"
    assert list(pipeline.republish_reports(small)) == [WEDNESDAY]
    assert "disagrees" not in read_page(small, f"day={WEDNESDAY}")
    assert [subject[:4] for subject in list_subjects(smtp.maildir)][:2] == ["[수집 ", "[실패]"]
    assert pipeline.republish_reports(small) == {}


def test_a_missed_day_on_which_nobody_exists_is_reported_too(small: Settings, small_api: SandboxApi) -> None:
    first, missed, last = (WEDNESDAY + timedelta(days=offset) for offset in (0, 1, 2))
    pipeline.remove_members(small, [member.character for member in pipeline.list_members(small)[1:]])
    work_off(small, pipeline.plan_day(small, first, follows=True))
    small_api.fail({"fault": "missing_character"})
    change(small, "UPDATE timeline.collection SET state = 'missing'")
    work_off(small, pipeline.plan_day(small, last, follows=True))
    assert missed in pipeline.republish_reports(small)


def test_a_day_whose_every_character_left_the_roster_is_settled(small: Settings, small_api: SandboxApi) -> None:
    small_api.fail({"fault": "html_200"})
    work_off(small, pipeline.plan_day(small, WEDNESDAY))
    pipeline.publish_report(small, WEDNESDAY)
    members = [member.character for member in pipeline.list_members(small)]
    pipeline.remove_members(small, members)
    small_api.fail()
    pipeline.add_members(small, [Member(members[0], None)])
    work_off(small, pipeline.plan_day(small, WEDNESDAY + timedelta(days=1)))
    assert WEDNESDAY in pipeline.republish_reports(small)
    assert pipeline.plan_day(small, WEDNESDAY + timedelta(days=2)).days == (WEDNESDAY + timedelta(days=2),)


def test_an_unfinished_day_on_which_nobody_was_found_is_collected_again_though_its_own_run_never_comes(
    small: Settings,
) -> None:
    make_unfinished(small, WEDNESDAY)
    missing = "state = 'missing', claimed_at = asked_at, raw_key = NULL, events = NULL, digest = NULL, asked_at = NULL"
    change(small, f"UPDATE timeline.collection SET {missing}")
    change(small, "UPDATE timeline.day SET changed_in = NULL")
    plan = pipeline.plan_day(small, WEDNESDAY + timedelta(days=2))
    assert (plan.days[0], plan.pending) == (WEDNESDAY, 2 * CHARACTERS)
