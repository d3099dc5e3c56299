"""The engine from the command line: look at runs, and move what stands still."""

import logging
import signal
import threading
import time
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, close_old_connections
from django.db.models import Q

from sagas.dispatch import publisher
from sagas.history import attempts_for, count_live
from sagas.models import LIVE, SagaRun
from sagas.services import retry_now, thaw
from sagas.sweep import Sweeper, sweep

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Look at the runs of sagas, and move what stands still."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        show = commands.add_parser("show", help="the runs that are live, or one subject's journal")
        show.add_argument("subject", nargs="?", type=UUID)
        retry = commands.add_parser("retry", help="forget a run's back-off and flag, and queue it")
        retry.add_argument("run", type=UUID, help="the id of a run, or of its subject")
        warm = commands.add_parser("thaw", help="let the frozen run of a subject go on")
        warm.add_argument("subject", type=UUID)
        warm.add_argument("--actor", required=True, help="who has looked, for the log")
        commands.add_parser("sweep", help="queue every run whose time to wake has passed, once")
        watch = commands.add_parser(
            "watch", help="sweep until stopped; needs neither beat nor Redis to find what stalled"
        )
        rest = commands.add_parser(
            "rest", help="wait until no run is under way; status 1 if some are"
        )
        rest.add_argument("--seconds", type=float, default=60.0)
        watch.add_argument("--every", type=float, default=3.0, help="seconds between two sweeps")

    def handle(self, *_: Any, command: str, **options: Any) -> None:
        match command:
            case "show" if options["subject"]:
                self._show_subject(options["subject"])
            case "show":
                self._show_live()
            case "retry":
                self._retry(options["run"])
            case "thaw":
                self._thaw(options["subject"], options["actor"])
            case "sweep":
                self.stdout.write(f"queued {sweep()} runs")
                publisher.flush()
            case "watch":
                self._watch(options["every"])
            case "rest":
                self._rest(options["seconds"])

    def _show_live(self) -> None:
        for run in SagaRun.objects.filter(status__in=LIVE).order_by("created_at"):
            flag = f"  NEEDS ATTENTION: {run.attention_reason}" if run.needs_attention else ""
            self.stdout.write(
                f"run {run.pk}  of {run.subject_id}  {run.saga}  {run.status}  {run.step or '-'}"
                f"  tries {run.tries}  wakes {run.wake_at:%H:%M:%S}{_frozen(run)}{flag}"
            )

    def _show_subject(self, subject_id: UUID) -> None:
        runs = SagaRun.objects.filter(subject_id=subject_id).order_by("created_at")
        if not runs:
            raise CommandError(f"no run of {subject_id}")
        for run in runs:
            self.stdout.write(
                f"run {run.pk}  {run.saga} version {run.version}  {run.status}{_frozen(run)}"
            )
        for each in attempts_for(subject_id):
            self.stdout.write(
                f"{each.started_at:%H:%M:%S.%f}  {each.name} #{each.number}  {each.outcome}"
                f"  {each.error} {each.detail}".rstrip()
            )

    def _retry(self, run_or_subject: UUID) -> None:
        named = Q(pk=run_or_subject) | Q(subject_id=run_or_subject)
        run = SagaRun.objects.filter(named, status__in=LIVE).first()
        if run is None or not retry_now(run.pk):
            raise CommandError(f"no live run {run_or_subject}, and none of this subject")
        publisher.flush()
        self.stdout.write(f"queued {run.pk}")

    def _thaw(self, subject_id: UUID, actor: str) -> None:
        if not thaw(subject_id, actor):
            raise CommandError(f"no run of {subject_id} is frozen")
        publisher.flush()
        self.stdout.write(f"thawed {subject_id}")

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        pause = threading.Event()
        while live := count_live():
            if time.monotonic() >= until:
                raise CommandError(f"{live} runs are still under way")
            pause.wait(0.2)

    def _watch(self, every: float) -> None:
        """Sweep at a steady pace; a database that is down is waited for."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        while not stop.is_set():
            close_old_connections()
            try:
                sweep(Sweeper.WATCH)
            except DatabaseError as error:
                log.error("sweep.failed", extra={"error": str(error)})  # noqa: TRY400 - it goes on
            stop.wait(every)


def _frozen(run: SagaRun) -> str:
    return f"  FROZEN since {run.frozen_at:%Y-%m-%d %H:%M:%S}" if run.frozen_at else ""
