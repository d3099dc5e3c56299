"""What the processes of a scenario do: a customer's request, a worker, the sweep, the audit."""

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
from django.test import Client
from django.urls import reverse
from kombu import Connection, Queue
from kombu.exceptions import OperationalError
from kombu.message import Message

from config.celery import app
from invariants.checking import Strictness, check
from payments.provider_reconciliation import read_providers
from proof.boundaries import ELAPSED
from proof.fault_injector import FaultInjector
from proof.processes import ProcessWork

QUEUES = tuple(queue.name for queue in settings.CELERY_TASK_QUEUES)


_client = Client(raise_request_exception=False, SERVER_NAME="localhost")


def get_ready() -> None:
    """Build once what every process would build for itself."""
    _client.handler.load_middleware()
    reverse("order", args=[UUID(int=0)])
    app.loader.import_default_modules()
    app.finalize()
    _ = app.amqp.queues, app.events


def request(path: str, body: Any, *, token: str, key: str) -> ProcessWork:
    """One POST of a customer's, through all of Django and REST framework."""

    def send(injector: FaultInjector) -> None:
        response = _client.post(
            path,
            json.dumps(body),
            content_type="application/json",
            headers={"authorization": f"Bearer {token}", "idempotency-key": key},
        )
        answer = json.loads(response.content) if response.content else None
        injector.report("answer", response.status_code, answer)

    return send


def was_accepted(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def worker(queues: Sequence[str] = QUEUES) -> ProcessWork:
    """Process the messages of ``queues`` until they are empty, as a Celery worker does.

    A message with a later eta is kept unacknowledged, and returned to its queue at the end.
    """

    def work(injector: FaultInjector) -> None:
        with app.connection_for_read() as connection:
            channel: Any = connection.default_channel
            channel.qos.restore_visible(num=1000, interval=1)
            while (message := _next(channel, queues)) is not None:
                injector.task = message.headers["task"]
                if _is_due(message, injector.elapsed):
                    _carry_out(message, connection)
                injector.task = "-"

    return work


def sweep(*, then: Sequence[str] = ()) -> ProcessWork:
    """Beat's message to sweep, and the worker that takes it; ``then`` names further queues."""

    def look(injector: FaultInjector) -> None:
        with suppress(OperationalError):  # beat writes it into its log, and goes on
            app.tasks["sagas.sweep"].apply_async()
        worker(["sweeps", *then])(injector)

    return look


def audit(injector: FaultInjector) -> None:
    """Check every invariant after the run's end, and report each violation."""
    report = check(reading=read_providers(), grace=timedelta(), strictness=Strictness.AT_REST)
    for finding in report.findings:
        injector.report("invariant", finding.code, f"{finding.subject}: {finding.detail}")


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


def _carry_out(message: Message, connection: Connection) -> None:
    """Run the task as a worker with a pool of one does, acknowledgement and all."""
    Request(
        message,
        app=app,
        task=app.tasks[message.headers["task"]],
        on_ack=message.ack_log_error,
        on_reject=message.reject_log_error,
        connection_errors=connection.connection_errors,
        hostname="proof",
    ).execute_using_pool(TaskPool(app=app))
