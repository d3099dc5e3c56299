"""What a worker process does before and after each task."""

from contextlib import closing

import pytest
from celery.signals import task_postrun, task_prerun
from django.db import connection
from django.test.utils import CaptureQueriesContext
from structlog.contextvars import get_contextvars

from config.celery import app
from monitoring.tasks import HEARTBEAT


@pytest.mark.django_db(transaction=True)
def test_a_connection_closed_by_a_restart_fails_no_task() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        ours = cursor.fetchone()
    with closing(connection.copy()) as another, another.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", ours)

    task_prerun.send(sender=None, task=app.tasks[HEARTBEAT], task_id="1")
    task_postrun.send(sender=None)

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone() != ours


@pytest.mark.django_db(transaction=True)
def test_the_health_check_of_a_connection_sends_no_query() -> None:
    connection.ensure_connection()
    with CaptureQueriesContext(connection) as queries:
        assert connection.is_usable()
        connection.close_if_health_check_failed()

    assert len(queries) == 0
    connection.close()
    assert not connection.is_usable()


def test_log_fields_name_the_current_task_only() -> None:
    task = app.tasks[HEARTBEAT]
    task.push_request(hostname="sweeps@here", delivery_info={"routing_key": "sweeps"})
    try:
        task_prerun.send(sender=task, task=task, task_id="17")
        bound = get_contextvars()
        task_postrun.send(sender=task, task=task, task_id="17")
    finally:
        task.pop_request()

    assert bound == {
        "task": HEARTBEAT,
        "task_id": "17",
        "queue": "sweeps",
        "worker": "sweeps@here",
    }
    assert get_contextvars() == {}
