"""The processes of a scenario: a customer's request, a worker, the sweep, the final audit."""

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID

from celery.concurrency.solo import TaskPool
from celery.worker.request import Request
from django.conf import settings
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse
from kombu import Connection, Queue
from kombu.exceptions import OperationalError
from kombu.message import Message

import sagas.services
from config.celery import app
from invariants.checking import Strictness, check
from payments.provider_reconciliation import read_providers
from proof.boundaries import ELAPSED
from proof.fault_injector import FaultInjector
from proof.processes import ProcessWork

QUEUES = tuple(queue.name for queue in settings.CELERY_TASK_QUEUES)


_client = Client(raise_request_exception=False, SERVER_NAME="localhost")


def preload() -> None:
    """Load middleware, URLs and Celery once in the parent, so that no fork has to."""
    _client.handler.load_middleware()
    reverse("order", args=[UUID(int=0)])
    app.loader.import_default_modules()
    app.finalize()
    _ = app.amqp.queues, app.events


def request(path: str, body: Any, *, token: str, key: str) -> ProcessWork:
    """Return the work of a process that sends one POST through Django's whole request path."""

    def send(injector: FaultInjector) -> None:
        response = _client.post(
            path,
            json.dumps(body),
            content_type="application/json",
            headers={"authorization": f"Bearer {token}", "idempotency-key": key},
        )
        content = json.loads(response.content) if response.content else None
        injector.report("response", response.status_code, content)

    return send


def was_accepted(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def worker(queues: Sequence[str] = QUEUES) -> ProcessWork:
    """Return the work of a Celery worker that runs until ``queues`` are empty.

    A message whose eta is in the future stays unacknowledged, and returns to its queue at the end.
    """

    def work(injector: FaultInjector) -> None:
        with app.connection_for_read() as connection:
            channel: Any = connection.default_channel
            channel.qos.restore_visible(num=1000, interval=1)
            while (message := _next(channel, queues)) is not None:
                injector.task = message.headers["task"]
                if _is_due(message, injector.elapsed):
                    _run_task(message, connection)
                injector.task = "-"

    return work


def nudge(order_id: str) -> ProcessWork:
    """Return the work of a process that nudges the run of an order, as after a provider's event.

    It ignores an error, as a program does that is not called again: the run looks by its schedule.
    """

    def send(_: FaultInjector) -> None:
        with suppress(DatabaseError):
            sagas.services.nudge(subject_ids=[UUID(order_id)])

    return send


def sweep(*, then: Sequence[str] = ()) -> ProcessWork:
    """Return work that sends beat's sweep task and runs it; ``then`` names further queues."""

    def run_sweep(injector: FaultInjector) -> None:
        with suppress(OperationalError):  # as beat, which logs the error and continues
            app.tasks["sagas.sweep"].apply_async()
        worker(["sweeps", *then])(injector)

    return run_sweep


def audit() -> list[tuple[str, str]]:
    """Check every invariant after the run has ended. Returns the code and details of each violation."""
    report = check(reading=read_providers(), grace=timedelta(), strictness=Strictness.AT_REST)
    return [(finding.code, f"{finding.subject}: {finding.detail}") for finding in report.findings]


def _next(channel: Any, queues: Sequence[str]) -> Message | None:
    for name in queues:
        message: Message | None = Queue(name, channel=channel).get(accept=["json"])
        if message is not None:
            return message
    return None


def _is_due(message: Message, elapsed: timedelta) -> bool:
    eta = message.headers.get("eta")
    if eta is None:
        return True
    passed = elapsed - timedelta(seconds=float(message.headers[ELAPSED]))
    return datetime.fromisoformat(eta) <= datetime.now(UTC) + passed


def _run_task(message: Message, connection: Connection) -> None:
    """Run the task as a worker with a solo pool does, with its acknowledgement."""
    Request(
        message,
        app=app,
        task=app.tasks[message.headers["task"]],
        on_ack=message.ack_log_error,
        on_reject=message.reject_log_error,
        connection_errors=connection.connection_errors,
        hostname="proof",
    ).execute_using_pool(TaskPool(app=app))
