"""Runs of an older version that are moved to the newest one."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django import forms

from sagas import registry
from sagas.batch import Rejection
from sagas.definition import Saga, Step
from sagas.errors import DefinitionError
from sagas.models import RunStatus, SagaRun, VersionMove
from sagas.pause_reasons import PauseReason
from sagas.queries.runs import Stage, runs_of
from sagas.services import (
    move_all_to_newest,
    move_to_newest,
    nudge,
    pause,
    request_compensation,
    resume,
    start,
)
from sagas.signal_types import Signal
from sagas.signals import send_signal
from sagas.sweep import sweep
from sagas.work import Escalate
from tests.support.clock import advance, wake_run
from tests.support.command_runner import output_of
from tests.support.fake_sagas import (
    DAY,
    UNLIMITED_TRIES,
    Accepted,
    Busy,
    FakeSagas,
    Silence,
    WorkerLost,
    events,
    journal,
    lose_worker,
    start_many,
    stored_rows,
)
from tests.support.fake_sagas import start as start_run
from tests.support.in_memory_broker import MessageQueue

pytestmark = pytest.mark.django_db(transaction=True)

RENAMED = {1: {"pickup": "collection", "send": "ship"}}
SAME = {1: dict[str, str]()}


def first(fakes: FakeSagas, *, begins: bool = False) -> Saga:
    return fakes.saga(
        fakes.local("pack"),
        fakes.remote("send"),
        fakes.wait("pickup", begins=begins),
        fakes.local("file"),
    )


def second(fakes: FakeSagas, *, begins: bool = False) -> Saga:
    """Return version 2, which has other names and one step more at the end."""
    return fakes.saga(
        fakes.local("pack"),
        fakes.remote("ship"),
        fakes.wait("collection", begins=begins),
        fakes.local("file"),
        fakes.local("thank"),
        version=2,
        takes_over=RENAMED,
    )


def waiting_run(fakes: FakeSagas, messages: MessageQueue, *, begins: bool = False) -> SagaRun:
    run = start_run(first(fakes, begins=begins))
    messages.deliver_all()
    run.refresh_from_db()
    assert run.waits_for == "pickup"
    return run


def stays(run: SagaRun) -> str:
    """Try to move a run that stays as it is; return the reason."""
    before = stored_rows(run)
    report = move_to_newest([run.pk])
    assert report.moved == []
    assert stored_rows(run) == before
    assert not VersionMove.objects.exists()
    [(why, run_ids)] = report.stayed.items()
    assert run_ids == [run.pk]
    return why.reason


def test_a_run_whose_steps_are_done_stays(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = waiting_run(fakes, messages)
    second(fakes)
    SagaRun.objects.update(step="", waits_for="", waiting_since=None, waiting_until=None)
    run.refresh_from_db()

    assert stays(run) == "its steps are done"


def test_a_waiting_run_goes_on_in_the_new_version(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = waiting_run(fakes, messages)
    saga = second(fakes)
    before = SagaRun.objects.filter(pk=run.pk).values().get()

    assert move_to_newest([run.pk]).moved == [run.pk]

    after = SagaRun.objects.filter(pk=run.pk).values().get()
    assert after == {**before, "version": 2, "step": "collection", "waits_for": "collection"}
    assert messages.waiting == []
    move = VersionMove.objects.get()
    assert (move.run_id, move.from_version, move.to_version, move.renamed) == (
        *(run.pk, 1, 2, RENAMED[1]),
    )

    fakes.facts["collection"].add(run.subject_id)
    nudge(run_ids=[run.pk])
    messages.deliver_all()

    run.refresh_from_db()
    assert (run.status, run.version) == (RunStatus.COMPLETED, saga.version)
    assert journal(run, "step", "outcome") == [
        *(("pack", "done"), ("ship", "done"), ("collection", "done")),
        *(("file", "done"), ("thank", "done")),
    ]


def test_a_moved_run_compensates_what_it_did_under_the_old_names(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = waiting_run(fakes, messages, begins=True)
    second(fakes, begins=True)
    move_to_newest([run.pk])

    request_compensation(run.subject_id, Rejection("changed_mind"), "alice")
    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPENSATED
    assert [name for name in events(run) if name.startswith("compensate ")] == [
        *("compensate collection", "compensate pack"),
    ]
    assert ("compensate ship", 1) in fakes.calls
    assert journal(run, "step", "direction")[-3:] == [
        *(("collection", "compensating"), ("ship", "compensating"), ("pack", "compensating")),
    ]


def test_the_deadline_of_a_moved_run_decides_as_before(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = waiting_run(fakes, messages)
    second(fakes)
    move_to_newest([run.pk])

    advance(DAY + timedelta(minutes=1))
    assert sweep() == 1
    messages.deliver_all()

    run.refresh_from_db()
    assert (run.status, run.reason) == (RunStatus.COMPENSATED, "no_collection")


def test_the_desk_shows_the_plan_and_the_journal_of_a_moved_run(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = waiting_run(fakes, messages)
    second(fakes)
    move_to_newest([run.pk])

    [detail] = runs_of(run.subject_id)

    assert [(step.name, step.stage, len(step.attempts)) for step in detail.steps] == [
        ("pack", Stage.DONE, 1),
        ("ship", Stage.DONE, 1),
        ("collection", Stage.CURRENT, 0),
        ("file", Stage.TO_COME, 0),
        ("thank", Stage.TO_COME, 0),
    ]
    assert [attempt.name for attempt in detail.attempts] == ["pack", "ship"]
    assert detail.wait is not None
    assert detail.wait.text.staff == "collection by staff"


def test_repeating_a_move_changes_nothing(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = waiting_run(fakes, messages)
    second(fakes)
    move_to_newest([run.pk])
    before = stored_rows(run)

    report = move_to_newest([run.pk])

    assert (report.moved, report.stayed) == ([], {})
    assert stored_rows(run) == before
    assert VersionMove.objects.count() == 1


def test_a_run_that_was_not_started_yet_is_queued_in_the_new_version(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start_run(first(fakes))
    old_message = messages.take()
    second(fakes)

    move_to_newest([run.pk])

    messages.deliver(old_message)
    assert fakes.batches["pack"] == []
    messages.deliver_all()
    run.refresh_from_db()
    assert (run.version, run.waits_for) == (2, "collection")


def test_a_nudge_whose_message_names_the_old_version_is_not_lost(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = waiting_run(fakes, messages)
    second(fakes)
    fakes.facts["collection"].add(run.subject_id)
    nudge(run_ids=[run.pk])
    [old_message] = messages.waiting

    move_to_newest([run.pk])
    messages.waiting.remove(old_message)
    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED


def test_a_run_in_its_back_off_keeps_it_and_its_retries(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start_run(first(fakes))
    fakes.answers("send", Silence())
    fakes.answers("ship", Busy())
    messages.deliver_all()
    run.refresh_from_db()
    second(fakes)
    not_before = run.not_before

    move_to_newest([run.pk])
    messages.deliver_all()
    run.refresh_from_db()
    assert (run.step, run.retry_count, run.not_before) == ("ship", 1, not_before)

    wake_run(run, messages)
    assert (run.attempt_count, run.retry_count) == (2, 2)
    assert fakes.calls == [("send", 1), ("ship", 2)]


def test_a_pending_call_is_looked_at_by_the_new_version(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start_run(first(fakes))
    fakes.answers("send", Accepted())
    messages.deliver_all()
    second(fakes)

    assert move_to_newest([run.pk]).moved == [run.pk]
    nudge(run_ids=[run.pk])
    messages.deliver_all()

    run.refresh_from_db()
    assert (run.step, run.waits_for) == ("collection", "collection")
    assert fakes.calls == [("send", 1), ("ship", 2)]


def test_a_paused_run_moves_and_stays_paused(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = waiting_run(fakes, messages)
    second(fakes)
    fakes.facts["collection"].add(run.subject_id)
    pause(run.subject_id, PauseReason.STAFF, "a look", "olga")

    assert move_to_newest([run.pk]).moved == [run.pk]
    run.refresh_from_db()
    assert (run.paused_at is None, run.waits_for) == (False, "collection")

    resume(run.subject_id)
    messages.deliver_all()
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED


def test_a_run_with_a_call_in_flight_stays(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start_run(first(fakes))
    fakes.answers("send", lose_worker)
    with pytest.raises(WorkerLost):
        messages.deliver_all()
    second(fakes)

    assert stays(run) == "a call is in flight"


def test_a_run_that_is_cancelled_stays(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = waiting_run(fakes, messages)
    second(fakes)
    request_compensation(run.subject_id, Rejection("changed_mind"), "alice")
    assert stays(run) == "it compensates"

    fakes.answers("compensate send", Busy())
    messages.deliver_all()
    run.refresh_from_db()
    assert run.status == RunStatus.COMPENSATING
    assert stays(run) == "it compensates"


def test_a_run_of_a_version_that_is_not_taken_over_stays(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = waiting_run(fakes, messages)
    fakes.saga(fakes.local("pack"), version=2)

    assert stays(run) == "version 2 does not take over version 1"


def test_a_run_whose_definition_this_code_lacks_stays(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = waiting_run(fakes, messages)
    second(fakes)
    registry.unregister(registry.get("parcel", 1))

    assert stays(run) == "saga parcel version 1 is not registered"


Steps = Callable[[FakeSagas], tuple[Step, ...]]

INCOMPATIBLE: dict[str, Steps] = {
    "version 2 has no step for pickup, where it is": lambda fakes: (
        fakes.local("pack"),
        fakes.remote("send"),
    ),
    "pickup is another kind of step in version 2": lambda fakes: (
        fakes.local("pack"),
        fakes.remote("send"),
        fakes.local("pickup"),
    ),
    "pickup does not wait for pickup in version 2": lambda fakes: (
        fakes.local("pack"),
        fakes.remote("send"),
        fakes.wait("pickup"),
    ),
    "version 2 has no step for send, which may have had an effect": lambda fakes: (
        fakes.local("pack"),
        fakes.wait("pickup", begins=True),
    ),
    "version 2 does not compensate send, which may have had an effect": lambda fakes: (
        fakes.local("pack"),
        fakes.remote("send", is_compensable=False, rejected_by=(), retry=UNLIMITED_TRIES),
        fakes.wait("pickup", begins=True, overdue=Escalate(DAY), may_reject=False),
    ),
    "version 2 would repeat send, which is done": lambda fakes: (
        fakes.local("pack"),
        fakes.wait("pickup", begins=True),
        fakes.remote("send"),
    ),
}


@pytest.mark.parametrize("reason", INCOMPATIBLE)
def test_a_run_stays_where_the_new_version_could_not_go_on_or_compensate(
    fakes: FakeSagas, messages: MessageQueue, reason: str
) -> None:
    run = waiting_run(fakes, messages, begins=True)
    fakes.saga(*INCOMPATIBLE[reason](fakes), version=2, takes_over=SAME)

    assert stays(run) == reason


def test_a_run_that_waits_for_a_pending_call_stays_where_it_is_unknown(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start_run(first(fakes))
    fakes.answers("send", Accepted())
    messages.deliver_all()
    fakes.saga(
        fakes.local("pack"), fakes.remote("send", rejected_by=()), version=2, takes_over=SAME
    )

    assert stays(run) == "send does not wait for Accepted in version 2"


def test_a_run_with_a_sent_signal_stays_if_the_new_version_does_not_take_it(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    signal = Signal("weighed", "It was weighed.", forms.Form)
    run = start_run(fakes.saga(fakes.wait("pickup"), signals=(signal,)))
    messages.deliver_all()
    send_signal(run.subject_id, "weighed", {}, key="1", actor="olga")
    messages.drop_all()
    without = fakes.saga(fakes.wait("pickup"), version=2, takes_over=SAME)

    assert stays(run) == "version 2 does not take the signal weighed, which was sent"

    registry.unregister(without)
    fakes.saga(fakes.wait("pickup"), version=2, takes_over=SAME, signals=(signal,))
    assert move_to_newest([run.pk]).moved == [run.pk]


def test_a_step_without_any_effect_may_be_gone(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start_run(fakes.saga(fakes.wait("payday"), fakes.wait("pickup")))
    fakes.facts["payday"].add(run.subject_id)
    messages.deliver_all()
    fakes.saga(fakes.wait("pickup"), version=2, takes_over=SAME)

    assert move_to_newest([run.pk]).moved == [run.pk]


def test_a_dry_run_changes_nothing(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = waiting_run(fakes, messages)
    second(fakes)
    before = stored_rows(run)

    assert move_all_to_newest("parcel", dry_run=True).moved == [run.pk]

    assert stored_rows(run) == before
    assert not VersionMove.objects.exists()


def test_a_limit_counts_moved_runs_only(
    fakes: FakeSagas, messages: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = sorted(start_many(first(fakes), 7), key=lambda run: run.pk)
    messages.deliver_all()
    second(fakes)
    for run in runs[:3]:
        request_compensation(run.subject_id, Rejection("changed_mind"), "alice")
    monkeypatch.setattr("sagas.moving.BATCH", 4)

    report = move_all_to_newest("parcel", limit=2)

    assert report.moved == [run.pk for run in runs[3:5]]
    assert [len(run_ids) for run_ids in report.stayed.values()] == [3]
    assert move_all_to_newest("parcel").moved == [run.pk for run in runs[5:]]
    assert set(SagaRun.objects.filter(version=2).values_list("pk", flat=True)) == {
        run.pk for run in runs[3:]
    }


def test_the_command_moves_and_reports(fakes: FakeSagas, messages: MessageQueue) -> None:
    moving, cancelled = start_many(first(fakes), 2)
    messages.deliver_all()
    second(fakes)
    request_compensation(cancelled.subject_id, Rejection("changed_mind"), "alice")
    stayed = f"1 runs of version 1 at pickup stayed: it compensates, such as run {cancelled.pk}\n"

    dry = output_of("sagas", "move", "--saga", "parcel", "--dry-run")
    assert dry == f"1 runs would be moved to version 2\n{stayed}"
    assert not VersionMove.objects.exists()

    assert output_of("sagas", "move", "--saga", "parcel") == (
        f"1 runs moved to version 2\n{stayed}"
    )
    assert VersionMove.objects.get().run_id == moving.pk
    assert output_of("sagas", "move", "--saga", "parcel") == f"0 runs moved to version 2\n{stayed}"


def test_starting_again_with_the_key_of_a_moved_run_returns_that_run(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = waiting_run(fakes, messages)
    saga = second(fakes)
    move_to_newest([run.pk])

    again = start(saga, run.subject_id, run.correlation_id)

    assert again.pk == run.pk


@pytest.mark.parametrize(
    ("takes_over", "error"),
    [
        ({2: {}}, "takes over version 2, which is not older"),
        ({1: {"pack": "wrap"}}, "each renamed step of version 1 needs a step of its own"),
        ({1: {"a": "pack", "b": "pack"}}, "each renamed step of version 1 needs a step of its own"),
        ({1: {"pack": "file", "file": "pack"}}, "a new name is also an old name of version 1"),
    ],
)
def test_an_impossible_takeover_is_refused(
    fakes: FakeSagas, takes_over: dict[int, dict[str, str]], error: str
) -> None:
    with pytest.raises(DefinitionError, match=error):
        fakes.saga(fakes.local("pack"), fakes.local("file"), version=2, takes_over=takes_over)
