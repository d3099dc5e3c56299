"""The example of docs/waits.md: orders that wait for a fraud review, with the setting FRAUD_REVIEW.

The page shows this file as ``tests/orders/test_fraud_review.py``, without the first fixture, and
``tests/support/fraud_review.py`` as ``orders/fraud_review.py``.
"""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from pytest_django import Settings

import approvals.services
from approvals.models import Approval
from approvals.states import ApprovalStatus, DecidedVia, Decision
from orders.models import Order
from orders.saga import CHECKOUT
from payments.models import Payment
from sagas.models import SagaRun
from sagas.sweep import sweep
from tests.support.checkout_versions import placed_with
from tests.support.clock import A_DAY, advance
from tests.support.fraud_review import await_fraud_review
from tests.support.ledger_checks import assert_ledgers_agree
from tests.support.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def checkout_with_the_example() -> Iterator[None]:
    """Place orders with the example's step, whether or not the checkout has one of this name."""
    first, *rest = (step for step in CHECKOUT.steps if step.name != await_fraud_review.name)
    with placed_with((first, await_fraud_review, *rest)):
        yield


@pytest.fixture(autouse=True)
def with_fraud_review(settings: Settings) -> None:
    settings.FRAUD_REVIEW = True


@pytest.fixture
def order(shop: Shop) -> Order:
    """An order of two mugs and a T-shirt that waits for its fraud review."""
    shop.sandbox_stripe.start_over()
    order = shop.place()
    shop.messages.deliver_all()
    assert SagaRun.objects.get().waits_for == "await_fraud_review"
    return order


def decide(decision: Decision) -> bool:
    """Decide as staff do at the desk; return whether it was the first decision."""
    approval = Approval.objects.get()
    return approvals.services.decide(
        approval.pk, decision, actor="olga", via=DecidedVia.DESK, comment="a stolen card"
    ).decided_now


def ended(shop: Shop, order: Order) -> tuple[str, str]:
    """Deliver all messages; return the status and the reason of an order that has ended.

    Fails if stock, money and events are not as they must be for it.
    """
    shop.messages.deliver_all()
    order.refresh_from_db()
    assert_ledgers_agree(shop.sandbox_stripe)
    return order.status, order.reason


def test_an_order_waits_before_it_has_a_payment(shop: Shop, order: Order) -> None:
    run, approval = SagaRun.objects.get(), Approval.objects.get()

    assert not Payment.objects.exists()
    assert run.waiting_since is not None
    assert run.waiting_until == run.waiting_since + A_DAY
    assert (approval.wait, approval.deadline) == (run.waits_for, run.waiting_until)


def test_an_approved_order_goes_on(shop: Shop, order: Order) -> None:
    assert decide(Decision.APPROVE)

    assert ended(shop, order) == ("confirmed", "")


def test_a_rejected_order_is_cancelled(shop: Shop, order: Order) -> None:
    assert decide(Decision.REJECT)

    assert ended(shop, order) == ("cancelled", "fraud_suspected")
    assert not Payment.objects.exists()


def test_an_order_that_is_not_reviewed_within_a_day_is_cancelled(shop: Shop, order: Order) -> None:
    advance(A_DAY)
    sweep()

    shop.deliver_next()  # rejects the order, and compensates nothing yet
    assert Approval.objects.get().status == ApprovalStatus.EXPIRED
    assert not decide(Decision.APPROVE)

    assert ended(shop, order) == ("cancelled", "fraud_not_reviewed")


def test_a_decision_past_the_deadline_does_not_count(shop: Shop, order: Order) -> None:
    advance(timedelta(hours=25))

    assert decide(Decision.APPROVE)

    assert ended(shop, order) == ("cancelled", "fraud_not_reviewed")


def test_a_decision_counts_although_its_message_is_lost(shop: Shop, order: Order) -> None:
    decide(Decision.APPROVE)
    shop.messages.drop_all()
    advance(timedelta(minutes=1))
    sweep()

    assert ended(shop, order) == ("confirmed", "")


def test_a_cancelled_order_is_no_longer_reviewed(shop: Shop, order: Order) -> None:
    shop.cancel(order)

    assert ended(shop, order) == ("cancelled", "cancelled_by_customer")
    assert not decide(Decision.APPROVE)


def test_without_the_setting_no_order_waits(shop: Shop, settings: Settings) -> None:
    settings.FRAUD_REVIEW = False
    order = shop.place()

    assert ended(shop, order) == ("confirmed", "")
    assert not Approval.objects.exists()


def test_an_order_that_waits_is_still_reviewed_when_the_setting_is_off(
    shop: Shop, order: Order, settings: Settings
) -> None:
    settings.FRAUD_REVIEW = False
    advance(A_DAY)
    sweep()

    assert ended(shop, order) == ("cancelled", "fraud_not_reviewed")
