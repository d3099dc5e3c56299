"""The timeline for staff attributes each call to the payment that it was for."""

from typing import Any, Final

import pytest
from pytest_django import Settings

from desk.audit_timeline import TimelineEntry, audit_timeline
from desk.order_detail import order_detail
from orders.models import Order
from payments.models import Payment
from sagas.models import SagaRun, StepAttempt
from sandbox.stripe_process import SandboxServer
from tests.support.desk_actions import page_of
from tests.support.in_memory_broker import MessageQueue
from tests.support.paying_customer import ASKING, DECLINED, GOOD, GRACE, PayingCustomer
from tests.support.storefront_client import Storefront

pytestmark = pytest.mark.django_db(transaction=True)

TIME: Final = "%Y-%m-%d %H:%M:%S"
DECLINES: Final = [
    "pm_card_chargeDeclined",
    "pm_card_chargeDeclinedInsufficientFunds",
    "pm_card_chargeDeclinedLostCard",
    "pm_card_chargeDeclinedStolenCard",
    "pm_card_chargeDeclinedExpiredCard",
]
CALLED: Final = "payment authorization: called, attempt 1"
WAITED_FOR_CARD: Final = "payment authorization: waited for another payment by the customer"
WAITED_FOR_CUSTOMER: Final = (
    "payment authorization: waited for the customer's authentication at their bank"
)


@pytest.fixture
def alice(
    storefront: Storefront,
    messages: MessageQueue,
    sandbox_stripe: SandboxServer,
    settings: Settings,
) -> PayingCustomer:
    settings.PAYMENT_GRACE = GRACE
    sandbox_stripe.start_over()
    return PayingCustomer(storefront, messages, sandbox_stripe)


def pay_instead(alice: PayingCustomer, card: str, **body: Any) -> None:
    assert alice.pay(card, **body).status == 202
    alice.deliver()


def entries(alice: PayingCustomer) -> list[TimelineEntry]:
    """Return the entries about the authorization, and about other payments."""
    timeline = audit_timeline(order_detail(alice.order_id))
    return [
        entry
        for entry in timeline
        if entry.title.startswith(("payment authorization: ", "another payment: "))
    ]


def calls(alice: PayingCustomer) -> list[TimelineEntry]:
    return [entry for entry in entries(alice) if ": called" in entry.title]


def payments() -> list[Payment]:
    return list(Payment.objects.order_by("created_at"))


def ids_and_keys(payment: Payment) -> list[tuple[str, object]]:
    """Return what the first call about a payment shows."""
    assert payment.provider_payment_id is not None
    return [
        ("provider payment", payment.provider_payment_id),
        ("key of create", payment.idempotency_key("create")),
        ("key of confirm", payment.idempotency_key("confirm")),
    ]


def test_each_call_shows_its_own_payment_and_the_choice_of_another_card_is_an_entry(
    alice: PayingCustomer,
) -> None:
    alice.order(DECLINED)
    pay_instead(alice, GOOD)

    first, second = payments()
    found = entries(alice)
    assert [entry.title for entry in found] == [
        CALLED,
        WAITED_FOR_CARD,
        f"another payment: {GOOD}",
        CALLED,
        "payment authorization: done",
    ]
    called, wait, choice, called_again, done = found
    assert called.detail == f"Authorize 10.00 EUR on {DECLINED}."
    assert called.data == ids_and_keys(first)
    assert called_again.detail == f"Authorize 10.00 EUR on {GOOD}."
    assert called_again.data == ids_and_keys(second)
    assert ("provider payment id", second.provider_payment_id) in done.data
    assert (choice.at, choice.kind, choice.actor) == (second.created_at, "request", "alice")
    assert choice.detail == f"replaces {first.provider_payment_id} on {DECLINED}"
    assert choice.data == [("our payment", second.pk)]
    assert wait.detail == f"since {wait.at:{TIME}}, until {second.created_at:{TIME}}"
    assert wait.data == [("answer", "another_payment_needed insufficient_funds")]


def test_each_of_five_declined_cards_has_its_call_and_its_answer(alice: PayingCustomer) -> None:
    alice.order(DECLINES[0])
    for card in DECLINES[1:]:
        pay_instead(alice, card)

    found = entries(alice)
    expected = [CALLED]
    for card in DECLINES[1:]:
        expected += [WAITED_FOR_CARD, f"another payment: {card}", CALLED]
    assert [entry.title for entry in found] == [*expected, "payment authorization: rejected"]
    assert [entry.detail for entry in calls(alice)] == [
        f"Authorize 10.00 EUR on {card}." for card in DECLINES
    ]
    assert [entry.data for entry in calls(alice)] == [ids_and_keys(one) for one in payments()]
    waits = [entry for entry in found if entry.kind == "wait"]
    assert [dict(wait.data) for wait in waits] == [
        {"answer": f"another_payment_needed {code}"}
        for code in ("generic_decline", "insufficient_funds", "lost_card", "stolen_card")
    ]


def test_looks_for_an_authentication_end_with_another_card(alice: PayingCustomer) -> None:
    waiting = alice.order(ASKING)
    alice.look()
    alice.look()
    last_look = StepAttempt.objects.latest("pk")
    pay_instead(alice, DECLINED, replaces=waiting["payment"]["id"])

    found = entries(alice)
    assert [entry.title for entry in found] == [
        CALLED,
        WAITED_FOR_CUSTOMER,
        f"another payment: {DECLINED}",
        CALLED,
        WAITED_FOR_CARD.replace("waited", "waits"),
    ]
    second = payments()[1]
    assert found[1].detail.endswith(f", until {second.created_at:{TIME}}")
    assert list(found[1].data) == [
        ("answer", "authentication_required"),
        ("looked", f"2 times, last at {last_look.started_at:{TIME}}"),
    ]


def test_the_wait_is_over_once_another_card_is_chosen(alice: PayingCustomer) -> None:
    alice.order(DECLINED)
    assert alice.pay(GOOD).status == 202

    assert SagaRun.objects.get().waits_for == "another_payment_needed"
    assert [entry.title for entry in entries(alice)] == [
        CALLED,
        WAITED_FOR_CARD,
        f"another payment: {GOOD}",
    ]


def test_a_call_that_only_repeats_says_so(alice: PayingCustomer) -> None:
    alice.order(DECLINED)
    alice.stripe.add_fault("payment_intents.confirm", "error_before", times=1)
    pay_instead(alice, GOOD)
    alice.look()

    first, second = payments()
    shown = [(entry.title, entry.data) for entry in calls(alice)]
    assert shown == [
        (CALLED, ids_and_keys(first)),
        (CALLED, ids_and_keys(second)),
        (
            "payment authorization: called, attempt 2",
            [("provider payment", second.provider_payment_id), ("keys", "the same as before")],
        ),
    ]


def test_a_look_without_an_answer_is_not_tried_again_with_another_card(
    alice: PayingCustomer,
) -> None:
    waiting = alice.order(ASKING)
    alice.stripe.add_fault("payment_intents.retrieve", "reset_before", times=1)
    alice.look()
    pay_instead(alice, GOOD, replaces=waiting["payment"]["id"])

    [unanswered] = [entry for entry in entries(alice) if "no answer" in entry.title]
    assert "tried again" not in unanswered.detail
    assert "next try" not in unanswered.detail


def test_a_cancellation_shows_the_newest_payment(alice: PayingCustomer) -> None:
    alice.order(DECLINED)
    pay_instead(alice, GOOD)
    alice.storefront.cancel(alice.order_id)
    alice.deliver()

    timeline = audit_timeline(order_detail(alice.order_id))
    [returned] = [entry for entry in timeline if "payment return: called" in entry.title]
    assert Order.objects.get().status == "cancelled"
    assert dict(returned.data)["provider payment"] == payments()[1].provider_payment_id


def test_the_page_of_the_order_shows_each_payment_with_its_call(
    alice: PayingCustomer, desk: Any
) -> None:
    alice.order(DECLINED)
    pay_instead(alice, GOOD)

    page = page_of(desk, alice.order_id).split('id="timeline-heading"')[1].split("</ol>")[0]

    of_calls = [part.split("</li>")[0] for part in page.split(CALLED)[1:]]
    for payment, shown in zip(payments(), of_calls, strict=True):
        assert f"on {payment.payment_method}." in shown
        assert str(payment.provider_payment_id) in shown
