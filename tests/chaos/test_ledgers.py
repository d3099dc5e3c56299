"""What a chaos run reads from our database."""

from datetime import timedelta

import psycopg
import pytest
import urllib3
from django.db import connection
from django.db.models.functions import Now
from pytest_django import Settings

from approvals.models import Approval
from orders.models import Order
from proof.chaos import ledgers
from proof.chaos.ledgers import create_products, longest_run, read_database, unfinished
from proof.chaos.wait_answers import WaitAnswers, WaitControls
from sagas.sweep import sweep
from tests.support.clock import database_time
from tests.support.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)


def outside_url(outside: psycopg.Connection[object]) -> str:
    return f"{outside.info.dsn} password={outside.info.password}"


@pytest.fixture
def outside(shop: Shop) -> psycopg.Connection[object]:
    """Return a session on the test's database without Django."""
    connection.ensure_connection()
    settings = connection.get_connection_params()
    return psycopg.connect(
        host=settings["host"],
        port=settings["port"],
        user=settings["user"],
        password=settings["password"],
        dbname=settings["dbname"],
        autocommit=True,
    )


def test_an_order_is_read_with_its_lines(shop: Shop, outside: psycopg.Connection[object]) -> None:
    order = shop.place()
    shop.messages.deliver_all()

    with outside:
        database = read_database(outside)

    order.refresh_from_db()
    items = frozenset((line.sku, line.quantity) for line in order.lines.all())
    assert database.orders == {
        str(order.pk): ledgers.StoredOrder("confirmed", "", order.total_minor, items)
    }
    assert sum(totals.reserved for totals in database.stock.values()) == sum(
        quantity for _, quantity in items
    )


def test_products_are_created_with_stock(shop: Shop, outside: psycopg.Connection[object]) -> None:
    with outside:
        create_products(outside, {"AMPLE-00": 1000, "SCARCE-0": 3})
        database = read_database(outside)

    assert database.stock["AMPLE-00"] == ledgers.StockTotals(on_hand=1000, reserved=0)
    assert database.stock["SCARCE-0"] == ledgers.StockTotals(on_hand=3, reserved=0)


def test_an_unfinished_run_counts_from_its_beginning_or_from_the_healing(
    shop: Shop, outside: psycopg.Connection[object]
) -> None:
    order = shop.place()
    Order.objects.update(created_at=Now() - timedelta(hours=1))

    with outside:
        seconds = {
            left.description: left.seconds for left in unfinished(outside, healed_seconds_ago=50)
        }

    assert seconds.pop(f"order {order.pk} placed") == 50
    ((run, run_seconds),) = seconds.items()
    assert run.startswith(f"checkout of {order.pk} running reserve_stock")
    assert 0 <= run_seconds < 50


def test_the_deadline_of_a_wait_is_brought_to_the_present(
    shop: Shop, outside: psycopg.Connection[object], settings: Settings
) -> None:
    settings.REVIEW_ABOVE_MINOR = 4000
    order = shop.place()
    shop.messages.deliver_all()
    controls = WaitControls("", "", "", outside_url(outside))
    with outside:
        assert read_database(outside).orders[str(order.pk)].open_approvals == 1
    answers = WaitAnswers(controls, urllib3.PoolManager(retries=False))

    assert not answers.pass_deadline(str(order.pk), "authentication_required")
    assert answers.pass_deadline(str(order.pk), "await_review")

    sweep()
    shop.messages.deliver_all()
    order.refresh_from_db()
    assert (order.status, order.reason) == ("cancelled", "not_reviewed")
    assert Approval.objects.get().deadline <= database_time()


def test_an_ended_run_is_not_unfinished(shop: Shop, outside: psycopg.Connection[object]) -> None:
    shop.place()
    shop.messages.deliver_all()

    with outside:
        assert unfinished(outside, healed_seconds_ago=50) == []
        assert longest_run(outside) >= 0.0
