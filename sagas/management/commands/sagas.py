"""The engine from the command line: show runs, queue overdue ones, and look after versions."""

import json
import logging
import signal
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from textwrap import fill
from typing import Any, Final
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, close_old_connections

from sagas import registry
from sagas.cli_types import seconds
from sagas.dispatch import publisher
from sagas.models import LIVE, SagaRun
from sagas.queries.attempts import AttemptView, attempts_for
from sagas.queries.counts import count_moving
from sagas.queries.subjects import subject_of
from sagas.queries.waits import wait_of
from sagas.sweep import SweepSource, sweep
from sagas.version_commands import add_version_commands, run_version_command

log = logging.getLogger(__name__)

WIDTH: Final = 100


class Command(BaseCommand):
    help = (
        "Show the runs of sagas, and queue those that no worker advances. For actions on one order"
        " (retry, cancel, pause, resume) use the command orders, which records a reason."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        show = commands.add_parser(
            "show",
            help="the live runs, or one subject's runs with all attempts; changes nothing",
        )
        show.add_argument(
            "id",
            nargs="?",
            help="of a run, or of its subject, such as an order (see also: orders show)",
        )
        show.add_argument("--json", action="store_true", help="as JSON, for programs")
        commands.add_parser("sweep", help="queue every run whose time to wake has passed, once")
        watch = commands.add_parser(
            "watch", help="sweep until stopped; needs neither beat nor Redis"
        )
        watch.add_argument(
            "--every",
            type=seconds(at_least=0.01),
            default=0.25,
            help="seconds between two sweeps (default %(default)s)",
        )
        rest = commands.add_parser(
            "rest",
            help="wait until every live run waits; exit status 1 if some still move; changes nothing",
        )
        rest.add_argument(
            "--seconds",
            type=seconds(),
            default=60.0,
            help="how long to wait (default %(default)s)",
        )
        add_version_commands(commands)

    def handle(self, *_: Any, command: str, **options: Any) -> None:
        match command:
            case "show":
                self._show(options["id"], as_json=options["json"])
            case "sweep":
                self.stdout.write(f"queued {sweep()} runs")
                publisher.flush()
            case "watch":
                self._watch(options["every"])
            case "rest":
                self._rest(options["seconds"])
            case _:
                run_version_command(command, options, self.stdout)

    def _show(self, named: str | None, *, as_json: bool) -> None:
        attempts: Sequence[AttemptView] = ()
        if named is None:
            runs = list(SagaRun.objects.filter(status__in=LIVE).order_by("created_at"))
        else:
            runs = _runs_named(named)
            attempts = attempts_for(runs[0].subject_id)
        if as_json:
            shown = {
                "runs": [_run_json(run) for run in runs],
                "attempts": [_attempt_json(attempt) for attempt in attempts],
            }
            self.stdout.write(json.dumps(shown, indent=2, cls=DjangoJSONEncoder))
        else:
            if not runs:
                self.stdout.write("No run is live.")
            for run in runs:
                self.stdout.write("\n".join(_run_lines(run)))
            for attempt in attempts:
                self.stdout.write(_attempt_text(attempt))

    def _rest(self, patience: float) -> None:
        until = time.monotonic() + patience
        pause = threading.Event()
        while live := count_moving():
            if time.monotonic() >= until:
                raise CommandError(f"{live} runs still move")
            pause.wait(0.2)

    def _watch(self, every: float) -> None:
        """Sweep at a steady pace, and go on after database errors, until SIGTERM or SIGINT."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        while not stop.is_set():
            close_old_connections()
            try:
                sweep(SweepSource.WATCH)
            except DatabaseError as error:
                log.error("sweep.failed", extra={"error": str(error)})  # noqa: TRY400 - it goes on
            stop.wait(every)


def _runs_named(named: str) -> list[SagaRun]:
    """Return every run of a subject, by its id or that of one of its runs, oldest first."""
    try:
        given = UUID(named)
    except ValueError:
        raise CommandError(
            f"{named!r} is not an id. orders show also accepts references and payment providers' ids."
        ) from None
    runs = SagaRun.objects.filter(subject_id=subject_of(given) or given).order_by("created_at")
    if not runs:
        raise CommandError(f"{named} is not a run, and no run is about it.")
    return list(runs)


def _run_json(run: SagaRun) -> dict[str, object]:
    return {
        "id": run.pk,
        "subject_id": run.subject_id,
        "saga": run.saga,
        "version": run.version,
        "status": run.status,
        "step": run.step,
        "attempt_count": run.attempt_count,
        "retry_count": run.retry_count,
        "wake_at": run.wake_at,
        "wait": _wait_json(run),
        "needs_attention": run.needs_attention,
        "attention_reason": run.attention_reason,
        "paused_at": run.paused_at,
        "pause_reason": run.pause_reason,
        "created_at": run.created_at,
        "ended_at": run.ended_at,
    }


def _attempt_json(attempt: AttemptView) -> dict[str, object]:
    return {
        "name": attempt.name,
        "number": attempt.number,
        "outcome": attempt.outcome,
        "error": attempt.error,
        "detail": attempt.detail,
        "started_at": attempt.started_at,
        "ended_at": attempt.ended_at,
    }


def _run_lines(run: SagaRun) -> Iterator[str]:
    yield f"run {run.pk}  of {run.subject_id}"
    step = f" at {run.step}{_tried(run)}" if run.step and run.is_live else ""
    wakes = f", wakes {run.wake_at:%Y-%m-%d %H:%M:%S} UTC" if run.wake_at else ""
    yield f"  {run.saga} version {run.version}: {run.status}{step}{wakes}"
    if wait := wait_of(run, registry.find(run.saga, run.version)):
        passed = "; an earlier deadline has passed" if wait.is_escalated else ""
        yield _wrapped(
            f"  waits for {wait.text.staff} ({wait.code}), since {wait.since:%Y-%m-%d %H:%M:%S} UTC,"
            f" until {wait.until:%Y-%m-%d %H:%M:%S} UTC; then {wait.text.then}{passed}"
        )
    if run.paused_at:
        yield f"  PAUSED since {run.paused_at:%Y-%m-%d %H:%M:%S} UTC"
    if run.needs_attention:
        yield _wrapped(f"  NEEDS ATTENTION: {run.attention_reason}")


def _tried(run: SagaRun) -> str:
    """Return how often the step was attempted; empty while it waits, because looks are no attempts."""
    if run.waits_for:
        return ""
    return ", 1 attempt" if run.attempt_count == 1 else f", {run.attempt_count} attempts"


def _wait_json(run: SagaRun) -> dict[str, object] | None:
    wait = wait_of(run, registry.find(run.saga, run.version))
    if wait is None:
        return None
    return {
        "code": wait.code,
        "waits_for": wait.text.staff,
        "since": wait.since,
        "until": wait.until,
        "then": wait.text.then,
        "is_escalated": wait.is_escalated,
    }


def _attempt_text(attempt: AttemptView) -> str:
    outcome = f"{attempt.outcome}  {attempt.error_text}".rstrip()
    text = f"{attempt.name} #{attempt.number}  {outcome}"
    return _wrapped(f"{attempt.started_at:%Y-%m-%d %H:%M:%S.%f}  {text}")


def _wrapped(text: str) -> str:
    return fill(
        text, WIDTH, subsequent_indent=" " * 4, break_long_words=False, break_on_hyphens=False
    )
