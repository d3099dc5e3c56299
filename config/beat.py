"""The whole schedule in one table: which task, how often, and why.

``manage.py synchronise_schedule`` writes it into django-celery-beat's tables, where operations
may switch an entry off or change its period; what they changed is kept.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

from monitoring.heartbeats import EVERY
from monitoring.tasks import HEARTBEAT


@dataclass(frozen=True, slots=True)
class Entry:
    """One periodic task. All are intervals: beat does not catch up on a missed time of day."""

    name: str
    task: str
    every: timedelta
    why: str
    queue: str = ""  # the default one where it is empty
    # When a tick that nobody took is gone; when the next one comes, where nothing is said.
    expires_after: timedelta | None = None


SCHEDULE: tuple[Entry, ...] = (
    Entry(
        name="sagas: sweep",
        task="sagas.sweep",
        every=timedelta(seconds=3),
        why="Finds runs whose message was lost or whose worker died; part of the 15 s to recover.",
    ),
    Entry(
        name="desk: process bulk actions",
        task="desk.process_bulk_actions",
        every=timedelta(seconds=5),
        why="Goes on with what staff asked for in bulk where a message or a worker was lost.",
    ),
    Entry(
        name="invariants: check",
        task="invariants.check",
        every=timedelta(minutes=1),
        why="Looks at what moved lately, and at the bank: money in doubt is paused in two minutes.",
    ),
    Entry(
        name="invariants: check everything",
        task="invariants.check_everything",
        every=timedelta(days=1),
        why="Adds up all of history: stock levels, and what nobody has touched for longer.",
    ),
    *(
        Entry(
            name=f"monitoring: heartbeat of {queue.name}",
            task=HEARTBEAT,
            every=EVERY,
            why="Shows at the desk that this queue is served, and how long a message waits on it.",
            queue=queue.name,
            # A heartbeat that comes late tells how late.
            expires_after=timedelta(minutes=5),
        )
        for queue in settings.CELERY_TASK_QUEUES
    ),
    Entry(
        name="orders: forget idempotency keys",
        task="orders.forget_idempotency_keys",
        every=timedelta(minutes=10),
        why="Clients repeat requests within minutes; keys are kept for 72 hours, not for ever.",
    ),
)
