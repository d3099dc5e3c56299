"""The API answers as its document says, whatever it is sent; and the books are right afterwards."""

import os

import pytest
from django.contrib.auth.models import User

from access.credentials import Scope
from access.models import ApiToken
from orders.models import Order
from orders.states import OrderStatus
from sandbox.stripe_process import SandboxServer
from tests.conftest import Shelf
from tests.support.background_worker import delivering
from tests.support.in_memory_broker import MessageQueue
from tests.support.schemathesis_data import IN_STOCK, fill, findings_at_rest, words
from tests.support.schemathesis_run import Plan, explore
from tests.support.shop import Shop

pytestmark = pytest.mark.usefixtures("disconnected_threads")

EXAMPLES = int(os.environ.get("EXAMPLES", "200"))
SEED = int(os.environ["SEED"]) if "SEED" in os.environ else None

CALLERS = {
    "a customer": ((Scope.READ, Scope.WRITE), EXAMPLES),
    # What differs is whose orders it may see, and for whom it may buy.
    "the shop's server": ((Scope.READ, Scope.WRITE, Scope.SHOP), EXAMPLES // 10),
}


UNDER_WAY = {OrderStatus.PLACED, OrderStatus.CANCELLING}


@pytest.fixture
def shop(bank: SandboxServer, messages: MessageQueue, customer: User, shelf: Shelf) -> Shop:
    bank.start_over()  # its books are compared with ours alone
    fill(shelf)
    return Shop(customer, bank, messages)


@pytest.mark.timeout(0)  # as many examples as are asked for take as long as they take
@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # of what schemathesis sends
@pytest.mark.parametrize("caller", CALLERS)
def test_every_answer_is_as_documented_and_the_books_are_right(
    caller: str, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    scopes, examples = CALLERS[caller]
    token = ApiToken.objects.issue(shop.customer, scopes=scopes)[1]
    plan = Plan(token, examples, list(IN_STOCK), words(shop), SEED)

    with delivering(shop.messages):
        found = explore(plan, monkeypatch)

    assert found.findings == {}
    assert findings_at_rest(shop) == []
    assert set(OrderStatus) - set(Order.objects.values_list("status", flat=True)) <= UNDER_WAY
