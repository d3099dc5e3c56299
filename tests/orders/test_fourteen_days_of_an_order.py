"""Fourteen days of an order's life, played: a long review, the payment, and a late cancellation."""

from datetime import timedelta

import pytest
from pytest_django import Settings

import approvals.services
from approvals.models import Approval
from approvals.states import DecidedVia, Decision
from orders.models import Order
from sagas.models import RunStatus
from tests.support import clock
from tests.support.clock import play
from tests.support.ledger_checks import assert_ledgers_agree
from tests.support.provider_ledger import OrderMoney, money_of
from tests.support.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)

NOW = timedelta()
A_DAY = timedelta(days=1)


def test_fourteen_days_of_an_order_play_in_order(shop: Shop, settings: Settings) -> None:
    settings.REVIEW_ABOVE_MINOR = 4000
    shop.sandbox_stripe.start_over()
    placed_at = clock.stop()
    order = shop.place()

    fired = play(placed_at + A_DAY / 2, shop.messages)
    approval = Approval.objects.get()
    assert approvals.services.extend(approval.pk, placed_at + 5 * A_DAY, "olga")
    fired += play(placed_at + 4 * A_DAY, shop.messages)
    assert approvals.services.decide(
        approval.pk, Decision.APPROVE, actor="olga", via=DecidedVia.DESK, comment=""
    ).decided_now
    fired += play(placed_at + 13 * A_DAY, shop.messages)
    assert Order.objects.get().status == "confirmed"
    shop.cancel(order)
    fired += play(placed_at + 14 * A_DAY, shop.messages)

    assert [(event.at - placed_at, event.what) for event in fired] == [
        (NOW, "reserve_stock done"),
        (NOW, "authorize_payment done"),
        (4 * A_DAY, "await_review done"),
        (4 * A_DAY, "confirm_order done"),
        (4 * A_DAY, "capture_payment done"),
        (4 * A_DAY, RunStatus.COMPLETED),
        (13 * A_DAY, "release_reserved_stock done"),
        (13 * A_DAY, "return_payment done"),
        (13 * A_DAY, "finish_cancelling done"),
        (13 * A_DAY, RunStatus.COMPLETED),
    ]
    order.refresh_from_db()
    assert (order.status, order.reason) == ("cancelled", "cancelled_by_customer")
    assert money_of(shop.sandbox_stripe, order.pk) == OrderMoney(1, 0, 0)
    assert_ledgers_agree(shop.sandbox_stripe)
