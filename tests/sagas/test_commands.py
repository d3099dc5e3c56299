"""The engine from the command line."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from sagas.identifiers import new_id
from sagas.models import RunStatus, SagaRun
from sagas.services import freeze
from tests.message_queue import MessageQueue
from tests.sagas.passing_time import let_time_pass
from tests.sagas.toys import Bug, Refused, Toys, everything, start, start_many
from tests.sagas.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parent.parent.parent


def sagas(*arguments: str) -> list[str]:
    """What ``manage.py sagas`` prints."""
    printed = StringIO()
    call_command("sagas", *arguments, stdout=printed)
    return printed.getvalue().splitlines()


def test_show_lists_what_is_live_oldest_first_with_its_flag(
    toys: Toys, messages: MessageQueue
) -> None:
    saga = toys.parcel()
    ended = start(saga)
    messages.deliver_all()
    back, flagged = start_many(saga, 2)
    toys.answers("send", Refused("no"))
    messages.deliver(messages.take())
    messages.drop_all()
    SagaRun.objects.filter(pk=flagged.pk).update(
        needs_attention=True, attention_reason="pack: 8 tries"
    )

    lines = sagas("show")

    assert len(lines) == 2
    assert re.fullmatch(
        rf"run {back.pk}  of {back.subject_id}  parcel  compensating  -  tries 0  wakes \d\d:\d\d:\d\d",
        lines[0],
    )
    assert re.fullmatch(
        rf"run {flagged.pk}  of {flagged.subject_id}  parcel  running  pack  tries 0  wakes \d\d:\d\d:\d\d"
        r"  NEEDS ATTENTION: pack: 8 tries",
        lines[1],
    )
    assert str(ended.pk) not in "".join(lines)


def test_show_tells_what_is_frozen(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())
    freeze(run.subject_id, "M6: 0 held of 4500")

    (live,) = sagas("show")
    (headline,) = sagas("show", str(run.subject_id))

    frozen = r"  FROZEN since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.search(rf"{frozen}  NEEDS ATTENTION: frozen: M6: 0 held of 4500$", live)
    assert re.fullmatch(rf"run {run.pk}  parcel version 1  running{frozen}", headline)


def test_thaw_lets_a_frozen_run_go_on(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())
    freeze(run.subject_id, "M6: 0 held of 4500")

    lines = sagas("thaw", str(run.subject_id), "--actor", "grace")
    messages.deliver_all()

    run.refresh_from_db()
    assert lines == [f"thawed {run.subject_id}"]
    assert run.status == RunStatus.COMPLETED


def test_thaw_of_what_is_not_frozen_is_an_error(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())

    with pytest.raises(CommandError, match=f"no run of {run.subject_id} is frozen"):
        sagas("thaw", str(run.subject_id), "--actor", "grace")


def test_show_of_a_subject_tells_what_was_tried(toys: Toys, messages: MessageQueue) -> None:
    run, _ = start_many(toys.parcel(), 2)
    toys.answers("send", Refused("no_such_street", "Elm Street"))
    messages.deliver_all()

    headline, *attempts = sagas("show", str(run.subject_id))
    lines = [line.split("  ", 1) for line in attempts]

    assert headline == f"run {run.pk}  parcel version 1  compensated"
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d\.\d{6}", when) for when, _ in lines)
    assert [what for _, what in lines] == [
        "pack #1  done",
        "send #1  refused  no_such_street Elm Street",
        "undo send #1  done",
        "undo pack #1  done",
    ]


def test_show_of_what_never_was_says_so(toys: Toys) -> None:
    with pytest.raises(CommandError, match="no run of"):
        sagas("show", str(new_id()))


def test_retry_takes_the_subject_too(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())
    messages.drop_all()

    assert sagas("retry", str(run.subject_id)) == [f"queued {run.pk}"]
    assert [each.run_id for each in messages.waiting] == [run.pk]


def test_retry_forgets_the_back_off_and_queues_the_run(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())
    toys.answers("send", Bug())
    messages.deliver_all()

    lines = sagas("retry", str(run.pk))
    messages.deliver_all()

    run.refresh_from_db()
    assert lines == [f"queued {run.pk}"]
    assert run.status == RunStatus.COMPLETED


def test_retry_of_a_run_that_is_not_live_is_an_error(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())
    messages.deliver_all()
    before = everything(run)

    for run_id in (run.pk, new_id()):
        with pytest.raises(CommandError, match=f"no live run {run_id}"):
            sagas("retry", str(run_id))

    assert everything(run) == before
    assert messages.waiting == []


def test_sweep_queues_what_is_due_once(toys: Toys, messages: MessageQueue) -> None:
    runs = start_many(toys.parcel(), 3)
    messages.drop_all()
    for each in runs[:2]:
        let_time_pass(each)

    assert sagas("sweep") == ["queued 2 runs"]
    assert sagas("sweep") == ["queued 0 runs"]

    assert [each.run_id for each in messages.waiting] == [each.pk for each in runs[:2]]


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """``manage.py sagas watch`` on the test's database, as a process of its own."""
    url = urlsplit(os.environ["DATABASE_URL"])
    database = url._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "sagas", "watch", "--every", "0.05"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database, "PGAPPNAME": "watch"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def count_sweeps_of(run: SagaRun) -> int:
    run.refresh_from_db()
    return run.redispatches


def be_swept(run: SagaRun) -> None:
    """Make the run due, and wait until the watch has found it."""
    before = count_sweeps_of(run)
    let_time_pass(run)
    wait_until(lambda: count_sweeps_of(run) == before + 1)


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_watch_sweeps_until_it_is_stopped(
    toys: Toys, messages: MessageQueue, watch: subprocess.Popen[str]
) -> None:
    run = start(toys.parcel())

    be_swept(run)
    be_swept(run)
    watch.send_signal(signal.SIGTERM)
    _, said = watch.communicate(timeout=20)

    assert watch.returncode == 0
    lines = [json.loads(line) for line in said.splitlines()]
    assert [(each["event"], each["runs"], each["sweeper"]) for each in lines] == [
        ("sweep.queued", 1, "watch"),
        ("sweep.queued", 1, "watch"),
    ]


@pytest.mark.destructive
def test_watch_survives_a_database_that_fails_and_one_that_hangs_up(
    toys: Toys, messages: MessageQueue, watch: subprocess.Popen[str]
) -> None:
    run = start(toys.parcel())
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
