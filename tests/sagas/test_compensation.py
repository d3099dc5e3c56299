"""The way back: everything that may have left something behind is undone, once, however long."""

import pytest
from structlog.contextvars import get_contextvars

from sagas.batch import Output, Rejection
from sagas.definition import Attempt
from sagas.messages import RetryAfter, Stop
from sagas.models import Direction, RunStatus, SagaRun
from sagas.phase import ATTENTION_AFTER
from sagas.schedule import HINT_LEAD
from sagas.services import request_compensation, retry_now
from tests.support.fake_sagas import (
    HOUR,
    Bug,
    Busy,
    Refused,
    Silence,
    Toys,
    WorkerLost,
    die,
    event,
    events,
    everything,
    journal,
    start,
)
from tests.support.in_memory_broker import Message, MessageQueue
from tests.support.run_clock import wake_run

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_was_done_is_undone_in_reverse(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.saga(toys.local("pack"), toys.remote("send"), toys.local("file")))
    toys.refuses("file", run.subject_id)

    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPENSATED
    assert (run.step, run.wake_at, run.leased_until) == ("", None, None)
    assert run.ended_at is not None
    assert journal(run, "step", "direction", "number", "fence", "outcome") == [
        ("pack", "forward", 1, 1, "done"),
        ("send", "forward", 1, 2, "done"),
        ("file", "forward", 1, 3, "rejected"),
        ("send", "compensating", 1, 4, "done"),
        ("pack", "compensating", 1, 5, "done"),
    ]
    assert events(run) == [
        "pack",
        "intend send",
        "record send",
        "turn back",
        "intend undo send",
        "record undo send",
        "undo pack",
        "compensated",
    ]


def test_a_refused_call_is_undone_too(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.saga(toys.remote("send")))
    toys.answers("send", Refused("no"))

    messages.deliver_all()

    assert toys.calls == [("send", 1), ("undo send", 1)]
    assert journal(run) == [("send", "forward", 1, "rejected"), ("send", "compensating", 1, "done")]


def test_lines_name_an_undo_by_its_own_name(toys: Toys, messages: MessageQueue) -> None:
    named: list[object] = []

    def answer(_: Attempt) -> Output:
        named.append(get_contextvars()["step"])
        return {}

    run = start(toys.saga(toys.remote("send"), toys.local("file")))
    toys.answers("send", answer)
    toys.answers("undo send", answer)
    toys.refuses("file", run.subject_id)

    messages.deliver_all()

    assert named == ["send", "undo send"]


def test_a_refused_local_step_is_not_undone(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.saga(toys.local("pack")))
    toys.refuses("pack", run.subject_id)

    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPENSATED
    assert journal(run) == [("pack", "forward", 1, "rejected")]
    assert events(run) == ["turn back", "compensated"]


def test_a_step_that_was_never_reached_is_not_undone(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.saga(toys.local("pack"), toys.remote("send"), toys.local("file")))
    toys.refuses("pack", run.subject_id)

    messages.deliver_all()

    assert toys.calls == []
    assert events(run) == ["turn back", "compensated"]


def test_a_call_whose_worker_was_lost_is_undone(toys: Toys, messages: MessageQueue) -> None:
    saga = toys.saga(toys.remote("send"))
    run = start(saga)
    toys.answers("send", die)
    with pytest.raises(WorkerLost):
        messages.deliver_all()
    request_compensation(run.subject_id, Rejection("no_longer_wanted"), "alice")

    wake_run(run, messages)

    assert run.status == RunStatus.COMPENSATED
    assert journal(run) == [("send", "forward", 1, "lost"), ("send", "compensating", 1, "done")]
    assert toys.calls == [("send", 1), ("undo send", 1)]


def test_the_reason_and_the_one_who_asked_are_known_on_the_way_back(
    toys: Toys, messages: MessageQueue
) -> None:
    run = start(toys.saga(toys.local("pack"), toys.local("file", queue="settlement")))
    messages.deliver(messages.take())

    request_compensation(run.subject_id, Rejection("no_longer_wanted"), "alice")
    messages.deliver_all()

    for name in ("turn back", "undo pack", "compensated"):
        assert event(run, name)["reason"] == "no_longer_wanted"
        assert event(run, name)["actor"] == "alice"


def test_an_unfinished_undo_lets_the_next_go_on_and_is_not_dropped(
    toys: Toys, messages: MessageQueue
) -> None:
    run = start(toys.saga(toys.local("pack"), toys.remote("send"), toys.remote("insure")))
    toys.answers("insure", Refused("no"))
    toys.answers("undo insure", Busy("later"))

    messages.deliver_all()
    run.refresh_from_db()

    assert run.status == RunStatus.COMPENSATING
    assert journal(run)[3:] == [
        ("insure", "compensating", 1, "transient"),
        ("send", "compensating", 1, "done"),
        ("pack", "compensating", 1, "done"),
    ]
    assert "compensated" not in events(run)

    wake_run(run, messages)

    assert run.status == RunStatus.COMPENSATED
    assert journal(run)[6:] == [("insure", "compensating", 2, "done")]
    assert toys.calls[2:] == [("undo insure", 1), ("undo send", 1), ("undo insure", 2)]


def two_undos_backing_off(toys: Toys, messages: MessageQueue) -> SagaRun:
    run = start(toys.saga(toys.remote("send"), toys.remote("insure")))
    toys.answers("insure", Refused("no"))
    toys.answers("undo insure", Busy())
    toys.answers("undo send", Silence())
    messages.deliver_all()
    run.refresh_from_db()
    return run


def test_each_undo_has_a_back_off_of_its_own(toys: Toys, messages: MessageQueue) -> None:
    run = two_undos_backing_off(toys, messages)
    undos = run.attempts.filter(direction=Direction.COMPENSATING)

    for each in undos:
        assert each.ended_at is not None
        assert each.not_before is not None
        assert HOUR / 2 <= each.not_before - each.ended_at <= HOUR
    assert run.not_before is None

    undos.filter(step="send").update(not_before=None)
    SagaRun.objects.filter(pk=run.pk).update(leased_until=None)
    messages.deliver(way_back_of(toys, run))

    assert toys.calls[-1] == ("undo send", 2)
    assert journal(run)[-1] == ("send", "compensating", 2, "done")
    assert ("undo insure", 2) not in toys.calls


def test_a_run_wakes_for_the_first_of_its_undos(toys: Toys, messages: MessageQueue) -> None:
    run = two_undos_backing_off(toys, messages)

    waits = run.attempts.filter(direction=Direction.COMPENSATING).values_list(
        "not_before", flat=True
    )
    assert len(waits) == 2
    assert run.wake_at == min(filter(None, waits)) + HINT_LEAD
    (comes_back,) = messages.came_back
    assert isinstance(comes_back, RetryAfter)


def test_a_message_while_every_undo_backs_off_changes_nothing(
    toys: Toys, messages: MessageQueue
) -> None:
    run = two_undos_backing_off(toys, messages)
    before = everything(run)

    next_action = messages.deliver(way_back_of(toys, run))

    assert next_action == Stop()
    assert everything(run) == before


def test_retry_now_forgets_the_back_off_of_every_undo(toys: Toys, messages: MessageQueue) -> None:
    run = two_undos_backing_off(toys, messages)

    assert retry_now(run.pk)
    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPENSATED
    assert toys.calls[-2:] == [("undo insure", 2), ("undo send", 2)]


def way_back_of(toys: Toys, run: SagaRun) -> Message:
    return Message(run.pk, (toys.last_saga.compensation_link,))


def test_an_undo_that_is_done_is_never_repeated(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.saga(toys.local("pack"), toys.remote("send"), toys.remote("insure")))
    toys.answers("insure", Refused("no"))
    toys.answers("undo insure", Busy(), Silence(), Busy())

    messages.deliver_all()
    for _ in range(3):
        wake_run(run, messages)

    assert run.status == RunStatus.COMPENSATED
    assert toys.calls.count(("undo send", 1)) == 1
    assert ("undo send", 2) not in toys.calls
    assert events(run).count("undo pack") == 1
    assert events(run).count("compensated") == 1


def test_an_undo_that_stays_unfinished_is_flagged_and_still_tried(
    toys: Toys, messages: MessageQueue
) -> None:
    run = start(toys.saga(toys.remote("send")))
    toys.answers("send", Refused("no"))
    toys.answers("undo send", *[Busy()] * (ATTENTION_AFTER - 1), Bug("typing error"), Silence())

    messages.deliver_all()
    for _ in range(ATTENTION_AFTER - 2):
        wake_run(run, messages)
        assert not run.needs_attention
    wake_run(run, messages)

    assert run.needs_attention
    assert run.attention_reason == "undo send: 8 attempts, last failed Bug"
    assert run.status == RunStatus.COMPENSATING

    wake_run(run, messages)
    assert run.attention_reason == "undo send: 9 attempts, last unknown Silence"
    wake_run(run, messages)

    assert (run.status, run.needs_attention) == (RunStatus.COMPENSATED, False)
    assert toys.calls[-1] == ("undo send", ATTENTION_AFTER + 2)


def test_an_undo_whose_worker_was_lost_is_tried_again(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.saga(toys.remote("send")))

    toys.answers("send", Refused("no"))
    toys.answers("undo send", die)
    with pytest.raises(WorkerLost):
        messages.deliver_all()

    wake_run(run, messages)

    assert run.status == RunStatus.COMPENSATED
    assert journal(run)[1:] == [
        ("send", "compensating", 1, "lost"),
        ("send", "compensating", 2, "done"),
    ]


def test_a_local_undo_that_raises_leaves_nothing_and_is_tried_again(
    toys: Toys, messages: MessageQueue
) -> None:
    run = start(toys.saga(toys.local("pack"), toys.local("file")))
    toys.refuses("file", run.subject_id)
    toys.raises("undo pack", Bug("glued"))

    messages.deliver_all()
    assert events(run) == ["pack", "turn back"]
    wake_run(run, messages)

    assert run.status == RunStatus.COMPENSATED
    assert journal(run, "step", "direction", "number", "outcome", "error")[2:] == [
        ("pack", "compensating", 1, "failed", "Bug"),
        ("pack", "compensating", 2, "done", ""),
    ]
    assert events(run) == ["pack", "turn back", "undo pack", "compensated"]


def test_an_undo_that_refuses_is_a_bug_and_not_a_turn(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.saga(toys.local("pack"), toys.local("file")))
    toys.refuses("file", run.subject_id)
    toys.refuses("undo pack", run.subject_id)

    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPENSATING
    assert run.reason == "file_refused"
    assert journal(run, "step", "direction", "outcome", "error", "detail")[2:] == [
        (
            "pack",
            "compensating",
            "failed",
            "DefinitionError",
            "undo pack: a compensation cannot be rejected",
        )
    ]
    assert events(run).count("turn back") == 1
    assert messages.waiting == []


def test_a_local_step_that_refuses_where_not_all_can_be_undone_is_a_bug(
    toys: Toys, messages: MessageQueue
) -> None:
    run = start(toys.saga(toys.local("pack"), toys.local("file", is_undoable=False)))
    toys.refuses("file", run.subject_id)

    messages.deliver_all()

    run.refresh_from_db()
    assert (run.status, run.step, run.reason) == (RunStatus.RUNNING, "file", "")
    assert journal(run, "step", "outcome", "error")[1:] == [("file", "failed", "DefinitionError")]


def test_a_hook_that_raises_when_a_run_turns_back_leaves_the_turn_for_later(
    toys: Toys, messages: MessageQueue
) -> None:
    run = start(toys.saga(toys.local("pack"), toys.local("file")))
    toys.refuses("file", run.subject_id)
    toys.raises("turn back", Bug("no ink"))
    before = everything(run)

    with pytest.raises(Bug, match="no ink"):
        messages.deliver_all()

    assert everything(run) == before
    wake_run(run, messages)
    assert run.status == RunStatus.COMPENSATED
