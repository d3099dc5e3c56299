"""Writes the schedule of ``config.beat`` into django-celery-beat's tables."""

import json
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction
from django.db.models import Q
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from config.beat import SCHEDULE, ScheduleEntry

# An entry that beat adds when results are stored (see CELERY_RESULT_EXPIRES).
_CLEANING = "celery.backend_cleanup"


class Command(BaseCommand):
    help = (
        "Write config/beat.py into the database: add missing entries, remove old ones. Periods, queues"
        " and switches that operators changed stay. Run it at each deploy."
    )

    @transaction.atomic
    def handle(self, *_: Any, **__: Any) -> None:
        for entry in SCHEDULE:
            created = self._synchronise(entry)
            self.stdout.write(f"{'added' if created else 'kept'}: {entry.name}")
        own = Q(description__startswith="Holdfast: ") | Q(name=_CLEANING)
        obsolete = PeriodicTask.objects.filter(own).exclude(
            name__in=[entry.name for entry in SCHEDULE]
        )
        for task in obsolete:
            self.stdout.write(f"removed: {task.name}")
            task.delete()

    def _synchronise(self, entry: ScheduleEntry) -> bool:
        """Create or update an entry. Returns True if it is new."""
        seconds = round(entry.every.total_seconds())
        # An unprocessed message expires before the next one is sent.
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
            # Save only changes: beat counts a task's first period from when its row was saved, so with
            # daily deploys a daily task would never run.
            for name, value in wanted.items():
                setattr(task, name, value)
            task.save()
        return bool(created)


def _interval(seconds: int) -> IntervalSchedule:
    """Return the row of a period. Concurrent deploys may have created two; the first one is used."""
    rows = IntervalSchedule.objects.filter(every=seconds, period=IntervalSchedule.SECONDS)
    return rows.order_by("pk").first() or rows.create(
        every=seconds, period=IntervalSchedule.SECONDS
    )
