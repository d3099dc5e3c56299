"""Write the reviewed schedule into django-celery-beat's tables."""

import json
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from config.beat import SCHEDULE, Entry


class Command(BaseCommand):
    help = "Bring the schedule in the database up to config/beat.py; keeps what operations changed."

    @transaction.atomic
    def handle(self, *_: Any, **__: Any) -> None:
        for entry in SCHEDULE:
            created = self._synchronise(entry)
            self.stdout.write(f"{'added' if created else 'kept'}: {entry.name}")
        gone = PeriodicTask.objects.exclude(name__in=[each.name for each in SCHEDULE]).filter(
            description__startswith="Holdfast: "
        )
        for task in gone:
            self.stdout.write(f"removed: {task.name}")
            task.delete()

    def _synchronise(self, entry: Entry) -> bool:
        """Add an entry, or bring its task and reason up to date; True if it is new."""
        seconds = round(entry.every.total_seconds())
        # Ticks that nobody took do not pile up: the next one does the same.
        until = round(entry.expires_after.total_seconds()) if entry.expires_after else seconds - 1
        interval, _ = IntervalSchedule.objects.get_or_create(
            every=seconds, period=IntervalSchedule.SECONDS
        )
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
