"""The engine from the command line."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from sagas.identifiers import new_id
from sagas.models import SagaRun
from sagas.pause_reasons import PauseReason
from sagas.services import pause
from sagas.sweep import sweep
from sagas.work import Escalate
from tests.support.clock import advance, let_time_pass
from tests.support.fake_sagas import DAY, Bug, FakeSagas, Rejected, start, start_many
from tests.support.in_memory_broker import MessageQueue
from tests.support.waits import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parent.parent.parent


def sagas(*arguments: str) -> list[str]:
    """Return the lines that ``manage.py sagas`` prints."""
    printed = StringIO()
    call_command("sagas", *arguments, stdout=printed)
    return printed.getvalue().splitlines()


def test_show_lists_live_runs_oldest_first_with_their_flags(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.parcel()
    ended = start(saga)
    messages.deliver_all()
    back, flagged = start_many(saga, 2)
    fakes.answers("send", Rejected("no"))
    messages.deliver(messages.take())
    messages.drop_all()
    SagaRun.objects.filter(pk=flagged.pk).update(
        needs_attention=True, attention_reason="pack: 8 attempts"
    )

    lines = sagas("show")

    wakes = r"wakes \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    assert len(lines) == 5
    assert lines[0] == f"run {back.pk}  of {back.subject_id}"
    assert re.fullmatch(rf"  parcel version 1: compensating, {wakes}", lines[1])
    assert lines[2] == f"run {flagged.pk}  of {flagged.subject_id}"
    assert re.fullmatch(rf"  parcel version 1: running at pack, 0 attempts, {wakes}", lines[3])
    assert lines[4] == "  NEEDS ATTENTION: pack: 8 attempts"
    assert str(ended.pk) not in "".join(lines)


def test_show_says_that_a_run_is_paused(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.parcel())
    pause(run.subject_id, PauseReason.MONEY_IN_DOUBT, "0 held of 4500", "M6")

    live, of_one = sagas("show"), sagas("show", str(run.subject_id))

    assert live == of_one
    assert re.fullmatch(r"  PAUSED since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", live[2])
    assert live[3] == "  NEEDS ATTENTION: paused by M6: 0 held of 4500"


def test_show_says_that_an_earlier_deadline_of_a_wait_has_passed(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    start(fakes.saga(fakes.wait("pickup", overdue=Escalate(DAY, "Ask the customer."))))
    messages.deliver_all()

    def shown() -> tuple[str, bool]:
        (run,) = json.loads("".join(sagas("show", "--json")))["runs"]
        lines = " ".join(map(str.strip, sagas("show")))
        wait = lines.partition("waits for ")[2].partition(" NEEDS ATTENTION")[0]
        return wait.partition("; ")[2], run["wait"]["is_escalated"]

    assert shown() == ("then it is sent back", False)
    advance(DAY)
    sweep()
    messages.deliver_all()

    assert shown() == ("then it is sent back; an earlier deadline has passed", True)


def test_show_of_a_subject_or_of_its_run_lists_the_attempts(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run, _ = start_many(fakes.parcel(), 2)
    fakes.answers("send", Rejected("no_such_street", "Elm Street"))
    messages.deliver_all()

    of_subject, of_run = sagas("show", str(run.subject_id)), sagas("show", str(run.pk))

    headline, state, *attempts = of_subject
    tried = [re.fullmatch(r"[\d-]{10} [\d:.]{15}  (.*)", line) for line in attempts]
    assert of_run == of_subject
    assert headline == f"run {run.pk}  of {run.subject_id}"
    assert state == "  parcel version 1: compensated"
    assert [match and match[1] for match in tried] == [
        "pack #1  done",
        "send #1  rejected  no_such_street Elm Street",
        "compensate send #1  done",
        "compensate pack #1  done",
    ]


def test_show_says_that_no_run_is_live(fakes: FakeSagas, messages: MessageQueue) -> None:
    start(fakes.parcel())
    messages.deliver_all()

    assert sagas("show") == ["No run is live."]
    assert json.loads("".join(sagas("show", "--json"))) == {"runs": [], "attempts": []}


@pytest.mark.parametrize("every", ["0", "-1", "nan", "soon", "1e300"])
def test_an_interval_that_is_too_short_is_refused(every: str) -> None:
    with pytest.raises(CommandError, match=f"'{every}' is not a number of seconds, at least 0.01"):
        sagas("watch", "--every", every)


def test_show_wraps_long_lines(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", Rejected("no_such_street", "Elm Street " * 40))
    messages.deliver_all()

    lines = sagas("show", str(run.pk))

    assert max(map(len, lines)) <= 100
    assert " ".join(lines).count("Elm") == 40


def test_show_prints_the_same_as_json(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", Bug())
    messages.deliver(messages.take())

    (live,) = json.loads("".join(sagas("show", "--json")))["runs"]
    shown = json.loads("".join(sagas("show", str(run.subject_id), "--json")))

    run.refresh_from_db()
    assert (live["id"], live["subject_id"]) == (str(run.pk), str(run.subject_id))
    assert (live["status"], live["step"], live["needs_attention"]) == ("running", "send", False)
    assert datetime.fromisoformat(live["wake_at"]).replace(microsecond=0) == (
        run.wake_at and run.wake_at.replace(microsecond=0)
    )
    assert shown["runs"] == [live]
    assert [(attempt["name"], attempt["outcome"]) for attempt in shown["attempts"]] == [
        ("pack", "done"),
        ("send", "failed"),
    ]


def test_show_of_an_unknown_id_fails(fakes: FakeSagas) -> None:
    unknown = str(new_id())

    with pytest.raises(
        CommandError, match=f"{unknown} is not a run, and no run is about it"
    ) as never:
        sagas("show", unknown)
    with pytest.raises(CommandError, match="'cart-17' is not an id") as no_id:
        sagas("show", "cart-17")

    assert (never.value.returncode, no_id.value.returncode) == (1, 1)


def test_sweep_queues_due_runs_once(fakes: FakeSagas, messages: MessageQueue) -> None:
    runs = start_many(fakes.parcel(), 3)
    messages.drop_all()
    for run in runs[:2]:
        let_time_pass(run)

    assert sagas("sweep") == ["queued 2 runs"]
    assert sagas("sweep") == ["queued 0 runs"]

    assert [message.run_id for message in messages.waiting] == [message.pk for message in runs[:2]]


@contextmanager
def process_of(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``manage.py sagas`` on the test's database, in a process of its own."""
    url = urlsplit(os.environ["DATABASE_URL"])
    database = url._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "sagas", *arguments],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database, "PGAPPNAME": arguments[0]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def watch() -> Iterator[subprocess.Popen[str]]:
    with process_of("watch", "--every", "0.05") as process:
        yield process


def count_sweeps_of(run: SagaRun) -> int:
    run.refresh_from_db()
    return run.redispatch_count


def be_swept(run: SagaRun) -> None:
    """Make the run due, and wait until the watch has queued it."""
    before = count_sweeps_of(run)
    let_time_pass(run)
    wait_until(lambda: count_sweeps_of(run) == before + 1)


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_watch_sweeps_until_it_is_stopped(
    fakes: FakeSagas, messages: MessageQueue, watch: subprocess.Popen[str]
) -> None:
    run = start(fakes.parcel())

    be_swept(run)
    be_swept(run)
    watch.send_signal(signal.SIGTERM)
    _, said = watch.communicate(timeout=PATIENCE_SECONDS)

    assert watch.returncode == 0
    lines = [json.loads(line) for line in said.splitlines()]
    assert [(line["event"], line["runs"], line["source"]) for line in lines] == [
        ("sweep.queued", 1, "watch"),
        ("sweep.queued", 1, "watch"),
    ]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Make child processes interruptible, also if a shell's ``&`` started the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_command_prints_nothing(fakes: FakeSagas, messages: MessageQueue) -> None:
    start(fakes.parcel())

    with process_of("rest", "--seconds", "600") as resting:
        wait_until(lambda: is_connected("rest"))
        resting.send_signal(signal.SIGINT)
        out, error = resting.communicate(timeout=PATIENCE_SECONDS)

    assert (resting.returncode, out, error) == (128 + signal.SIGINT, "", "")


def is_connected(name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE application_name = %s", [name])
        return cursor.fetchone() is not None


@pytest.mark.destructive
def test_watch_survives_a_database_that_fails_and_one_that_disconnects(
    fakes: FakeSagas, messages: MessageQueue, watch: subprocess.Popen[str]
) -> None:
    run = start(fakes.parcel())
    be_swept(run)

    execute("ALTER TABLE sagas_sagarun RENAME TO hidden")
    try:
        assert watch.stderr is not None
        said = json.loads(watch.stderr.readline())
        while said["event"] == "sweep.queued":
            said = json.loads(watch.stderr.readline())
    finally:
        execute("ALTER TABLE hidden RENAME TO sagas_sagarun")
    be_swept(run)
    execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'watch'"
    )
    be_swept(run)

    assert said["event"] == "sweep.failed"
    assert "sagas_sagarun" in said["error"]
    assert watch.poll() is None
