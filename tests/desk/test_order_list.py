"""The list of orders: search, filters and pages, without counting or scanning the table."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from adminkit.cells import short_id
from desk.order_admin import OrderAdmin
from orders.models import Order, OrderTransition
from orders.services import cancel_order
from payments.models import Payment
from sagas.models import SagaRun, StepAttempt
from sagas.pause_reasons import PauseReason
from sagas.services import pause
from sandbox.stripe_process import SandboxServer
from tests.support import clock
from tests.support.desk_actions import ORDERS, listed_orders, run_of
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import Storefront, cart


def test_the_list_has_every_order_newest_first(
    desk: Client, confirmed: UUID, waiting: UUID
) -> None:
    assert listed_orders(desk) == [waiting, confirmed]


def test_an_order_is_found_by_its_id(desk: Client, confirmed: UUID, waiting: UUID) -> None:
    assert listed_orders(desk, f"?q={waiting}") == [waiting]
    assert listed_orders(desk, f"?q={waiting.hex.upper()}") == [waiting]
    assert listed_orders(desk, f"?q=%20{str(waiting)[:18]}%20") == [waiting]
    assert listed_orders(desk, f"?q={waiting.hex[:11]}ffff") == []
    assert listed_orders(desk, f"?q={str(waiting)[:13]}") == [waiting]
    assert listed_orders(desk, f"?q={waiting.hex[:8]}")[0] == waiting


def test_a_shortened_id_finds_its_order_among_orders_of_the_same_millisecond(
    desk: Client, waiting: UUID
) -> None:
    """Ids of one process in one millisecond differ only at their end."""
    twin = UUID(int=waiting.int ^ 1)
    Order.objects.create(pk=twin, currency="eur", total_minor=1, payment_method="pm")
    shown = short_id(twin)

    page = desk.get(ORDERS).content.decode()

    assert shown == f"{str(twin)[:13]}…{str(twin)[-6:]}"
    assert f">{shown}<" in page
    assert listed_orders(desk, f"?q={shown}") == [twin]
    assert listed_orders(desk, f"?q=%20{shown.upper().replace('…', '...')}") == [twin]
    assert listed_orders(desk, f"?q={shown[:-4]}") == []
    assert {*listed_orders(desk, f"?q={shown[:14]}")} == {waiting, twin}
    assert listed_orders(desk, f"?q={shown[:13]}…{'f' * 13}") == []


def test_seven_characters_of_an_id_are_too_few(desk: Client, waiting: UUID) -> None:
    assert listed_orders(desk, f"?q={waiting.hex[:7]}") == []


def test_orders_are_found_by_their_customer(desk: Client, confirmed: UUID, waiting: UUID) -> None:
    assert listed_orders(desk, "?q=alice") == [waiting, confirmed]
    assert listed_orders(desk, "?q=ali") == [waiting, confirmed]
    assert listed_orders(desk, "?q=lice") == []
    assert listed_orders(desk, "?q=mallory") == []


def test_an_order_is_found_by_the_shops_reference(
    desk: Client, confirmed: UUID, waiting: UUID
) -> None:
    Order.objects.filter(pk=waiting).update(reference="Z-1001")

    assert listed_orders(desk, "?q=Z-1001") == [waiting]
    assert listed_orders(desk, "?q=Z-100") == []
    assert "Z-1001" in desk.get(ORDERS).content.decode()


def test_orders_are_found_by_a_sku(desk: Client, confirmed: UUID, waiting: UUID) -> None:
    assert listed_orders(desk, "?q=TEE") == [waiting]
    assert listed_orders(desk, "?q=tee") == [waiting]
    assert listed_orders(desk, "?q=TE") == []


def test_an_order_is_found_by_a_providers_id(
    desk: Client, confirmed: UUID, waiting: UUID, messages: MessageQueue
) -> None:
    payment_id = Payment.objects.get(order_id=confirmed).provider_payment_id
    cancel_order(confirmed, reason="cancelled_by_customer", actor="alice")
    messages.deliver_all()
    refund_id = Payment.objects.get(order_id=confirmed).refunds.get().provider_refund_id

    assert listed_orders(desk, f"?q={payment_id}") == [confirmed]
    assert listed_orders(desk, f"?q={refund_id}") == [confirmed]
    assert listed_orders(desk, "?q=pi_unknown") == []
    assert listed_orders(desk, "?q=re_") == []


@pytest.mark.parametrize("term", ["%25", "a%0ab", "x" * 300, "'%20OR%201=1", "%F0%9F%A6%86", "__"])
def test_an_unknown_term_finds_nothing_and_the_page_says_what_to_search_for(
    desk: Client, confirmed: UUID, term: str
) -> None:
    answer = desk.get(f"{ORDERS}?q={term}")

    assert list(answer.context["cl"].result_list) == []
    assert "Nothing found" in answer.content.decode()
    assert "An order&#x27;s id or its beginning" in answer.content.decode()


@pytest.mark.parametrize(
    "query",
    [
        "?status__exact=placed",
        "?needs_attention=yes",
        "?step=reserve_stock",
        "?attempts=2-3",
        "?error=NotDoneYet",
        "?status__exact=placed&q=alice&attempts=2-3&error=NotDoneYet",
    ],
)
def test_the_list_is_filtered(desk: Client, confirmed: UUID, waiting: UUID, query: str) -> None:
    run = run_of(waiting)
    SagaRun.objects.filter(pk=run.pk).update(attempt_count=3)
    StepAttempt.objects.create(
        run=run, step="reserve_stock", direction="forward", number=3, fence=3,
        outcome="transient", error="NotDoneYet",
    )  # fmt: skip

    assert listed_orders(desk, query) == [waiting]


def test_a_compensating_order_shows_the_attempts_of_its_last_compensation(
    desk: Client, confirmed: UUID, waiting: UUID
) -> None:
    run = run_of(waiting)
    SagaRun.objects.filter(pk=run.pk).update(status="compensating", step="")
    StepAttempt.objects.create(
        run=run,
        step="reserve_stock",
        direction="compensating",
        number=9,
        fence=9,
        outcome="unknown",
    )

    assert listed_orders(desk, "?step=-") == [waiting]
    assert listed_orders(desk, "?attempts=8") == [waiting]
    assert listed_orders(desk, "?attempts=1") == []
    assert "compensating: reserve_stock, attempt 9" in desk.get(ORDERS).content.decode()


def test_paused_orders_are_found(desk: Client, confirmed: UUID, waiting: UUID) -> None:
    pause(waiting, PauseReason.MONEY_IN_DOUBT, "0 held of 2500", "M6")

    assert listed_orders(desk, "?is_paused=yes") == [waiting]
    assert listed_orders(desk, "?is_paused=no") == [confirmed]
    assert listed_orders(desk, "?needs_attention=no") == [confirmed]
    assert "paused by M6: 0 held of 2500" in desk.get(ORDERS).content.decode()


def test_orders_are_found_by_their_time_in_the_current_state(
    desk: Client, confirmed: UUID, waiting: UUID
) -> None:
    older = Order.objects.filter(pk=confirmed)
    older.update(created_at=F("created_at") - timedelta(days=2))
    OrderTransition.objects.update(at=F("at") - timedelta(minutes=30))

    assert listed_orders(desk, "?age=15m") == [confirmed]
    assert listed_orders(desk, "?age=1h") == []
    assert listed_orders(desk, "?age=1m") == [confirmed]


def test_orders_are_found_by_the_time_of_placing(
    desk: Client, confirmed: UUID, waiting: UUID
) -> None:
    moment = Order.objects.get(pk=waiting).created_at
    before, after = moment - timedelta(days=1), moment + timedelta(days=1)

    assert listed_orders(desk, f"?placed_from={before:%Y-%m-%dT%H:%M}") == [waiting, confirmed]
    assert listed_orders(desk, f"?placed_from={after:%Y-%m-%dT%H:%M}") == []
    assert listed_orders(desk, f"?placed_to={before:%Y-%m-%dT%H:%M}") == []
    assert listed_orders(desk, f"?placed_to={after:%Y-%m-%dT%H:%M}") == [waiting, confirmed]
    assert listed_orders(desk, f"?placed_from={moment:%Y-%m-%dT%H:%M:%S.%f}") == [waiting]
    assert listed_orders(desk, "?placed_from=yesterday") == []
    assert listed_orders(desk, "?placed_from=2026-13-45T99:99") == []


def test_the_times_of_orders_are_the_clocks(
    desk: Client, confirmed: UUID, storefront: Storefront
) -> None:
    clock.advance(days=14)
    moved = clock.database_time() - timedelta(hours=1)
    placed = storefront.order(cart(("MUG", 1))).order_id

    assert listed_orders(desk, f"?placed_from={moved:%Y-%m-%dT%H:%M}") == [placed]
    assert listed_orders(desk, f"?placed_to={moved:%Y-%m-%dT%H:%M}") == [confirmed]
    assert listed_orders(desk, "?age=7d") == [confirmed]
    assert ">14 d</time>" in desk.get(ORDERS).content.decode()


@pytest.mark.parametrize(
    "query",
    ["?status__exact=nonsense", "?age=9y", "?attempts=x", "?error=NoSuchError", "?step=a'b"],
)
def test_an_unknown_filter_value_matches_no_order(
    desk: Client, confirmed: UUID, query: str
) -> None:
    assert confirmed not in listed_orders(desk, query) or query == "?error=NoSuchError"
    assert listed_orders(desk, query) == []


@pytest.mark.parametrize(
    "query",
    [
        "?payment_method__regex=(a%2B)%2B$",
        "?customer__password__startswith=a",
        "?status__in=placed",
    ],
)
def test_a_lookup_that_is_not_a_filter_is_refused(
    desk: Client, confirmed: UUID, query: str
) -> None:
    assert desk.get(f"{ORDERS}{query}").status_code == 400


def test_a_page_knows_whether_another_one_follows(
    desk: Client, confirmed: UUID, waiting: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OrderAdmin, "list_per_page", 1)

    first, second = desk.get(ORDERS), desk.get(f"{ORDERS}?p=2")

    assert [order.pk for order in first.context["cl"].result_list] == [waiting]
    assert [order.pk for order in second.context["cl"].result_list] == [confirmed]
    assert 'rel="next"' in first.content.decode()
    assert 'rel="next"' not in second.content.decode()
    assert 'rel="prev"' in second.content.decode()


@pytest.mark.parametrize("number", ["0", "-1", "201", "9" * 30])
def test_pages_beyond_the_limit_are_refused(desk: Client, confirmed: UUID, number: str) -> None:
    answer = desk.get(f"{ORDERS}?p={number}")

    assert (answer.status_code, answer.headers["Location"]) == (302, f"{ORDERS}?e=1")


@pytest.mark.parametrize("query", ["", "?q=alice", "?q=TEE", "?status__exact=placed&age=1m"])
def test_no_row_is_counted_and_more_orders_need_no_more_statements(
    desk: Client, storefront: Storefront, waiting: UUID, query: str
) -> None:
    Order.objects.update(created_at=F("created_at") - timedelta(hours=1))
    OrderTransition.objects.update(at=F("at") - timedelta(hours=1))
    with CaptureQueriesContext(connection) as few:
        desk.get(f"{ORDERS}{query}")
    for _ in range(4):
        storefront.order(cart(("TEE", 1)))
    with CaptureQueriesContext(connection) as many:
        answer = desk.get(f"{ORDERS}{query}")

    assert answer.status_code == 200
    assert [query["sql"] for query in many if "COUNT(" in query["sql"].upper()] == []
    assert len(few) == len(many)


def test_a_row_shows_its_orders_state(desk: Client, confirmed: UUID, waiting: UUID) -> None:
    page = desk.get(ORDERS).content.decode()

    for text in (
        f">{short_id(waiting)}<",
        f"{ORDERS}{waiting}/change/",
        '<span class="state state-placed">placed</span>',
        '<span class="state state-confirmed">confirmed</span>',
        "alice",
        "25.00 EUR",
        "8 attempts",
        "reserve_stock",
    ):
        assert text in page


def test_orders_of_guests_are_marked(desk: Client, confirmed: UUID) -> None:
    Order.objects.update(customer=None)

    assert "guest" in desk.get(ORDERS).content.decode()


def test_stored_markup_is_escaped(desk: Client, waiting: UUID) -> None:
    SagaRun.objects.update(needs_attention=True, attention_reason='"><script>alert(1)</script>')

    page = desk.get(ORDERS).content.decode()

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_every_search_and_filter_uses_an_index(
    desk: Client, sandbox_stripe: SandboxServer, waiting: UUID
) -> None:
    """With sequential scans switched off, PostgreSQL still plans one where it has no index."""
    Order.objects.filter(pk=waiting).update(reference="Z-1001")
    now = timezone.now()
    for query in (
        "",
        f"?q={str(waiting)[:18]}",
        f"?q={short_id(waiting)}",
        "?q=alice",
        "?q=TEE",
        "?q=Z-1001",
        "?q=pi_unknown",
        "?q=re_unknown",
        "?needs_attention=yes",
        "?is_paused=yes",
        "?step=reserve_stock",
        "?attempts=1",
        "?age=7d",
        f"?placed_from={now:%Y-%m-%dT%H:%M}",
    ):
        assert scanned(desk, f"{ORDERS}{query}") == set(), query


def scanned(desk: Client, path: str) -> set[str]:
    """Return our tables that PostgreSQL reads whole although sequential scans are switched off."""
    with CaptureQueriesContext(connection) as queries:
        desk.get(path)
    tables = set()
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        try:
            for query in queries:
                if not query["sql"].startswith("SELECT"):
                    continue
                cursor.execute(f"EXPLAIN {query['sql']}")
                plan = "\n".join(row[0] for row in cursor.fetchall())
                tables |= {
                    line.split("Seq Scan on ")[1].split()[0]
                    for line in plan.splitlines()
                    if "Seq Scan on " in line
                }
        finally:
            cursor.execute("SET enable_seqscan = on")
    return {table for table in tables if table.split("_")[0] in ("orders", "sagas", "payments")}
