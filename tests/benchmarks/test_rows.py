"""The benchmark's own SQL on the application's tables."""

import asyncio
from collections.abc import Iterator

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection

from benchmarks.catalogue import ON_HAND, stock_products
from benchmarks.outcomes import confirmed_between, order_outcomes
from benchmarks.watcher import Watcher
from inventory.models import MovementKind, StockMovement
from inventory.services import catalogue
from orders.services import place_order
from sagas.identifiers import new_id
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue
from tests.support.shop import Shelf

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def database_url() -> str:
    """Return the URL of the test's database, for sessions without Django."""
    with connection.cursor():
        parameters = connection.connection.info
    return psycopg.conninfo.make_conninfo(
        host=parameters.host,
        port=str(parameters.port),
        user=parameters.user,
        password=parameters.password,
        dbname=parameters.dbname,
    )


@pytest.fixture
def session(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as session:
        yield session


def test_products_are_stocked_once_and_their_movements_add_up(
    shelf: Shelf, session: psycopg.Connection
) -> None:
    shelf.put("MUG", 5)

    stock_products(session, ["MUG", "B-1", "B-2"])
    stock_products(session, ["MUG", "B-1"])

    assert {product.sku: product.available for product in catalogue()} == {
        "MUG": 5,
        "B-1": ON_HAND,
        "B-2": ON_HAND,
    }
    receipts = StockMovement.objects.filter(kind=MovementKind.RECEIPT)
    assert sorted(receipts.values_list("stock_level__product__sku", "quantity")) == [
        ("B-1", ON_HAND),
        ("B-2", ON_HAND),
        ("MUG", 5),
    ]


def test_outcomes_distinguish_completed_confirmed_and_unfinished_orders(
    shelf: Shelf,
    session: psycopg.Connection,
    customer: User,
    sandbox_stripe: SandboxServer,
    messages: MessageQueue,
) -> None:
    stock_products(session, ["MUG"])
    cards = ["pm_card_visa", "pm_card_visa", "pm_card_visa_chargeDeclined", "pm_card_visa"]
    completed, confirmed, declined, placed = (
        str(place_order(new_id(), customer, {"MUG": 1}, card).order.pk) for card in cards
    )
    begin = [messages.take() for _ in range(3)]
    messages.drop_all()

    messages.deliver(begin[0])
    messages.deliver_all()
    for message in begin[1:]:
        messages.deliver(message)
        messages.drop_all()
    found = order_outcomes(session)

    assert {order_id: (outcome.status, outcome.reason) for order_id, outcome in found.items()} == {
        completed: ("confirmed", ""),
        confirmed: ("confirmed", ""),
        declined: ("cancelling", "payment_declined"),
        placed: ("placed", ""),
    }
    assert [order for order, outcome in found.items() if outcome.completed_at] == [completed]
    moments = sorted(outcome.confirmed_at for outcome in found.values() if outcome.confirmed_at)
    assert len(moments) == 2
    assert confirmed_between(moments[0], moments[1], found) == 1
    assert confirmed_between(moments[0], moments[1] + 1, found) == 2


def test_the_watcher_waits_until_the_order_has_ended(
    shelf: Shelf,
    database_url: str,
    customer: User,
    sandbox_stripe: SandboxServer,
    messages: MessageQueue,
) -> None:
    shelf.put("MUG", 5)
    order_id = str(place_order(new_id(), customer, {"MUG": 1}, "pm_card_visa").order.pk)

    def deliver_all() -> None:
        messages.deliver_all()
        connection.close()  # that of this thread

    async def scenario() -> int:
        watcher = await Watcher.connect(database_url)
        watching = asyncio.create_task(watcher.watch())
        ended = asyncio.create_task(watcher.wait_until_ended(order_id))
        while watcher.queries < 2:
            await asyncio.sleep(0.001)
        assert not ended.done()
        await asyncio.to_thread(deliver_all)
        await asyncio.wait_for(ended, 60)
        watching.cancel()
        await watcher.close()
        return watcher.queries

    assert asyncio.run(scenario()) >= 3
