"""Write the reviewed schedule into django-celery-beat's tables."""

import json
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction
from django.db.models import Q
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from config.beat import SCHEDULE, Entry

# Written by beats that still took results for kept (see CELERY_RESULT_EXPIRES).
_CLEANING = "celery.backend_cleanup"


class Command(BaseCommand):
    help = (
        "Bring the schedule in the database up to config/beat.py: adds what is missing, removes what"
        " is gone. Periods, queues and switches that operations changed stay. For each deploy."
    )

    @transaction.atomic
    def handle(self, *_: Any, **__: Any) -> None:
        for entry in SCHEDULE:
            created = self._synchronise(entry)
            self.stdout.write(f"{'added' if created else 'kept'}: {entry.name}")
        ours = Q(description__startswith="Holdfast: ") | Q(name=_CLEANING)
        gone = PeriodicTask.objects.filter(ours).exclude(name__in=[each.name for each in SCHEDULE])
        for task in gone:
            self.stdout.write(f"removed: {task.name}")
            task.delete()

    def _synchronise(self, entry: Entry) -> bool:
        """Add an entry, or bring its task and reason up to date; True if it is new."""
        seconds = round(entry.every.total_seconds())
        # Ticks that nobody took do not pile up: the next one does the same.
        until = round(entry.expires_after.total_seconds()) if entry.expires_after else seconds - 1
        interval = _interval(seconds)
        task, created = PeriodicTask.objects.get_or_create(
            name=entry.name,
            defaults={
                "task": entry.task,
                "interval": interval,
                "queue": entry.queue or None,
                "expire_seconds": max(until, 1),
            },
        )
        wanted = {
            "task": entry.task,
            "args": json.dumps([]),
            "description": f"Holdfast: {entry.why}",
        }
        if any(getattr(task, name) != value for name, value in wanted.items()):
            # Only then: beat counts the first period of a task from when its row was last saved, so
            # one that runs daily would never run where deploys are daily too.
            for name, value in wanted.items():
                setattr(task, name, value)
            task.save()
        return bool(created)


def _interval(seconds: int) -> IntervalSchedule:
    """Return the row for a period. Nothing forbids two, and two deploys at once may have made two."""
    rows = IntervalSchedule.objects.filter(every=seconds, period=IntervalSchedule.SECONDS)
    return rows.order_by("pk").first() or rows.create(
        every=seconds, period=IntervalSchedule.SECONDS
    )
