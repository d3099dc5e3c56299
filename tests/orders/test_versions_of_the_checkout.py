"""Orders of every version of the checkout that this code has: they end as those of the newest."""

import pytest

from orders import services
from orders.saga import CHECKOUT, SAGAS
from sagas.definition import Saga
from sagas.models import SagaRun
from tests.support.ledger_checks import assert_ledgers_agree
from tests.support.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)

VERSIONS = [saga for saga in SAGAS if saga.name == CHECKOUT.name]


@pytest.fixture(params=VERSIONS, ids=lambda saga: f"version {saga.version}", autouse=True)
def version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, shop: Shop) -> Saga:
    """The version that new orders get."""
    saga: Saga = request.param
    monkeypatch.setattr(services, "CHECKOUT", saga)
    shop.sandbox_stripe.start_over()
    return saga


def test_an_order_is_confirmed(shop: Shop, version: Saga) -> None:
    order = shop.place()
    shop.messages.deliver_all()

    order.refresh_from_db()
    assert (order.status, SagaRun.objects.get().version) == ("confirmed", version.version)
    assert_ledgers_agree(shop.sandbox_stripe)


def test_an_order_whose_payment_is_declined_can_be_cancelled(shop: Shop, version: Saga) -> None:
    order = shop.place("pm_card_chargeDeclined")
    shop.messages.deliver_all()
    shop.cancel(order)
    shop.messages.deliver_all()

    order.refresh_from_db()
    assert (order.status, SagaRun.objects.get().version) == ("cancelled", version.version)
    assert_ledgers_agree(shop.sandbox_stripe)
