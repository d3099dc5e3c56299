"""An order's timeline as its customer reads it."""

from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orders.customer_timeline import MAX_ATTEMPTS, customer_timelines
from orders.models import Order
from orders.saga import CANCELLATION, CHECKOUT
from orders.services import cancel_order
from payments.history import payments_of
from sagas.models import Direction, Outcome, SagaRun, StepAttempt
from sagas.work import Remote, Wait
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import ORDERS, Storefront, cart

MUG = cart(("MUG", 1))


def test_the_timeline_lists_events_oldest_first(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id
    messages.deliver_all()
    storefront.cancel(order_id)
    messages.deliver_all()

    response = storefront.get(f"{ORDERS}/{order_id}/timeline")

    entries = response.body["entries"]
    assert response.status == 200
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    assert codes_of(entries, "order") == ["placed", "confirmed", "cancelling", "cancelled"]
    assert codes_of(entries, "step") == [
        f"{step.name}.{code}"
        for step in (*CHECKOUT.steps, *CANCELLATION.steps)
        for code in (["started", "done"] if isinstance(step.action, Remote) else ["done"])
        if not isinstance(step.action, Wait)  # this order needs no review
    ]
    assert codes_of(entries, "payment") == ["authorized", "captured", "refunded"]
    assert codes_of(entries, "stock") == ["reserved", "released"]


def test_each_entry_has_a_message_and_a_step_its_attempt(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id
    messages.deliver_all()

    entries = storefront.get(f"{ORDERS}/{order_id}/timeline").body["entries"]

    placed, reserved = (e for e in entries if e["code"] in ("placed", "reserve_stock.done"))
    assert placed == {
        "at": Order.objects.get().created_at.isoformat().replace("+00:00", "Z"),
        "kind": "order",
        "code": "placed",
        "message": "You placed this order.",
        "attempt": None,
        "until": None,
    }
    assert (reserved["message"], reserved["attempt"]) == ("Reserving your items: done.", 1)


@pytest.mark.parametrize(
    ("reason", "actor", "message"),
    [
        ("cancelled_by_customer", "alice", "You asked to cancel this order."),
        ("found_a_scratch", "grace.hopper", "The shop asked to cancel this order."),
    ],
)
def test_a_cancellation_request_shows_who_asked_without_a_name(
    storefront: Storefront, messages: MessageQueue, reason: str, actor: str, message: str
) -> None:
    order_id = storefront.order(MUG).order_id
    cancel_order(order_id, reason=reason, actor=actor)
    messages.deliver_all()

    entries = storefront.get(f"{ORDERS}/{order_id}/timeline").body["entries"]

    assert [e["message"] for e in entries if e["code"] == "cancellation_requested"] == [message]
    assert [text for text in (actor, reason) if text in str(entries)] == []


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome != Outcome.STARTED])
def test_the_timeline_contains_no_error_texts(
    storefront: Storefront, messages: MessageQueue, outcome: Outcome
) -> None:
    order_id = storefront.order(MUG).order_id
    add_attempts(order_id, 1, outcome=outcome, error="CardStolen", detail="pick up card of Ada")

    entry = storefront.get(f"{ORDERS}/{order_id}/timeline").body["entries"][-1]

    assert (entry["kind"], entry["code"]) == ("step", f"authorize_payment.{outcome}")
    assert entry["message"].startswith("Asking your bank to reserve the money: ")
    assert [text for text in ("CardStolen", "pick up", "Ada") if text in str(entry)] == []


def test_the_timeline_shows_the_last_hundred_attempts(
    storefront: Storefront, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id
    add_attempts(order_id, 2 * MAX_ATTEMPTS)

    entries = storefront.get(f"{ORDERS}/{order_id}/timeline").body["entries"]

    numbers = [entry["attempt"] for entry in entries if entry["kind"] == "step"]
    assert codes_of(entries, "order") == ["placed"]
    assert sorted(set(numbers)) == list(range(MAX_ATTEMPTS + 1, 2 * MAX_ATTEMPTS + 1))


def test_a_step_of_another_version_has_a_general_name(
    storefront: Storefront, messages: MessageQueue
) -> None:
    """The journal alone does not say that an ended attempt was a call."""
    order_id = storefront.order(MUG).order_id
    add_attempts(order_id, 1, step="gift_wrap", outcome=Outcome.DONE)
    add_attempts(order_id, 1, step="engrave", outcome=Outcome.STARTED)
    StepAttempt.objects.filter(step="engrave").update(ended_at=None)

    entries = storefront.get(f"{ORDERS}/{order_id}/timeline").body["entries"]

    steps = [(e["code"], e["message"]) for e in entries if e["kind"] == "step"]
    assert sorted(steps) == [
        ("engrave.started", "A further step: started."),
        ("gift_wrap.done", "A further step: done."),
    ]


def test_a_local_step_that_took_time_is_no_call(
    storefront: Storefront, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id
    add_attempts(order_id, 1, step="reserve_stock", outcome=Outcome.DONE)

    entries = storefront.get(f"{ORDERS}/{order_id}/timeline").body["entries"]

    assert codes_of(entries, "step") == ["reserve_stock.done"]


def test_reading_many_timelines_takes_four_statements(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    for _ in range(3):
        storefront.order(MUG)
    messages.deliver_all()
    orders = list(Order.objects.all())
    payments = payments_of([order.pk for order in orders])

    with CaptureQueriesContext(connection) as for_one:
        one = customer_timelines(orders[:1], payments)
    with CaptureQueriesContext(connection) as for_three:
        three = customer_timelines(orders, payments)

    assert len(for_one) == len(for_three) == 4
    assert set(three) == {order.pk for order in orders}
    assert three[orders[0].pk] == one[orders[0].pk]


def add_attempts(order_id: UUID, times: int, **fields: Any) -> None:
    """Add attempts of the payment step to the journal."""
    run = SagaRun.objects.get(subject_id=order_id)
    StepAttempt.objects.bulk_create(
        StepAttempt(
            run=run,
            direction=Direction.FORWARD,
            number=number,
            fence=number,
            ended_at="2031-01-01T00:00Z",
            **{"step": "authorize_payment", "outcome": Outcome.UNKNOWN, **fields},
        )
        for number in range(1, times + 1)
    )


def codes_of(entries: list[dict[str, Any]], kind: str) -> list[str]:
    return [entry["code"] for entry in entries if entry["kind"] == kind]
