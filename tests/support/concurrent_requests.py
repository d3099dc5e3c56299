"""Concurrent equal requests, and a request whose response was lost."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections

from orders.models import IdempotencyRecord
from tests.support.storefront_client import Answer, Storefront

TWINS = 50


def at_once(storefront: Storefront, body: object, key: str, **headers: str) -> list[Answer]:
    """Place the same order from many clients at once; return all responses."""
    return sent_at_once(lambda: storefront.order(body, key, **headers))


def sent_at_once(send: Callable[[], Answer]) -> list[Answer]:
    barrier = Barrier(TWINS)

    def send_together(_: int) -> Answer:
        try:
            barrier.wait()
            return send()
        finally:
            connections.close_all()

    with pytest.MonkeyPatch.context() as busy_machine, ThreadPoolExecutor(TWINS) as threads:
        # Fifty threads of one process delay each other longer than production requests do.
        busy_machine.setattr("orders.api.http.idempotency.IN_FLIGHT_TIMEOUT", "60s")
        return list(threads.map(send_together, range(TWINS)))


def crashed_before_it_was_answered() -> None:
    """Leave the database as a process that dies between the effect and the saved response."""
    IdempotencyRecord.objects.update(response_status=None, response_body="")
