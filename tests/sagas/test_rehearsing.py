"""A rehearsal of all live runs: before a deploy with the new code, before a downgrade with the old."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from sagas import registry
from sagas.batch import Rejection
from sagas.definition import Saga, Step
from sagas.models import RunStatus, SagaRun
from sagas.pause_reasons import PauseReason
from sagas.queries import rehearsals
from sagas.queries.rehearsals import rehearse_all
from sagas.rehearsal import LiveRun, Rehearsed, rehearse
from sagas.run_state import Moment
from sagas.services import move_all_to_newest, pause, request_compensation
from sagas.sweep import sweep
from sagas.work import Escalate, Proceed
from tests.support.clock import advance
from tests.support.command_runner import output_of
from tests.support.database import all_rows
from tests.support.fake_sagas import (
    HOUR,
    UNLIMITED_TRIES,
    Accepted,
    Busy,
    FakeSagas,
    WorkerLost,
    lose_worker,
    start,
    start_many,
)
from tests.support.in_memory_broker import MessageQueue
from tests.support.large_tables import insert_waiting_runs

pytestmark = pytest.mark.django_db(transaction=True)


def parcel(fakes: FakeSagas) -> Saga:
    return fakes.saga(
        fakes.local("pack"),
        fakes.remote("send"),
        fakes.wait("pickup", begins=True),
        fakes.local("file"),
    )


def only_result() -> tuple[str, str, str]:
    """Rehearse the only run; return what it does next, what if it is cancelled, and why it is stranded."""
    before = all_rows()
    [group] = rehearse_all()
    assert all_rows() == before
    assert group.runs == 1
    return group.result.next, group.result.if_cancelled, group.result.stranded


def waiting(fakes: FakeSagas, messages: MessageQueue) -> SagaRun:
    run = start(parcel(fakes))
    messages.deliver_all()
    return run


def pending(fakes: FakeSagas, messages: MessageQueue) -> SagaRun:
    fakes.answers("send", Accepted())
    return waiting(fakes, messages)


def backing_off(fakes: FakeSagas, messages: MessageQueue) -> SagaRun:
    fakes.answers("send", Busy())
    return waiting(fakes, messages)


def new(fakes: FakeSagas, _: MessageQueue) -> SagaRun:
    return start(parcel(fakes))


def in_flight(fakes: FakeSagas, messages: MessageQueue) -> SagaRun:
    fakes.answers("send", lose_worker)
    run = start(parcel(fakes))
    with pytest.raises(WorkerLost):
        messages.deliver_all()
    return run


def lost(fakes: FakeSagas, messages: MessageQueue) -> SagaRun:
    run = in_flight(fakes, messages)
    advance(hours=1)
    return run


def paused(fakes: FakeSagas, messages: MessageQueue) -> SagaRun:
    run = waiting(fakes, messages)
    pause(run.subject_id, PauseReason.STAFF, "a look", "olga")
    return run


def requested(fakes: FakeSagas, messages: MessageQueue) -> SagaRun:
    run = waiting(fakes, messages)
    request_compensation(run.subject_id, Rejection("changed_mind"), "alice")
    return run


def compensating(fakes: FakeSagas, messages: MessageQueue) -> SagaRun:
    run = requested(fakes, messages)
    fakes.answers("compensate send", Busy())
    messages.deliver_all()
    return run


def waiting_while_compensating(fakes: FakeSagas, messages: MessageQueue) -> SagaRun:
    run = requested(fakes, messages)
    fakes.answers("compensate send", Accepted())
    messages.deliver_all()
    return run


ALL = "compensates: compensate pickup, compensate send, compensate pack"
SENT = "compensates: compensate send, compensate pack"

Prepare = Callable[[FakeSagas, MessageQueue], SagaRun]

DECISIONS: dict[Prepare, tuple[str, str]] = {
    new: ("attempts pack", "has nothing to compensate"),
    backing_off: ("attempts send after a back-off", SENT),
    in_flight: ("settles its call of send", SENT),
    lost: ("attempts send", SENT),
    pending: ("waits for Accepted, then compensates: no", SENT),
    waiting: ("waits for pickup, then compensates: no_pickup", ALL),
    paused: ("is paused at pickup", ALL),
    requested: (SENT, ""),
    compensating: ("compensates: compensate send", ""),
    waiting_while_compensating: ("compensates: compensate send", ""),
}


@pytest.mark.parametrize("prepare", DECISIONS, ids=lambda prepare: prepare.__name__)
def test_a_rehearsal_says_what_the_run_does_next_and_if_it_is_cancelled(
    fakes: FakeSagas, messages: MessageQueue, prepare: Prepare
) -> None:
    prepare(fakes, messages)

    assert only_result() == (*DECISIONS[prepare], "")


@pytest.mark.parametrize(
    ("overdue", "then"),
    [(Proceed({}), "goes on with file"), (Escalate(HOUR), "needs attention")],
)
def test_a_rehearsal_follows_the_deadline_of_a_wait(
    fakes: FakeSagas, messages: MessageQueue, overdue: Proceed | Escalate, then: str
) -> None:
    start(fakes.saga(fakes.wait("pickup", overdue=overdue), fakes.local("file")))
    messages.deliver_all()

    assert only_result()[0] == f"waits for pickup, then {then}"


def test_a_rehearsal_says_what_a_wait_has_promised(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    start(fakes.saga(fakes.wait("pickup", begins=True)))
    messages.deliver_all()
    SagaRun.objects.update(waiting_then="it is sent back by air")

    assert only_result()[0] == "waits for pickup, then it is sent back by air"


def test_a_run_past_the_point_of_no_return_cannot_be_cancelled(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    sold = fakes.local("sell", is_compensable=False)
    start(fakes.saga(sold, fakes.wait("pickup", overdue=Proceed({}), may_reject=False)))
    messages.deliver_all()

    assert only_result()[1] == "too late"


def without(fakes: FakeSagas, *names: str, compensable: bool = True) -> tuple[Step, ...]:
    """Return the steps of the parcel without these."""
    steps = (
        fakes.local("pack", is_compensable=compensable),
        fakes.remote("send"),
        fakes.wait("pickup", begins=True),
        fakes.local("file"),
    )
    return tuple(step for step in steps if step.name not in names)


STRANDED: dict[str, tuple[Prepare, Callable[[FakeSagas], tuple[Step, ...]]]] = {
    "this code has no step pickup": (waiting, lambda fakes: without(fakes, "pickup")),
    "this code does not wait for pickup at pickup": (
        waiting,
        lambda fakes: (*without(fakes, "pickup"), fakes.local("pickup")),
    ),
    "this code does not wait for Accepted at send": (
        pending,
        lambda fakes: (fakes.local("pack"), fakes.remote("send", rejected_by=())),
    ),
    "it attempted send, which this code neither has nor compensates": (
        waiting,
        lambda fakes: without(fakes, "send"),
    ),
    "it compensates, and this code has no compensation of send": (
        compensating,
        lambda fakes: (
            *without(fakes, "send", "pickup", "file"),
            fakes.remote("send", is_compensable=False, rejected_by=(), retry=UNLIMITED_TRIES),
            fakes.wait("pickup", overdue=Escalate(HOUR), may_reject=False),
        ),
    ),
}


def test_a_run_of_a_version_that_this_code_does_not_have_is_stranded(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    waiting(fakes, messages)
    fakes.unregister_all()

    assert only_result() == ("", "", "this code does not have this version")


@pytest.mark.parametrize("why", STRANDED)
def test_a_run_is_stranded_whose_step_wait_or_compensation_this_code_does_not_have(
    fakes: FakeSagas, messages: MessageQueue, why: str
) -> None:
    prepare, steps = STRANDED[why]
    prepare(fakes, messages)
    assert only_result()[2] == ""

    fakes.unregister_all()
    fakes.saga(*steps(fakes))

    assert only_result() == ("", "", why)


def test_equal_runs_are_decided_once_for_each_batch_and_all_are_counted(
    fakes: FakeSagas, messages: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided: list[int] = []

    def count(saga: Saga | None, run: LiveRun, moment: Moment) -> Rehearsed:
        decided.append(run.state.attempt_count)
        return rehearse(saga, run, moment)

    monkeypatch.setattr(rehearsals, "BATCH", 5)
    monkeypatch.setattr(rehearsals, "rehearse", count)
    fakes.saga(fakes.wait("pack"))
    insert_waiting_runs(12)  # with twelve deadlines
    runs = SagaRun.objects.order_by("pk")
    SagaRun.objects.filter(pk=runs[3].pk).update(attempt_count=7)

    [group] = rehearse_all()

    assert (group.runs, group.result.next) == (12, "waits for pack, then compensates: no_pack")
    assert group.examples == [run.pk for run in runs[:3]]
    assert sorted(decided) == [0, 0, 0, 7]


def test_the_command_lists_stranded_runs_first_and_exits_with_1(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    runs = start_many(parcel(fakes), 4)
    messages.deliver_all()
    known = start(fakes.saga(fakes.local("wrap"), name="letter"))
    text = "1 of letter version 1 at wrap: attempts wrap; if cancelled: has nothing to compensate\n"
    first = f"4 of parcel version 1 at pickup: waits for pickup, then compensates: no_pickup; if cancelled: {ALL}\n"
    assert output_of("sagas", "rehearse") == f"{text}{first}5 live runs, 0 stranded\n"

    registry.unregister(registry.get("parcel", 1))
    with pytest.raises(CommandError, match="this code cannot advance 4 runs"):
        output_of("sagas", "rehearse")
    printed = StringIO()
    with pytest.raises(CommandError):
        call_command("sagas", "rehearse", "--json", stdout=printed)
    shown = json.loads(printed.getvalue())
    assert (shown["runs"], shown["stranded"]) == (5, 4)
    stranded = next(group for group in shown["groups"] if group["result"]["stranded"])
    assert stranded["examples"] == [str(run.pk) for run in runs[:3]]
    assert str(known.pk) not in stranded["examples"]


# -- a deploy and a downgrade -----------------------------------------------------------------

some = pytest.mark.parametrize("count", [60, pytest.param(1_000, marks=pytest.mark.prove)])
"""How many runs are parked; ``make prove`` parks a thousand."""


def sample_1(fakes: FakeSagas) -> Saga:
    return fakes.saga(
        fakes.local("pack"),
        fakes.remote("send"),
        fakes.wait("pickup", begins=True),
        fakes.remote("bill", queue="settlement"),
        fakes.wait("receipt"),
    )


def sample_2(fakes: FakeSagas) -> Saga:
    """Return version 2: a renamed wait, and a new step after it."""
    return fakes.saga(
        fakes.local("pack"),
        fakes.remote("send"),
        fakes.wait("collection", begins=True),
        fakes.local("weigh"),
        fakes.remote("bill", queue="settlement"),
        fakes.wait("receipt"),
        version=2,
        takes_over={1: {"pickup": "collection"}},
    )


def park(
    saga: Saga, fakes: FakeSagas, messages: MessageQueue, count: int
) -> Counter[tuple[str, str]]:
    """Start runs that come to rest at every step and wait; count them by step and wait."""
    wait = saga.steps[2].name
    runs = start_many(saga, count)
    for number, run in enumerate(runs):
        kind = number % 6
        if kind == 0:
            continue  # its message waits: it stays at its first step
        answers = {1: ("send", Busy()), 2: ("send", Accepted()), 4: ("bill", Accepted())}
        if kind in answers:
            fakes.answers(*answers[kind])
        if kind >= 4:
            fakes.facts[wait].add(run.subject_id)
        message = next(message for message in messages.waiting if message.run_id == run.pk)
        messages.waiting.remove(message)
        kept, messages.waiting = messages.waiting, [message]
        messages.deliver_all()
        messages.waiting = kept
    messages.drop_all()
    return places(saga.version)


def places(version: int) -> Counter[tuple[str, str]]:
    runs = SagaRun.objects.filter(version=version, status=RunStatus.RUNNING)
    return Counter(runs.values_list("step", "waits_for"))


def stranded() -> Counter[tuple[int, str]]:
    found: Counter[tuple[int, str]] = Counter()
    for group in rehearse_all():
        if group.result.stranded:
            found[group.version, group.result.stranded] += group.runs
    return found


def finish(fakes: FakeSagas, messages: MessageQueue) -> None:
    """Make every wait end, and every run advance to its end."""
    subjects = set(SagaRun.objects.values_list("subject_id", flat=True))
    for wait in ("pickup", "collection", "receipt"):
        fakes.facts[wait] |= subjects
    while SagaRun.objects.filter(wake_at__isnull=False).exists():
        advance(timedelta(hours=3))
        sweep(limit=5_000)
        messages.deliver_all()


PARKED = {
    *(("pack", ""), ("send", ""), ("send", "Accepted"), ("pickup", "pickup")),
    *(("bill", "Accepted"), ("receipt", "receipt")),
}


@some
def test_a_deploy_strands_no_run_and_old_runs_finish_on_their_version(
    fakes: FakeSagas, messages: MessageQueue, count: int
) -> None:
    first = sample_1(fakes)
    parked = park(first, fakes, messages, count)
    assert (set(parked), parked.total()) == (PARKED, count)

    second = sample_2(fakes)
    fresh = start(registry.newest("parcel"))

    assert fresh.version == second.version
    assert stranded() == Counter()
    finish(fakes, messages)
    ended = SagaRun.objects.values_list("version", "status")
    assert Counter(ended) == {(1, "completed"): count, (2, "completed"): 1}


@some
def test_after_a_move_the_old_definition_can_go(
    fakes: FakeSagas, messages: MessageQueue, count: int
) -> None:
    first = sample_1(fakes)
    parked = park(first, fakes, messages, count)
    sample_2(fakes)

    report = move_all_to_newest("parcel")

    assert (len(report.moved), report.stayed) == (count, {})
    renamed = {("pickup", "pickup"): ("collection", "collection")}
    assert places(2) == {renamed.get(place, place): runs for place, runs in parked.items()}
    registry.unregister(first)
    assert stranded() == Counter()
    finish(fakes, messages)
    assert Counter(SagaRun.objects.values_list("version", "status")) == {(2, "completed"): count}


@some
def test_a_downgrade_strands_exactly_the_runs_of_the_new_version(
    fakes: FakeSagas, messages: MessageQueue, count: int
) -> None:
    park(sample_1(fakes), fakes, messages, count // 2)
    second = sample_2(fakes)
    parked = park(second, fakes, messages, count // 2)

    registry.unregister(second)
    assert stranded() == {(2, "this code does not have this version"): parked.total()}

    registry.register(second)
    assert stranded() == Counter()
