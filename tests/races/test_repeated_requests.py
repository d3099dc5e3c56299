"""The same request sent many times at once places one order, and gets the same response."""

import uuid
from functools import partial
from http import HTTPStatus

import pytest
from django.contrib.auth.models import User
from django.test import Client

from access.models import ApiToken
from orders.api.http import idempotency
from orders.models import IdempotencyRecord, Order
from sagas.models import SagaRun
from tests.support.ledger_checks import assert_ledgers_agree
from tests.support.shop import Shop
from tests.support.threads import run_at_once

pytestmark = pytest.mark.django_db(transaction=True)

CLIENTS = 20


@pytest.fixture
def token(customer: User) -> str:
    return str(ApiToken.objects.issue(customer)[1])


def test_twenty_requests_with_one_key_place_one_order(shop: Shop, token: str) -> None:
    order_ids = order_at_once(token, key=str(uuid.uuid4()))
    shop.messages.deliver_all()

    order = Order.objects.get()
    assert order_ids == [str(order.pk)] * CLIENTS
    assert SagaRun.objects.count() == IdempotencyRecord.objects.count() == 1
    assert_ledgers_agree(shop.sandbox_stripe)


def test_twenty_requests_place_twenty_orders_if_their_key_is_not_stored(
    shop: Shop, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "_store_key", lambda *_: True)

    order_ids = order_at_once(token, key=str(uuid.uuid4()))

    assert len(set(order_ids)) == Order.objects.count() == CLIENTS


def order_at_once(token: str, *, key: str) -> list[str | Exception]:
    """Send one request from many clients, and return the order id in each response."""
    return run_at_once(*[partial(place, token, key)] * CLIENTS)


def place(token: str, key: str) -> str:
    """Place an order, and repeat the request while another one with its key is in progress."""
    while True:
        response = Client().post(
            "/api/v1/orders",
            {"items": [{"sku": "MUG", "quantity": 1}], "payment_method": "pm_card_visa"},
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": key},
        )
        if response.status_code != HTTPStatus.CONFLICT:
            assert response.status_code == HTTPStatus.ACCEPTED, response.content
            return str(response.json()["id"])
