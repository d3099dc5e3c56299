"""The schedule of periodic tasks: which task, how often, and why.

``manage.py synchronise_schedule`` writes it into django-celery-beat's tables, where operators
may switch an entry off or change its period. Their changes are kept.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

from monitoring.heartbeats import EVERY
from monitoring.tasks import HEARTBEAT


@dataclass(frozen=True, slots=True)
class ScheduleEntry:
    """One periodic task. Only intervals, because beat does not catch up on a missed time of day."""

    name: str
    task: str
    every: timedelta
    why: str
    queue: str = ""  # empty for the default queue
    # The time after which an unprocessed message expires; by default ``every``.
    expires_after: timedelta | None = None


SCHEDULE: tuple[ScheduleEntry, ...] = (
    ScheduleEntry(
        name="sagas: sweep",
        task="sagas.sweep",
        every=timedelta(seconds=3),
        why="Finds runs whose message was lost or whose worker died; part of the 15 s to recover.",
    ),
    ScheduleEntry(
        name="desk: process bulk actions",
        task="desk.process_bulk_actions",
        every=timedelta(seconds=5),
        why="Continues bulk actions of staff after a lost message or worker.",
    ),
    ScheduleEntry(
        name="invariants: check",
        task="invariants.check",
        every=timedelta(minutes=1),
        why="Checks what changed recently, also at the providers. Pauses orders whose money is in doubt.",
    ),
    ScheduleEntry(
        name="invariants: check everything",
        task="invariants.check_everything",
        every=timedelta(days=1),
        why="Checks all rows: stock levels against their movements, and old orders.",
    ),
    *(
        ScheduleEntry(
            name=f"monitoring: heartbeat of {queue.name}",
            task=HEARTBEAT,
            every=EVERY,
            why="Shows at the desk whether this queue has workers, and how long messages wait on it.",
            queue=queue.name,
            # A late heartbeat shows how late messages are.
            expires_after=timedelta(minutes=5),
        )
        for queue in settings.CELERY_TASK_QUEUES
    ),
    ScheduleEntry(
        name="orders: forget idempotency keys",
        task="orders.forget_idempotency_keys",
        every=timedelta(minutes=10),
        why="Deletes idempotency keys after 72 hours; clients repeat requests within minutes.",
    ),
)
