"""The one clock of the tests: it moves the time of runs and orders, so that no test waits for it.

``advance``, ``move_to``, ``stop`` and ``play`` move the clock of the test database, for all
processes; it shows the real time again after the test. ``bring_nearer`` and ``backdate`` change rows
instead, for tests in which only some runs or orders age.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import F, Min, QuerySet

from clock import moving
from clock.now import now
from sagas.models import LIVE, Direction, SagaRun, StepAttempt
from sagas.sweep import sweep
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue

A_DAY: Final = timedelta(days=1)
TWO_HOURS: Final = timedelta(hours=2)

DATES: Final = {
    "placed": "UPDATE orders_order SET created_at = created_at - %(by)s::interval WHERE id = %(order)s",
    "moved": "UPDATE orders_ordertransition SET at = at - %(by)s::interval WHERE order_id = %(order)s",
    "worked on": "UPDATE sagas_stepattempt SET started_at = started_at - %(by)s::interval"
    " WHERE run_id IN (SELECT id FROM sagas_sagarun WHERE subject_id = %(order)s)",
}
"""How to date back each record of when something last happened to an order."""


MOST_JUMPS: Final = 1000
"""More jumps than this in one ``play`` are a run that never gets on."""

_moved: set[str] = set()
"""The names of the databases whose clocks were moved, and not reset yet."""


def database_time() -> datetime:
    """Return the time by the clock that all of our rows are dated with."""
    return now()


def advance(duration: timedelta = timedelta(), *, days: float = 0, hours: float = 0) -> None:
    """Move the clock forward, for everything that reads it."""
    _note_move()
    moving.advance(duration + timedelta(days=days, hours=hours))


def move_to(at: datetime) -> None:
    """Move the clock forward to a time."""
    _note_move()
    moving.move_to(at)


def stop() -> datetime:
    """Stop the clock until it is moved or reset, and return its time."""
    _note_move()
    moving.stop()
    return now()


def reset_if_moved() -> None:
    """Return to the real time. Costs no statement if the clock was not moved."""
    if _moved:
        moving.reset()
        _moved.clear()


def _note_move() -> None:
    _moved.add(str(connection.settings_dict["NAME"]))


class Fired(NamedTuple):
    """Something that happened to a run: an attempt ended, it was flagged, or it ended."""

    at: datetime
    run_id: UUID
    what: str


def play(until: datetime, messages: MessageQueue) -> list[Fired]:
    """Play the time until ``until``, and return what happened, in order.

    Stops the clock. Then it moves it to the next time at which a live run wakes, never past it,
    sweeps, and delivers all messages; and so on. So whatever happens has the exact time.
    """
    stop()
    known = set(_happened())
    messages.deliver_all()
    fired = _new(known)
    for _ in range(MOST_JUMPS):
        wake_at = SagaRun.objects.filter(status__in=LIVE).aggregate(next=Min("wake_at"))["next"]
        if wake_at is None or wake_at > until:
            move_to(until)
            return fired
        move_to(max(wake_at, now()))
        sweep()
        messages.deliver_all()
        fired += _new(known)
    raise AssertionError(f"{MOST_JUMPS} jumps, and it is only {now()}")


def _new(known: set[Fired]) -> list[Fired]:
    """Return what has happened since the last call, and note it in ``known``."""
    seen = {(fired.run_id, fired.what) for fired in known if fired.what.startswith("flagged")}
    new = [
        fired
        for fired in _happened()
        if fired not in known and (fired.run_id, fired.what) not in seen
    ]
    known.update(new)
    return new


def _happened() -> Iterator[Fired]:
    """Return everything that the rows tell, oldest first; a flag has the present time."""
    for attempt in StepAttempt.objects.filter(ended_at__isnull=False).order_by("ended_at", "pk"):
        is_forward = attempt.direction == Direction.FORWARD
        name = attempt.step if is_forward else f"compensation of {attempt.step}"
        assert attempt.ended_at is not None
        yield Fired(attempt.ended_at, attempt.run_id, f"{name} {attempt.outcome}")
    for run in SagaRun.objects.filter(needs_attention=True).order_by("pk"):
        yield Fired(now(), run.pk, f"flagged: {run.attention_reason}")
    for run in SagaRun.objects.filter(ended_at__isnull=False).order_by("ended_at", "pk"):
        assert run.ended_at is not None
        yield Fired(run.ended_at, run.pk, run.status)


def bring_nearer(
    duration: timedelta,
    *,
    runs: QuerySet[SagaRun] | None = None,
    sandbox_stripe: SandboxServer | None = None,
) -> None:
    """Bring every lease, back-off and time to wake nearer, of all runs by default.

    The provider's clock moves as well when it is given.
    """
    chosen = SagaRun.objects.all() if runs is None else runs
    StepAttempt.objects.filter(run__in=chosen, not_before__isnull=False).update(
        not_before=F("not_before") - duration
    )
    chosen.update(
        leased_until=F("leased_until") - duration,
        not_before=F("not_before") - duration,
        waiting_since=F("waiting_since") - duration,
        waiting_until=F("waiting_until") - duration,
        wake_at=F("wake_at") - duration,
    )
    if sandbox_stripe is not None:
        sandbox_stripe.advance(int(duration.total_seconds()))


def let_time_pass(run: SagaRun) -> None:
    """Expire the run's lease, end its back-offs, and make it due for the sweep."""
    bring_nearer(A_DAY, runs=SagaRun.objects.filter(pk=run.pk))


def wake_run(run: SagaRun, messages: MessageQueue) -> None:
    """Advance time, sweep, and deliver what the sweep sends."""
    let_time_pass(run)
    sweep()
    messages.deliver_all()
    run.refresh_from_db()


def backdate(order_id: UUID, *, by: timedelta = TWO_HOURS, but: str = "") -> None:
    """Move what happened to an order into the past, except the record of DATES named ``but``."""
    with connection.cursor() as cursor:
        for record, statement in DATES.items():
            if record != but:
                cursor.execute(statement, {"by": str(by), "order": order_id})
