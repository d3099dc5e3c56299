"""What every worker process does around its tasks, and how it logs."""

import gc
import json
import logging
from contextlib import closing

import pytest
from celery.signals import task_prerun, worker_ready
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config.garbage import ALLOCATIONS_BETWEEN_LOOKS
from config.logging import JSONFormatter


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_a_restart_has_cut_fails_no_task() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        ours = cursor.fetchone()
    with closing(connection.copy()) as another, another.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", ours)

    task_prerun.send(sender=None)

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone() != ours


@pytest.mark.django_db(transaction=True)
def test_a_connection_is_looked_at_without_asking_the_server() -> None:
    connection.ensure_connection()
    with CaptureQueriesContext(connection) as queries:
        assert connection.is_usable()
        connection.close_if_health_check_failed()

    assert len(queries) == 0
    connection.close()
    assert not connection.is_usable()


def test_a_worker_that_is_ready_looks_for_garbage_less_often() -> None:
    thresholds = gc.get_threshold()
    try:
        worker_ready.send(sender=None)

        assert gc.get_threshold()[0] == ALLOCATIONS_BETWEEN_LOOKS
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


def test_a_log_entry_is_one_line_of_json() -> None:
    record = logging.LogRecord(
        "sagas.runner", logging.WARNING, "runner.py", 1, "lease.%s", ("lost",), None
    )
    record.run_id = "42\n43"

    line = JSONFormatter().format(record)

    told = json.loads(line)
    assert "\n" not in line
    assert (told["event"], told["level"], told["logger"]) == (
        "lease.lost",
        "warning",
        "sagas.runner",
    )
    assert told["run_id"] == "42\n43"
    assert told["timestamp"].endswith("Z")


def test_an_error_is_logged_with_where_it_came_from() -> None:
    with pytest.raises(ValueError, match="XL") as caught:
        int("XL")
    record = logging.LogRecord(
        "orders", logging.ERROR, "x.py", 1, "broken", None, (caught.type, caught.value, caught.tb)
    )

    told = json.loads(JSONFormatter().format(record))

    assert "ValueError: invalid literal for int() with base 10: 'XL'" in told["exception"]
    assert "test_workers.py" in told["exception"]
