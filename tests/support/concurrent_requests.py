"""One request from many clients at once, and one whose answer was lost."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections

from orders.models import IdempotencyRecord
from tests.support.storefront_client import Answer, Storefront

TWINS = 50


def at_once(storefront: Storefront, body: object, key: str, **headers: str) -> list[Answer]:
    """Send one request from many clients; what each was answered."""
    return sent_at_once(lambda: storefront.order(body, key, **headers))


def sent_at_once(send: Callable[[], Answer]) -> list[Answer]:
    barrier = Barrier(TWINS)

    def send_with_the_others(_: int) -> Answer:
        try:
            barrier.wait()
            return send()
        finally:
            connections.close_all()

    with pytest.MonkeyPatch.context() as busy_machine, ThreadPoolExecutor(TWINS) as threads:
        # Fifty threads of one process hold each other up for longer than requests in production do.
        busy_machine.setattr("orders.api.http.idempotency.IN_FLIGHT_TIMEOUT", "60s")
        return list(threads.map(send_with_the_others, range(TWINS)))


def crashed_before_it_was_answered() -> None:
    """What web leaves that dies between the effect and the answer that somebody waits for."""
    IdempotencyRecord.objects.update(answer_status=None, answer_body="")
