"""The processes of the Procfile must fit the queues, tasks and time limits of the code."""

import re

import pytest
from django.conf import settings
from django.core.management import call_command

from config.beat import SCHEDULE
from config.celery import app
from orders.api.http.prefer_header import MAX_WAIT_SECONDS
from orders.api.orders.event_stream import MAX_STREAM_SECONDS
from sagas import registry
from sandbox.programs import APPLICATION_STOP_SECONDS
from tests.support.source_files import ROOT

GRACE = re.compile(r"^web: gunicorn .*--graceful-timeout (\d+)", re.MULTILINE)
QUEUED = re.compile(r"--(?:worker-connections|backlog) (\d+)")
THREADS = re.compile(r"^web: gunicorn .*--threads (\d+)", re.MULTILINE)
WORKER = re.compile(r"^worker-\S+: celery -A config worker -Q (\S+)", re.MULTILINE)


@pytest.fixture
def served_queues() -> list[str]:
    """Every queue that a worker of the Procfile serves."""
    return [
        queue
        for queues in WORKER.findall((ROOT / "Procfile").read_text())
        for queue in queues.split(",")
    ]


@pytest.fixture
def known_tasks() -> set[str]:
    app.loader.import_default_modules()
    return set(app.tasks)


def test_every_queue_is_served_by_one_kind_of_worker(served_queues: list[str]) -> None:
    declared = [queue.name for queue in settings.CELERY_TASK_QUEUES]

    assert sorted(served_queues) == sorted(declared)


def test_every_step_and_compensation_has_a_queue_with_a_worker(served_queues: list[str]) -> None:
    needed = {
        link.queue
        for saga in registry.all_sagas()
        for link in (*saga.links, saga.compensation_link)
    }

    assert needed
    assert needed <= set(served_queues)


def test_web_waits_for_its_longest_request_and_stops_before_the_supervisor_kills_it() -> None:
    """After its master is killed, a web worker keeps the port until its graceful time-out."""
    found = GRACE.search((ROOT / "Procfile").read_text())

    assert found is not None
    assert (
        max(MAX_WAIT_SECONDS, MAX_STREAM_SECONDS) < int(found.group(1)) < APPLICATION_STOP_SECONDS
    )


def test_web_bounds_its_queue_of_connections() -> None:
    """In an unbounded queue, clients would have left before their response."""
    command = next(
        line for line in (ROOT / "Procfile").read_text().splitlines() if line.startswith("web:")
    )
    limits = [int(number) for number in QUEUED.findall(command)]

    assert len(limits) == len(("accepted connections", "waiting connections"))
    assert sum(limits) <= 256


def test_waiting_requests_leave_a_third_of_webs_threads_free() -> None:
    """Orders are accepted however slow the payment provider is."""
    found = THREADS.search((ROOT / "Procfile").read_text())
    most = settings.STREAMS_PER_PROCESS + settings.WAITERS_PER_PROCESS

    assert found is not None
    assert most <= int(found.group(1)) * 2 / 3


def test_the_default_queue_has_a_worker(served_queues: list[str]) -> None:
    assert settings.CELERY_TASK_DEFAULT_QUEUE in served_queues


def test_every_link_of_every_saga_is_a_task(known_tasks: set[str]) -> None:
    needed = {
        link.name for saga in registry.all_sagas() for link in (*saga.links, saga.compensation_link)
    }

    assert needed
    assert needed <= known_tasks


def test_every_scheduled_task_exists(known_tasks: set[str]) -> None:
    assert [entry.name for entry in SCHEDULE if entry.task not in known_tasks] == []


def test_every_scheduled_name_is_used_once() -> None:
    names = [entry.name for entry in SCHEDULE]

    assert len(names) == len(set(names)) > 0


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db
def test_the_system_checks_find_nothing() -> None:
    call_command("check", databases=["default"], fail_level="WARNING", verbosity=0)
