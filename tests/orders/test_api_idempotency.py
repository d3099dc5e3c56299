"""Idempotency-Key: one order per key, however often the request is repeated."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from django.db import ProgrammingError, connection

from inventory.models import Product
from orders.api.http.idempotency import IdempotentRequest, SavedResponse, save_response
from orders.models import IdempotencyRecord, Order
from sagas.models import SagaRun
from sandbox.stripe_process import SandboxServer
from tests.support.database import all_rows
from tests.support.in_memory_broker import MessageQueue
from tests.support.repeated_requests import CLIENTS, lose_saved_responses, order_at_once
from tests.support.storefront_client import ORDERS, ApiResponse, Storefront, cart

MUG = cart(("MUG", 1))


def test_a_repeated_request_returns_the_same_order(
    storefront: Storefront, messages: MessageQueue
) -> None:
    first = storefront.order(MUG, key="once")
    after_first = all_rows()

    second = storefront.order(MUG, key="once")

    assert (first.status, second.status) == (202, 202)
    assert (first.is_replayed, second.is_replayed) == (False, True)
    assert second.body == first.body
    assert second.headers["Location"] == first.headers["Location"]
    assert all_rows() == after_first
    assert len(messages.waiting) == 1


def test_a_repetition_returns_the_first_response_after_later_changes(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    first = storefront.order({**MUG, "reference": "cart-7"}, key="once")
    messages.deliver_all()
    confirmed = storefront.order({**MUG, "reference": "cart-7"}, key="once")
    storefront.cancel(first.order_id)
    messages.deliver_all()

    cancelled = storefront.order({**MUG, "reference": "cart-7"}, key="once")

    assert storefront.get(f"{ORDERS}/{first.order_id}").body["status"] == "cancelled"
    for again in (confirmed, cancelled):
        assert again.is_replayed
        assert (again.status, again.raw) == (first.status, first.raw)
        assert again.headers["Location"] == first.headers["Location"]
        assert again.headers["Retry-After"] == "1"


def test_a_repetition_with_a_wait_returns_the_first_response(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    first = storefront.order(MUG, key="once")
    messages.deliver_all()

    again = storefront.order(MUG, key="once", Prefer="wait=10")

    assert (again.status, again.raw, again.is_replayed) == (202, first.raw, True)
    assert "Preference-Applied" not in again.headers


def test_the_first_saved_response_counts(storefront: Storefront) -> None:
    storefront.order(MUG, key="once")
    lose_saved_responses()
    idempotent_request = IdempotentRequest(storefront.customer.pk, "once", b"")

    first = save_response(idempotent_request, SavedResponse(201, "first"))
    second = save_response(idempotent_request, SavedResponse(202, "second"))

    assert first == second == SavedResponse(201, "first")


def test_a_response_is_returned_even_if_its_key_has_expired(
    storefront: Storefront,
) -> None:
    idempotent_request = IdempotentRequest(storefront.customer.pk, "forgotten", b"")

    assert save_response(idempotent_request, SavedResponse(201, "mine")) == SavedResponse(
        201, "mine"
    )


def test_fields_without_a_value_do_not_change_the_fingerprint(
    storefront: Storefront,
) -> None:
    storefront.order(MUG, key="once")

    again = storefront.order({**MUG, "reference": None, "expected_total_minor": None}, key="once")

    assert (again.status, again.is_replayed) == (202, True)
    line = {"sku": "MUG", "quantity": 1}
    content = ["POST", ORDERS, {"items": [line], "payment_method": "pm_card_visa"}]
    expected = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()
    assert bytes(IdempotencyRecord.objects.get().fingerprint) == expected


def test_a_repetition_does_not_check_the_catalogue_again(storefront: Storefront) -> None:
    first = storefront.order(MUG, key="once")
    Product.objects.update(is_withdrawn=True)

    again = storefront.order(MUG, key="once")

    assert (again.status, again.is_replayed, again.body) == (202, True, first.body)


def test_an_equivalent_body_is_the_same_request(storefront: Storefront) -> None:
    first = storefront.order(
        b'{"payment_method": "pm_card_visa", "items": [{"quantity": 1, "sku": "MUG"}]}', key="once"
    )

    again = storefront.order(
        b'{"items":[{"sku":"\\u004dUG","quantity":1}],"payment_method":"pm_card_visa"}', key="once"
    )

    assert (again.status, again.is_replayed, again.order_id) == (202, True, first.order_id)


def test_a_key_in_quotes_is_the_same_key(storefront: Storefront) -> None:
    first = storefront.order(MUG, key='"once"')

    again = storefront.order(MUG, key="once")

    assert (again.is_replayed, again.order_id) == (True, first.order_id)


def test_the_longest_key_is_stored_in_full(storefront: Storefront) -> None:
    key = "k" * 255

    assert storefront.order(MUG, key=key).status == 202
    assert IdempotencyRecord.objects.get().key == key
    assert storefront.order(MUG, key=key).is_replayed


@pytest.mark.parametrize(
    "other",
    [cart(("MUG", 2)), cart(("TEE", 1)), cart(("MUG", 1), payment_method="pm_card_amex")],
    ids=["more", "something else", "another card"],
)
def test_a_key_cannot_be_used_for_another_request(
    storefront: Storefront, messages: MessageQueue, other: object
) -> None:
    storefront.order(MUG, key="once")
    messages.drop_all()
    before = all_rows()

    response = storefront.order(other, key="once")

    assert response.is_problem(422, "idempotency-key-reused")
    assert all_rows() == before
    assert messages.waiting == []


def test_the_key_of_an_order_cannot_be_used_for_its_cancellation(
    storefront: Storefront, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG, key="once").order_id
    messages.drop_all()
    before = all_rows()

    response = storefront.cancel(order_id, key="once")

    assert response.is_problem(422, "idempotency-key-reused")
    assert all_rows() == before
    assert messages.waiting == []


def test_the_key_of_a_cancellation_cannot_be_used_for_another_order(
    storefront: Storefront, messages: MessageQueue
) -> None:
    first, second = (storefront.order(MUG).order_id for _ in range(2))
    storefront.cancel(first, key="once")
    messages.drop_all()
    before = all_rows()

    response = storefront.cancel(second, key="once")

    assert response.is_problem(422, "idempotency-key-reused")
    assert all_rows() == before
    assert messages.waiting == []


def test_a_key_belongs_to_its_customer(storefront: Storefront, stranger: Storefront) -> None:
    mine = storefront.order(MUG, key="once")

    theirs = stranger.order(MUG, key="once")

    assert (theirs.status, theirs.is_replayed) == (202, False)
    assert theirs.order_id != mine.order_id
    assert set(Order.objects.values_list("pk", "customer__username")) == {
        (mine.order_id, "alice"),
        (theirs.order_id, "mallory"),
    }


def test_fifty_concurrent_equal_requests_place_one_order(
    storefront: Storefront, messages: MessageQueue
) -> None:
    responses = order_at_once(storefront, MUG, key="once")

    order = Order.objects.get()
    assert {response.order_id for response in responses} == {order.pk}
    assert {response.raw for response in responses} == {responses[0].raw}
    assert [response.status for response in responses] == [202] * CLIENTS
    assert sorted(response.is_replayed for response in responses) == [False] + [True] * (
        CLIENTS - 1
    )
    assert SagaRun.objects.get().subject_id == order.pk
    assert len(messages.waiting) == 1


def test_a_repetition_during_the_first_request_returns_409(
    storefront: Storefront, messages: MessageQueue
) -> None:
    first = storefront.order(MUG, key="first")
    messages.drop_all()
    before = all_rows()

    with held_key(storefront, first, "once"):
        repetition = storefront.order(MUG, key="once")

    assert repetition.is_problem(409, "idempotency-key-in-flight")
    assert repetition.headers["Retry-After"] == "1"
    assert all_rows() == before
    assert messages.waiting == []
    afterwards = storefront.order(MUG, key="once")
    assert (afterwards.status, afterwards.is_replayed) == (202, False)


def test_a_request_with_another_key_does_not_wait(storefront: Storefront) -> None:
    first = storefront.order(MUG, key="first")

    with held_key(storefront, first, "once"):
        other = storefront.order(MUG, key="other")

    assert (other.status, other.is_replayed) == (202, False)


def test_a_failed_request_leaves_its_key_unused(
    storefront: Storefront, messages: MessageQueue
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE events_outboxevent RENAME TO elsewhere")
    try:
        with pytest.raises(ProgrammingError, match="events_outboxevent"):
            storefront.order(MUG, key="once")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO events_outboxevent")
    assert not Order.objects.exists()
    assert messages.waiting == []

    again = storefront.order(MUG, key="once")

    assert (again.status, again.is_replayed) == (202, False)


def test_a_repeated_cancellation_returns_the_first_response(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id
    messages.deliver_all()
    first = storefront.cancel(order_id, key="once")
    after_first = all_rows()

    again = storefront.cancel(order_id, key="once")

    assert (first.is_replayed, again.is_replayed) == (False, True)
    assert (again.status, again.raw) == (first.status, first.raw)
    assert all_rows() == after_first


def test_a_repeated_cancellation_returns_the_first_response_after_its_end(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id
    messages.deliver_all()
    first = storefront.cancel(order_id, key="once")
    messages.deliver_all()

    again = storefront.cancel(order_id, key="once", Prefer="wait=10")

    assert Order.objects.get().status == "cancelled"
    assert (first.status, first.body["status"]) == (202, "cancelling")
    assert (again.status, again.raw, again.is_replayed) == (202, first.raw, True)


@contextmanager
def held_key(storefront: Storefront, order: ApiResponse, key: str) -> Iterator[None]:
    """Hold a transaction that has stored the key, and roll it back at the end."""
    other = connection.copy()
    other.set_autocommit(False)
    with closing(other), other.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orders_idempotencyrecord (customer_id, key, order_id, fingerprint)"
            " VALUES (%s, %s, %s, '')",
            [storefront.customer.pk, key, order.order_id],
        )
        yield
        other.rollback()
