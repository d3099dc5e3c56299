"""Signals through the API: recorded once, refused with a reason, and hidden from strangers."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from pytest_django import Settings

from orders.models import IdempotencyRecord
from sagas.identifiers import new_id
from sagas.models import SagaRun, SentSignal
from sandbox.stripe_process import SandboxServer
from tests.support.database import all_rows
from tests.support.in_memory_broker import MessageQueue
from tests.support.packing import packing_checkout
from tests.support.storefront_client import ORDERS, ApiResponse, Storefront, cart
from tests.support.threads import run_at_once

pytestmark = pytest.mark.django_db(transaction=True)

PACKED = {"weight": 3, "is_fragile": True}


@pytest.fixture(autouse=True)
def packing(sandbox_stripe: SandboxServer) -> Iterator[None]:
    with packing_checkout():
        yield


@pytest.fixture
def order_id(storefront: Storefront, messages: MessageQueue) -> UUID:
    """An order of Alice that waits to be packed."""
    found = storefront.order(cart(("MUG", 1))).order_id
    messages.deliver_all()
    assert SagaRun.objects.get().waits_for == "await_packing"
    return found


def signal(
    client: Storefront, order_id: UUID, name: str = "packed", body: object = b"", key: str = ""
) -> ApiResponse:
    headers = {"Idempotency-Key": key or uuid4().hex}
    return client.send("POST", f"{ORDERS}/{order_id}/signals/{name}", body, headers)


def test_a_signal_is_recorded_and_wakes_the_order(
    shop_server: Storefront, order_id: UUID, messages: MessageQueue
) -> None:
    response = signal(shop_server, order_id, body=PACKED, key="parcel-1")
    sent = SentSignal.objects.get()

    assert (response.status, response.headers["Location"]) == (202, f"{ORDERS}/{order_id}")
    assert response.body == {"id": str(sent.pk), "order_id": str(order_id), "name": "packed"}
    assert (sent.key, sent.payload, sent.actor) == ("parcel-1", PACKED, "web-shop")

    messages.deliver_all()
    run = SagaRun.objects.get()
    assert run.attempts.get(step="await_packing").output == PACKED
    assert run.status == "completed"


def test_a_repetition_records_nothing_even_after_the_run_has_ended(
    shop_server: Storefront, order_id: UUID, messages: MessageQueue
) -> None:
    first = signal(shop_server, order_id, body=PACKED, key="1")
    messages.deliver_all()
    again = signal(shop_server, order_id, body=PACKED, key="1")

    assert (again.status, again.body) == (first.status, first.body)
    assert (first.is_replayed, again.is_replayed) == (False, True)
    assert SentSignal.objects.count() == 1


def test_of_concurrent_requests_with_one_key_one_is_recorded(
    shop_server: Storefront, order_id: UUID
) -> None:
    responses = run_at_once(
        *[lambda: signal(shop_server, order_id, body=PACKED, key="1").status] * 6
    )

    assert responses == [202] * 6
    assert SentSignal.objects.count() == 1


def test_a_key_is_not_used_for_another_payload(
    shop_server: Storefront, storefront: Storefront, order_id: UUID
) -> None:
    signal(shop_server, order_id, body=PACKED, key="1")
    other = {"weight": 4}

    assert signal(shop_server, order_id, body=other, key="1").is_problem(
        422, "idempotency-key-reused"
    )
    IdempotencyRecord.objects.filter(key="1").delete()  # as after a few days
    assert signal(shop_server, order_id, body=other, key="1").is_problem(
        422, "idempotency-key-reused"
    )
    assert SentSignal.objects.get().payload == PACKED


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/weight"]),
        ({"weight": 0}, ["/weight"]),
        ({"weight": [1]}, ["/weight"]),
        ({"weight": {"kg": 1}}, ["/weight"]),
        ({"weight": True}, ["/weight"]),
        ({"weight": 1, "ready_on": ["2026-12-01"]}, ["/ready_on"]),
        ({"weight": 1, "ready_on": 20261201}, ["/ready_on"]),
        ({"weight": 1, "note": "a\x00b"}, ["/note"]),
        ({"weight": 1, "is_fragile": "\x00"}, ["/is_fragile"]),
        ({"weight": 1, "note": "x" * 21}, ["/note"]),
        ({"weight": 1, "the/colour": "red"}, ["/the~1colour"]),
        ({"weight": 1, "colour": None, "size": 1}, ["/colour", "/size"]),
        (["weight"], [""]),
    ],
)
def test_a_payload_that_does_not_fit_is_refused_with_pointers(
    shop_server: Storefront, order_id: UUID, body: object, pointers: list[str]
) -> None:
    before = all_rows()

    response = signal(shop_server, order_id, body=body)

    assert response.is_problem(422, "invalid-request")
    assert response.pointers == pointers
    assert all_rows() == before


def test_a_body_that_is_no_json_is_malformed(shop_server: Storefront, order_id: UUID) -> None:
    assert signal(shop_server, order_id, body=b"{").is_problem(400, "malformed-request")


def test_a_signal_without_a_key_is_refused(shop_server: Storefront, order_id: UUID) -> None:
    response = shop_server.send("POST", f"{ORDERS}/{order_id}/signals/packed", PACKED)

    assert response.is_problem(400, "idempotency-key-missing")
    assert not SentSignal.objects.exists()


def test_an_unknown_signal_is_refused_with_the_allowed_ones(
    shop_server: Storefront, order_id: UUID
) -> None:
    before = all_rows()

    response = signal(shop_server, order_id, "explode")

    assert response.is_problem(409, "signal-not-allowed")
    assert response.body["allowed_signals"] == ["packed", "hurry"]
    assert all_rows() == before


def test_a_signal_that_is_not_allowed_yet_is_refused(
    shop_server: Storefront, storefront: Storefront, messages: MessageQueue
) -> None:
    order_id = storefront.order(cart(("MUG", 1))).order_id

    response = signal(shop_server, order_id, "hurry")
    assert response.is_problem(409, "signal-not-allowed")
    assert response.body["allowed_signals"] == ["packed"]

    response = signal(storefront, order_id, "hurry")
    assert response.is_problem(409, "signal-not-allowed")
    assert response.body["allowed_signals"] == []  # packed is not for customers


def test_a_run_that_has_ended_takes_no_signal(
    shop_server: Storefront, storefront: Storefront, order_id: UUID, messages: MessageQueue
) -> None:
    signal(shop_server, order_id, body=PACKED)
    messages.deliver_all()

    for client in (shop_server, storefront):
        response = signal(client, order_id, "hurry")
        assert response.is_problem(409, "signal-not-allowed")
        assert response.body["allowed_signals"] == []


def test_a_customer_sends_only_signals_for_customers(
    storefront: Storefront, order_id: UUID
) -> None:
    for name in ("packed", "explode"):
        assert signal(storefront, order_id, name, PACKED).is_problem(403, "scope-missing")
    assert not SentSignal.objects.exists()

    assert signal(storefront, order_id, "hurry").status == 202
    assert SentSignal.objects.get().actor == "alice"


def test_a_stranger_gets_the_response_of_an_unknown_order(
    stranger: Storefront, order_id: UUID
) -> None:
    for name in ("packed", "hurry", "explode"):
        existing = signal(stranger, order_id, name)
        unknown = signal(stranger, new_id(), name)
        assert existing.is_problem(404, "not-found")
        assert existing.comparable == unknown.comparable
    assert not SentSignal.objects.exists()


def test_signals_are_throttled(settings: Settings, shop_server: Storefront, order_id: UUID) -> None:
    settings.THROTTLING = True
    settings.REDIS_KEY_PREFIX = f"{uuid4().hex}:"
    settings.THROTTLING_RATES = {**settings.THROTTLING_RATES, "shop-changes": "1/minute"}

    statuses = [signal(shop_server, order_id, body=PACKED).status for _ in range(2)]

    assert statuses == [202, 429]
    assert SentSignal.objects.count() == 1
