"""Schemathesis: responses are as documented for all requests, and the invariants hold afterwards."""

import os

import pytest
from django.contrib.auth.models import User

from access.credentials import Scope
from access.models import ApiToken
from orders.models import Order
from orders.states import OrderStatus
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue, delivering_in_background
from tests.support.schemathesis_data import IN_STOCK, existing_values, fill, findings_at_rest
from tests.support.schemathesis_run import Plan, explore
from tests.support.shop import Shelf, Shop

pytestmark = pytest.mark.usefixtures("disconnected_threads")

EXAMPLES = int(os.environ.get("EXAMPLES", "25"))
SEED = int(os.environ["SEED"]) if "SEED" in os.environ else None

CALLERS = {
    "a customer": ((Scope.READ, Scope.WRITE), EXAMPLES),
    # It sees other orders, and may name a customer.
    "the shop's server": ((Scope.READ, Scope.WRITE, Scope.SHOP), EXAMPLES // 10),
}


UNDER_WAY = {OrderStatus.PLACED, OrderStatus.CANCELLING}


@pytest.fixture
def shop(
    sandbox_stripe: SandboxServer, messages: MessageQueue, customer: User, shelf: Shelf
) -> Shop:
    sandbox_stripe.start_over()  # the invariants compare its whole ledger with the database
    fill(shelf)
    return Shop(customer, sandbox_stripe, messages)


@pytest.mark.timeout(0)  # EXAMPLES decides how long it takes
@pytest.mark.filterwarnings(
    "ignore:Generating overly large repr"
)  # schemathesis sends large values
@pytest.mark.parametrize("caller", CALLERS)
def test_responses_are_as_documented_and_the_invariants_hold(
    caller: str, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    scopes, examples = CALLERS[caller]
    token = ApiToken.objects.issue(shop.customer, scopes=scopes)[1]
    plan = Plan(token, examples, list(IN_STOCK), existing_values(shop), SEED)

    with delivering_in_background(shop.messages):
        found = explore(plan, monkeypatch)

    assert found.findings == {}
    assert findings_at_rest(shop) == []
    assert set(OrderStatus) - set(Order.objects.values_list("status", flat=True)) <= UNDER_WAY
