"""Every request has a correlation id, which its order keeps, and one log line."""

import logging
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from structlog.contextvars import get_contextvars

from events.models import OutboxEvent
from sagas.correlation import current_correlation_id
from sagas.models import SagaRun
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import ORDERS, Storefront, cart

pytestmark = pytest.mark.django_db(transaction=True)


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return the fields of the log lines about requests."""
    names = ("method", "route", "status", "user_id")
    return [
        {name: getattr(record, name) for name in names}
        for record in caplog.records
        if record.name == "monitoring.requests"
    ]


def test_a_request_its_run_and_its_events_have_one_correlation_id(storefront: Storefront) -> None:
    answer = storefront.order(cart(("MUG", 1)))

    correlation_id = UUID(answer.headers["X-Correlation-ID"])
    assert correlation_id.version == 7
    assert SagaRun.objects.get().correlation_id == correlation_id
    assert OutboxEvent.objects.get().correlation_id == correlation_id


def test_a_cancellation_run_has_the_correlation_id_of_its_request(
    storefront: Storefront, sandbox_stripe: object, messages: MessageQueue
) -> None:
    placed = storefront.order(cart(("MUG", 1)))
    messages.deliver_all()

    answer = storefront.cancel(placed.order_id)

    assert answer.headers["X-Correlation-ID"] != placed.headers["X-Correlation-ID"]
    cancellation = SagaRun.objects.get(saga="cancellation")
    assert str(cancellation.correlation_id) == answer.headers["X-Correlation-ID"]


def test_the_log_line_has_method_route_status_and_user(
    storefront: Storefront, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        storefront.order(cart(("MUG", 1)))
        storefront.get(f"{ORDERS}/{storefront.customer.pk}")

    placed, missed = lines(caplog)
    assert placed == {
        "method": "POST",
        "route": "orders",
        "status": 202,
        "user_id": storefront.customer.pk,
    }
    assert missed == {"method": "GET", "route": "", "status": 404, "user_id": None}


def test_no_log_line_has_anything_that_a_client_sent(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        client.get("/nowhere/canary-1?q=canary-2", headers={"User-Agent": "canary-3"})

    assert lines(caplog) == [{"method": "GET", "route": "", "status": 404, "user_id": None}]
    assert "canary" not in str([vars(record) for record in caplog.records])


def test_a_clients_request_id_is_returned(client: Client) -> None:
    answer = client.get("/nowhere", headers={"X-Request-ID": "cart 17"})

    assert answer["X-Request-ID"] == "cart 17"


@pytest.mark.parametrize("sent", ["", "a\nb", "é", "x" * 129])
def test_an_invalid_request_id_is_not_returned(client: Client, sent: str) -> None:
    answer = client.get("/nowhere", headers={"X-Request-ID": sent})

    assert "X-Request-ID" not in answer


def test_a_thread_keeps_no_ids_for_its_next_request(client: Client) -> None:
    first = client.get("/nowhere", headers={"X-Request-ID": "mine"})
    second = client.get("/nowhere")

    assert first["X-Correlation-ID"] != second["X-Correlation-ID"]
    assert "X-Request-ID" not in second
    assert get_contextvars() == {}


def test_outside_of_a_request_each_call_returns_another_correlation_id() -> None:
    assert current_correlation_id() != current_correlation_id()
