"""Checks that beat, or the watch, has swept recently. For health checks of containers."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from sagas.cli_types import seconds
from sagas.queries.counts import last_sweeps
from sagas.sweep import SweepSource


class Command(BaseCommand):
    help = (
        "Succeed if beat, or the watch, has swept recently: for health checks. Changes nothing."
        " Exit status 1 if it has not."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--source",
            choices=[SweepSource.BEAT.value, SweepSource.WATCH.value],
            default=SweepSource.BEAT.value,
            help="beat or watch (default %(default)s)",
        )
        parser.add_argument(
            "--seconds",
            type=seconds(),
            default=30.0,
            help="the longest time since then (default %(default)s)",
        )

    def handle(self, *_: Any, source: str, **options: Any) -> None:
        last_sweep = last_sweeps().get(SweepSource(source))
        if last_sweep is None:
            raise CommandError(f"{source} has never swept")
        ago = (timezone.now() - last_sweep.at).total_seconds()
        if ago >= options["seconds"]:
            raise CommandError(f"{source} swept {ago:.0f} s ago")
        self.stdout.write(f"{source} swept {ago:.0f} s ago")
