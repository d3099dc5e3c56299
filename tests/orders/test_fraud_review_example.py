"""The example of docs/waits.md works, and the page shows it as it is here."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import approvals.services
from approvals.models import Approval
from approvals.states import ApprovalStatus, DecidedVia, Decision
from orders.models import Order
from orders.saga import CHECKOUT
from sagas.models import SagaRun
from sagas.sweep import sweep
from tests.support.checkout_versions import placed_with
from tests.support.clock import advance
from tests.support.fraud_review import await_fraud_review
from tests.support.ledger_checks import assert_ledgers_agree
from tests.support.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parents[2]
EXCERPT = re.compile(r"```python\n# (tests/\S+\.py)\n(.*?)```", re.DOTALL)


@pytest.fixture(autouse=True)
def with_fraud_review() -> Iterator[None]:
    reserve_stock, *rest = CHECKOUT.steps
    with placed_with((reserve_stock, await_fraud_review, *rest)):
        yield


@pytest.fixture
def order(shop: Shop) -> Order:
    """An order that waits for its fraud review."""
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
    """Deliver all messages; return the order's status, and its reason."""
    shop.messages.deliver_all()
    order.refresh_from_db()
    assert_ledgers_agree(shop.sandbox_stripe)
    return order.status, order.reason


def test_an_approved_order_goes_on(shop: Shop, order: Order) -> None:
    decide(Decision.APPROVE)

    assert ended(shop, order) == ("confirmed", "")


def test_a_rejected_order_is_cancelled(shop: Shop, order: Order) -> None:
    decide(Decision.REJECT)

    assert ended(shop, order) == ("cancelled", "fraud_suspected")


def test_an_order_that_is_not_reviewed_within_a_day_is_cancelled(shop: Shop, order: Order) -> None:
    advance(timedelta(hours=24))
    sweep()

    assert ended(shop, order) == ("cancelled", "fraud_not_reviewed")
    assert Approval.objects.get().status == ApprovalStatus.EXPIRED
    assert not decide(Decision.APPROVE)


def test_a_decision_survives_a_lost_message(shop: Shop, order: Order) -> None:
    decide(Decision.APPROVE)
    shop.messages.drop_all()
    advance(timedelta(minutes=1))
    sweep()

    assert ended(shop, order) == ("confirmed", "")


def test_a_cancelled_order_is_no_longer_reviewed(shop: Shop, order: Order) -> None:
    shop.cancel(order)

    assert ended(shop, order) == ("cancelled", "cancelled_by_customer")
    assert Approval.objects.get().status == ApprovalStatus.EXPIRED


def test_the_page_shows_the_example_as_it_is() -> None:
    excerpts = EXCERPT.findall((ROOT / "docs" / "waits.md").read_text())

    assert len(excerpts) == 2
    for path, text in excerpts:
        assert text in (ROOT / path).read_text(), path
