"""What every request gets: an id that leads to all that it started, and one line in the log."""

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
    """The lines about requests, with what each of them says."""
    said = ("method", "route", "status", "user_id")
    return [
        {name: getattr(record, name) for name in said}
        for record in caplog.records
        if record.name == "monitoring.requests"
    ]


def test_one_id_joins_a_request_its_run_and_its_facts(storefront: Storefront) -> None:
    answer = storefront.order(cart(("MUG", 1)))

    correlation_id = UUID(answer.headers["X-Correlation-ID"])
    assert correlation_id.version == 7
    assert SagaRun.objects.get().correlation_id == correlation_id
    assert OutboxEvent.objects.get().correlation_id == correlation_id


def test_a_cancel_has_an_id_of_its_own_and_hands_it_on(
    storefront: Storefront, sandbox_stripe: object, messages: MessageQueue
) -> None:
    placed = storefront.order(cart(("MUG", 1)))
    messages.deliver_all()

    answer = storefront.cancel(placed.order_id)

    assert answer.headers["X-Correlation-ID"] != placed.headers["X-Correlation-ID"]
    cancellation = SagaRun.objects.get(saga="cancellation")
    assert str(cancellation.correlation_id) == answer.headers["X-Correlation-ID"]


def test_a_request_says_who_asked_for_what_and_how_it_went(
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


def test_what_a_client_sends_is_in_no_line(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        client.get("/nowhere/canary-1?q=canary-2", headers={"User-Agent": "canary-3"})

    assert lines(caplog) == [{"method": "GET", "route": "", "status": 404, "user_id": None}]
    assert "canary" not in str([vars(record) for record in caplog.records])


def test_a_clients_own_id_comes_back(client: Client) -> None:
    answer = client.get("/nowhere", headers={"X-Request-ID": "cart 17"})

    assert answer["X-Request-ID"] == "cart 17"


@pytest.mark.parametrize("sent", ["", "a\nb", "é", "x" * 129])
def test_what_is_no_id_does_not_come_back(client: Client, sent: str) -> None:
    answer = client.get("/nowhere", headers={"X-Request-ID": sent})

    assert "X-Request-ID" not in answer


def test_the_next_request_of_a_thread_knows_nothing_of_the_one_before(client: Client) -> None:
    first = client.get("/nowhere", headers={"X-Request-ID": "mine"})
    second = client.get("/nowhere")

    assert first["X-Correlation-ID"] != second["X-Correlation-ID"]
    assert "X-Request-ID" not in second
    assert get_contextvars() == {}


def test_outside_of_a_request_each_purpose_has_an_id_of_its_own() -> None:
    assert current_correlation_id() != current_correlation_id()
