"""The sweep: it finds runs that no worker advances, at its own pace, and flags those without progress."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from django.core.checks import Error, run_checks
from django.db import connection, transaction
from django.db.models.functions import Now

from sagas.models import RunStatus, SagaRun
from sagas.queries.counts import last_sweeps
from sagas.sweep import ATTENTION_AFTER_REDISPATCHES, SweepSource, sweep
from tests.support.clock import database_time, let_time_pass, wake_run
from tests.support.fake_sagas import FakeSagas, Rejected, start, start_many, stored_rows
from tests.support.in_memory_broker import MessageQueue
from tests.support.large_tables import insert_waiting_runs
from tests.support.waits import PATIENCE_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)


def overdue(runs: list[SagaRun], messages: MessageQueue) -> None:
    """Drop the messages of the runs, and make all of them due, the first one for longest."""
    messages.drop_all()
    for run in runs:
        let_time_pass(run)


def wakes_in(run: SagaRun, since: datetime) -> timedelta:
    run.refresh_from_db()
    assert run.wake_at is not None
    return run.wake_at - since


def test_only_due_runs_are_queued(fakes: FakeSagas, messages: MessageQueue) -> None:
    saga = fakes.parcel()
    lost, fresh, ended = start_many(saga, 3)
    for _ in range(3):
        message = messages.take()
        if message.run_id == ended.pk:
            messages.deliver(message)
    let_time_pass(lost)
    untouched = [stored_rows(fresh), stored_rows(ended)]

    queued = sweep()

    assert queued == 1
    assert [message.run_id for message in messages.waiting] == [lost.pk]
    assert [stored_rows(fresh), stored_rows(ended)] == untouched


def test_the_log_line_about_a_sweep_has_the_correlation_ids(
    fakes: FakeSagas,
    messages: MessageQueue,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sagas.sweep.MAX_LOGGED", 2)
    caplog.set_level("INFO", "sagas.sweep")
    runs = start_many(fakes.parcel(), 3)
    for age in range(3):  # the first is overdue for the longest
        overdue(runs[: 3 - age], messages)

    sweep()

    [line] = caplog.records
    assert (line.getMessage(), vars(line)["runs"]) == ("sweep.queued", 3)
    assert vars(line)["correlation_ids"] == [str(run.correlation_id) for run in runs[:2]]


def test_a_run_is_queued_with_its_remaining_links(fakes: FakeSagas, messages: MessageQueue) -> None:
    saga = fakes.saga(fakes.local("pack"), fakes.remote("send", queue="settlement"))
    forward, back = start_many(saga, 2)
    fakes.rejects("pack", back.subject_id)
    for _ in range(2):
        messages.deliver(messages.take())
    overdue([forward, back], messages)

    sweep()

    assert {message.run_id: message.links for message in messages.waiting} == {
        forward.pk: saga.links[1:],
        back.pk: (saga.compensation_link,),
    }


def test_the_delay_to_the_next_sweep_doubles_up_to_a_minute(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())

    delays = []
    for number in range(1, 8):
        overdue([run], messages)
        before = database_time()
        sweep()
        after = database_time()
        seconds = min(5 * 2 ** (number - 1), 60)
        assert run.pk == messages.take().run_id
        assert wakes_in(run, before) >= timedelta(seconds=seconds)
        assert wakes_in(run, after) <= timedelta(seconds=seconds)
        delays.append((run.redispatch_count, seconds))

    assert delays == [(1, 5), (2, 10), (3, 20), (4, 40), (5, 60), (6, 60), (7, 60)]


def test_progress_resets_the_redispatch_count(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.saga(fakes.local("pack"), fakes.local("file", queue="settlement")))
    overdue([run], messages)
    sweep()

    messages.deliver(messages.take())

    run.refresh_from_db()
    assert (run.step, run.redispatch_count) == ("file", 0)


def test_a_run_that_does_not_move_is_flagged_and_still_queued(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())

    for _ in range(ATTENTION_AFTER_REDISPATCHES - 1):
        overdue([run], messages)
        sweep()
    run.refresh_from_db()
    assert (run.needs_attention, run.attention_reason) == (False, "")
    overdue([run], messages)
    sweep()

    run.refresh_from_db()
    flag = (run.needs_attention, run.attention_reason)
    assert flag == (True, "queued 10 times without progress")
    wake_run(run, messages)
    assert (run.status, run.needs_attention) == (RunStatus.COMPLETED, False)


def test_the_longest_overdue_come_first_when_there_are_more_than_the_limit(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    runs = start_many(fakes.parcel(), 5)
    overdue(runs, messages)

    queued = [sweep(limit=2) for _ in range(4)]

    assert queued == [2, 2, 1, 0]
    assert [message.run_id for message in messages.waiting] == [message.pk for message in runs]


def test_the_count_is_committed_before_the_message_leaves(
    fakes: FakeSagas, messages: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(fakes.parcel())
    overdue([run], messages)
    seen: list[int] = []

    def look(*_: object) -> None:
        assert not connection.in_atomic_block
        seen.append(SagaRun.objects.get().redispatch_count)

    monkeypatch.setattr("sagas.dispatch.publisher.enqueue", look)
    sweep()

    assert seen == [1]


def test_a_sweep_skips_runs_that_another_one_has_locked(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    first, second = runs = start_many(fakes.parcel(), 2)
    overdue(runs, messages)

    with transaction.atomic():
        list(SagaRun.objects.select_for_update(no_key=True).filter(pk=first.pk))
        with ThreadPoolExecutor(1) as pool:
            queued = pool.submit(sweep_and_disconnect).result(timeout=PATIENCE_SECONDS)

    assert queued == 1
    assert [message.run_id for message in messages.waiting] == [second.pk]
    assert sweep() == 1
    assert [message.run_id for message in messages.waiting] == [second.pk, first.pk]


def sweep_and_disconnect() -> int:
    try:
        return sweep()
    finally:
        connection.close()


def test_two_sweeps_at_once_queue_each_run_once(fakes: FakeSagas, messages: MessageQueue) -> None:
    runs = start_many(fakes.parcel(), 30)
    overdue(runs, messages)

    with ThreadPoolExecutor(4) as pool:
        swept = [pool.submit(sweep_and_disconnect) for _ in range(4)]

    assert sum(message.result() for message in swept) == 30
    assert sorted(message.run_id for message in messages.waiting) == sorted(
        message.pk for message in runs
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"saga": "letter"}, "saga letter version 1 is not registered"),
        ({"version": 9}, "saga parcel version 9 is not registered"),
        ({"step": "burn"}, "saga parcel has no step burn"),
    ],
    ids=["saga", "version", "step"],
)
def test_a_run_that_this_code_does_not_know_is_flagged_and_does_not_stop_the_others(
    fakes: FakeSagas, messages: MessageQueue, changes: dict[str, object], why: str
) -> None:
    before, unknown, behind = runs = start_many(fakes.parcel(), 3)
    SagaRun.objects.filter(pk=unknown.pk).update(**changes)
    overdue(runs, messages)

    queued = sweep()

    unknown.refresh_from_db()
    assert queued == 3
    assert {message.run_id for message in messages.waiting} == {before.pk, behind.pk}
    assert unknown.needs_attention
    assert unknown.attention_reason == f"this code cannot advance it: {why}"
    assert unknown.redispatch_count == 1
    assert unknown.wake_at is not None
    assert not SagaRun.objects.filter(wake_at__lte=Now()).exists()
    for run in (before, behind):
        run.refresh_from_db()
        assert not run.needs_attention


def test_a_run_that_was_swept_for_months_does_not_stop_the_sweep(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    old, new = runs = start_many(fakes.parcel(), 2)
    SagaRun.objects.filter(pk=old.pk).update(redispatch_count=32_767)
    overdue(runs, messages)

    assert sweep() == 2

    assert {message.run_id for message in messages.waiting} == {old.pk, new.pk}


def test_runs_that_are_not_due_are_not_read_whatever_the_statistics_say(fakes: FakeSagas) -> None:
    insert_waiting_runs(2_000)
    SagaRun.objects.update(
        status="completed", wake_at=None, waits_for="", waiting_since=None, waiting_until=None
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) sagas_sagarun")  # while no run is live
        cursor.execute(
            "SELECT pg_stat_force_next_flush()"
        )  # or the next counts include these reads
    with transaction.atomic(), connection.cursor() as cursor:
        insert_waiting_runs(2_000)

        assert sweep() == 0

        cursor.execute(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables"
            " WHERE relname = 'sagas_sagarun'"
        )
        assert cursor.fetchone() == (0,)


# -- the check before a deployment


def findings() -> list[str]:
    found = run_checks(tags=["database"], databases=["default"])
    assert all(isinstance(problem, Error) and problem.id == "sagas.E001" for problem in found)
    return [problem.msg for problem in found]


def test_the_check_accepts_live_runs_that_this_code_knows(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    _, back = start_many(fakes.parcel(), 2)
    fakes.rejects("pack", back.subject_id)
    messages.deliver(messages.take())
    messages.deliver(messages.take())

    assert findings() == []


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"saga": "letter"}, "runs of letter version 1 are in flight at pack"),
        ({"version": 9}, "runs of parcel version 9 are in flight at pack"),
        ({"step": "burn"}, "runs of parcel version 1 are in flight at burn"),
        (
            {"version": 9, "step": "", "status": RunStatus.COMPENSATING},
            "runs of parcel version 9 are in flight at their compensations",
        ),
    ],
    ids=["saga", "version", "step", "way back"],
)
def test_the_check_reports_live_runs_that_this_code_does_not_know(
    fakes: FakeSagas, messages: MessageQueue, changes: dict[str, object], finding: str
) -> None:
    runs = start_many(fakes.parcel(), 3)
    SagaRun.objects.filter(pk__in=[run.pk for run in runs[:2]]).update(**changes)

    assert findings() == [f"{finding}, and this code does not know it"]


def test_runs_that_have_ended_need_no_definition(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", Rejected("no"))
    messages.deliver_all()

    SagaRun.objects.filter(pk=run.pk).update(version=9)

    assert findings() == []


def test_the_last_sweep_of_each_source_is_saved(fakes: FakeSagas, messages: MessageQueue) -> None:
    assert last_sweeps() == {}
    overdue(start_many(fakes.parcel(), 1), messages)

    sweep(SweepSource.WATCH)
    sweep(SweepSource.BEAT)
    sweep(SweepSource.BEAT)

    found = last_sweeps()
    assert {name: last_sweep.queued for name, last_sweep in found.items()} == {
        "watch": 1,
        "beat": 0,
    }
    assert found["watch"].at < found["beat"].at
