"""Checks that a worker has taken a heartbeat recently. For health checks of containers."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from monitoring.heartbeats import SILENT_AFTER, silence
from sagas.cli_types import seconds


class Command(BaseCommand):
    help = (
        "Succeed if a worker has taken a heartbeat from the queue recently, so that beat, broker, worker"
        " and database work: for health checks. Changes nothing. Exit status 1 otherwise."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        queues = [queue.name for queue in settings.CELERY_TASK_QUEUES]
        parser.add_argument("--queue", required=True, choices=queues, help="the queue")
        parser.add_argument(
            "--worker",
            default="",
            help="only this worker, such as checkout@host. Several workers share the heartbeats of a "
            "queue, so allow more --seconds",
        )
        parser.add_argument(
            "--seconds",
            type=seconds(),
            default=SILENT_AFTER.total_seconds(),
            help="the longest time since then (default %(default)s)",
        )

    def handle(self, *_: Any, queue: str, worker: str, **options: Any) -> None:
        silent_for = silence(queue, worker)
        if silent_for is None:
            raise CommandError(f"no heartbeat was ever taken from {queue}")
        if silent_for >= timedelta(seconds=options["seconds"]):
            raise CommandError(f"no heartbeat from {queue} for {silent_for.total_seconds():.0f} s")
        self.stdout.write(f"last heartbeat from {queue} {silent_for.total_seconds():.0f} s ago")
