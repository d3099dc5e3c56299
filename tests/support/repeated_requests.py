"""One request sent by many clients at once, and a request whose response was lost."""

from collections.abc import Callable
from typing import Final

import pytest

from orders.models import IdempotencyRecord
from tests.support.storefront_client import ApiResponse, Storefront
from tests.support.threads import run_at_once

CLIENTS: Final = 50


def order_at_once(
    storefront: Storefront, body: object, key: str, **headers: str
) -> list[ApiResponse]:
    """Place the same order, under one key, from many clients at once. Returns all responses."""
    return send_at_once(lambda: storefront.order(body, key, **headers))


def send_at_once(send: Callable[[], ApiResponse]) -> list[ApiResponse]:
    """Call ``send`` from many threads at once. Returns all responses, and no call may raise."""
    with pytest.MonkeyPatch.context() as busy_machine:
        # Fifty threads of one process delay each other longer than production requests do.
        busy_machine.setattr("orders.api.http.idempotency.IN_FLIGHT_TIMEOUT", "60s")
        results = run_at_once(*[send] * CLIENTS)
    assert [result for result in results if isinstance(result, Exception)] == []
    return [result for result in results if isinstance(result, ApiResponse)]


def lose_saved_responses() -> None:
    """Leave the database as a process does that dies before it saves its response."""
    IdempotencyRecord.objects.update(response_status=None, response_body="")
