"""Whether a worker works: for a container's health check."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from monitoring.heartbeats import SILENT_AFTER, silence
from sagas.cli_types import seconds


class Command(BaseCommand):
    help = (
        "Succeed only if a heartbeat came through a queue lately, so beat, broker, worker and database"
        " work: for health checks. Changes nothing. Exit status 1 if none came."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        queues = [each.name for each in settings.CELERY_TASK_QUEUES]
        parser.add_argument("--queue", required=True, choices=queues, help="through which")
        parser.add_argument(
            "--worker",
            default="",
            help="its name, such as checkout@host; of several on a queue each takes some heartbeats "
            "only, so give it more --seconds",
        )
        parser.add_argument(
            "--seconds",
            type=seconds(),
            default=SILENT_AFTER.total_seconds(),
            help="what is lately (default %(default)s)",
        )

    def handle(self, *_: Any, queue: str, worker: str, **options: Any) -> None:
        silent_for = silence(queue, worker)
        if silent_for is None:
            raise CommandError(f"no heartbeat was ever taken from {queue}")
        if silent_for >= timedelta(seconds=options["seconds"]):
            raise CommandError(f"no heartbeat from {queue} for {silent_for.total_seconds():.0f} s")
        self.stdout.write(f"a heartbeat from {queue} {silent_for.total_seconds():.0f} s ago")
