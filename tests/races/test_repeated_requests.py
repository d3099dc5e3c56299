"""The same request many times at once: one order, and the same answer for everybody."""

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
    answers = order_at_once(token, key=str(uuid.uuid4()))
    shop.messages.deliver_all()

    order = Order.objects.get()
    assert answers == [str(order.pk)] * CLIENTS
    assert SagaRun.objects.count() == IdempotencyRecord.objects.count() == 1
    assert_ledgers_agree(shop.sandbox_stripe)


def test_twenty_requests_place_twenty_orders_if_their_key_is_not_kept(
    shop: Shop, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "_store_key", lambda *_: True)

    answers = order_at_once(token, key=str(uuid.uuid4()))

    assert len(set(answers)) == Order.objects.count() == CLIENTS


def order_at_once(token: str, *, key: str) -> list[str | Exception]:
    """Send one request from many clients, and return the order's id from each answer."""
    return run_at_once(*[partial(place, token, key)] * CLIENTS)


def place(token: str, key: str) -> str:
    """Repeat the request as the API asks clients to, while its twin is still being answered."""
    while True:
        answer = Client().post(
            "/api/v1/orders",
            {"items": [{"sku": "MUG", "quantity": 1}], "payment_method": "pm_card_visa"},
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": key},
        )
        if answer.status_code != HTTPStatus.CONFLICT:
            assert answer.status_code == HTTPStatus.ACCEPTED, answer.content
            return str(answer.json()["id"])
