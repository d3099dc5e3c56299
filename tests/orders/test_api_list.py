"""The order list: stable pages, filters and expansions."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.signing import Signer
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.credentials import Scope
from orders.api.orders.order_list import Position, page_of
from orders.models import Order, OrderQuerySet
from orders.states import OrderStatus
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import ORDERS, Storefront, cart

MUG = cart(("MUG", 1))
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_orders_are_listed_newest_first_without_items(storefront: Storefront) -> None:
    first, second = (storefront.order(MUG) for _ in range(2))

    response = storefront.get(ORDERS)

    without_items = [
        {name: value for name, value in placed.body.items() if name != "items"}
        for placed in (second, first)
    ]
    assert response.status == 200
    assert response.body == {"results": without_items, "next": None, "previous": None}
    assert "Link" not in response.headers


def test_a_customer_sees_no_orders_of_others(storefront: Storefront, stranger: Storefront) -> None:
    storefront.order(MUG)

    assert stranger.get(ORDERS).body["results"] == []


def test_the_shops_server_sees_all_orders(storefront: Storefront, stranger: Storefront) -> None:
    alices = storefront.order(MUG).body["id"]
    shop = Storefront(stranger.customer, scopes=(Scope.READ, Scope.SHOP))

    assert ids(shop.get(ORDERS)) == [alices]


def test_next_and_previous_reach_every_order_once(customer: User, storefront: Storefront) -> None:
    # Three orders per second: pages end between orders of the same second.
    placed = [make(customer, NOON + timedelta(seconds=n // 3)) for n in range(10)]
    newest_first = [
        str(order.pk) for order in sorted(placed, key=lambda order: (order.created_at, order.pk))
    ][::-1]

    pages = [storefront.get(f"{ORDERS}?page_size=4")]
    while pages[-1].body["next"]:
        pages.append(storefront.get(pages[-1].body["next"]))
    back = [pages[-1]]
    while back[-1].body["previous"]:
        back.append(storefront.get(back[-1].body["previous"]))

    assert [ids(page) for page in pages] == [newest_first[:4], newest_first[4:8], newest_first[8:]]
    assert [ids(page) for page in back] == [ids(page) for page in reversed(pages)]
    assert pages[0].body["previous"] is None
    assert pages[0].body["next"].startswith(f"http://testserver{ORDERS}?")


def test_new_orders_do_not_shift_pages(customer: User, storefront: Storefront) -> None:
    placed = [make(customer, NOON + timedelta(seconds=n)) for n in range(4)]
    first = storefront.get(f"{ORDERS}?page_size=2")
    make(customer, NOON + timedelta(hours=1))

    second = storefront.get(first.body["next"])

    assert ids(second) == [str(placed[1].pk), str(placed[0].pk)]


def test_the_link_header_has_the_neighbouring_pages(customer: User, storefront: Storefront) -> None:
    for n in range(3):
        make(customer, NOON + timedelta(seconds=n))
    first = storefront.get(f"{ORDERS}?page_size=1")
    second = storefront.get(first.body["next"])

    assert first.headers["Link"] == f'<{first.body["next"]}>; rel="next"'
    assert second.headers["Link"] == (
        f'<{second.body["next"]}>; rel="next", <{second.body["previous"]}>; rel="prev"'
    )


def test_the_next_page_keeps_filters_and_expansions(customer: User, storefront: Storefront) -> None:
    kept = [make(customer, NOON + timedelta(seconds=n)) for n in range(2)]
    make(customer, NOON + timedelta(seconds=5), OrderStatus.CANCELLED)

    first = storefront.get(f"{ORDERS}?status=placed&page_size=1&expand=items")
    second = storefront.get(first.body["next"])

    assert [*ids(first), *ids(second)] == [str(kept[1].pk), str(kept[0].pk)]
    assert second.body["results"][0]["items"] == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=placed", ["placed"]),
        ("status=placed&status=cancelled", ["cancelled", "placed"]),
        ("status=placed,cancelled", ["cancelled", "placed"]),
        ("status=cancelling", []),
        ("created_after=2026-11-20T12:00:01Z", ["cancelled", "confirmed"]),
        ("created_before=2026-11-20T12:00:01Z", ["placed"]),
        ("created_after=2026-11-20T12:00:01Z&created_before=2026-11-20T12:00:02Z", ["confirmed"]),
        ("created_after=2026-11-20T13:00:02%2B01:00", ["cancelled"]),
        ("created_after=2026-11-20T12:00:01.000001Z", ["cancelled"]),
        ("created_after=9999-12-31T23:59:59Z", []),
        ("reference=A-17", ["confirmed"]),
        ("reference=A-1", []),
        ("reference=a-17", []),
        ("reference=A-17&status=placed", []),
    ],
)
def test_filters_select_the_right_orders(
    customer: User, storefront: Storefront, query: str, expected: list[str]
) -> None:
    for n, status in enumerate(("placed", "confirmed", "cancelled")):
        make(customer, NOON + timedelta(seconds=n), OrderStatus(status))
    Order.objects.filter(status="confirmed").update(reference="A-17")

    response = storefront.get(f"{ORDERS}?{query}")

    assert [order["status"] for order in response.body["results"]] == expected


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("page_size=0", "page_size"),
        ("page_size=101", "page_size"),
        ("page_size=1000000000", "page_size"),
        ("page_size=-1", "page_size"),
        ("page_size=1e1", "page_size"),
        ("page_size=1_0", "page_size"),
        ("page_size=%D9%A1", "page_size"),
        ("page_size=", "page_size"),
        ("page_size=5&page_size=6", "page_size"),
        ("page_size=" + "9" * 5000, "page_size"),
        ("page=-1", "page"),
        ("offset=5", "offset"),
        ("format=xml", "format"),
        ("ordering=customer__password", "ordering"),
        ("status__regex=.*", "status__regex"),
        ("customer=", "customer"),
        ("customer=a%00", "customer"),
        ("customer=a%20b", "customer"),
        ("customer=" + "a" * 151, "customer"),
        ("customer=a&customer=b", "customer"),
        ("customer__username__startswith=a", "customer__username__startswith"),
        ("status=paid", "status"),
        ("status=", "status"),
        ("status[]=placed", "status[]"),
        ("status=placed%00", "status"),
        ("created_after=yesterday", "created_after"),
        ("created_after=1700000000", "created_after"),
        ("created_after=-100", "created_after"),
        ("created_after=2026-11-20", "created_after"),
        ("created_after=2026-11-20T12:00:00", "created_after"),
        ("created_after=2026-11-20T12:00:00+01:00", "created_after"),
        ("created_after=2026-11-20T23:59:60Z", "created_after"),
        ("created_before=0000-01-01T00:00:00Z", "created_before"),
        ("created_before=0001-01-01T00:00:00%2B23:59", "created_before"),
        ("created_before=9999-12-31T23:59:59-23:59", "created_before"),
        ("created_after=2026-11-20T12:00:00Z&created_after=2026-11-21T12:00:00Z", "created_after"),
        ("reference=", "reference"),
        ("reference=a%00", "reference"),
        ("reference=a%0A", "reference"),
        ("reference=%25", "reference"),
        ("reference=" + "a" * 65, "reference"),
        ("reference=a&reference=b", "reference"),
        ("expand=customer", "expand"),
        ("expand=items.order", "expand"),
        ("expand=", "expand"),
        ("cursor=", "cursor"),
        ("cursor=1", "cursor"),
        ("cursor=cD0yMDI2", "cursor"),
        ("cursor=" + "A" * 5000, "cursor"),
        ("cursor=%00%FF:%F0%9F%92%A5", "cursor"),
        ("%00=1", "\0"),
        ("'%20OR%201=1--=1", "' OR 1"),
    ],
)
def test_an_invalid_parameter_is_refused_by_name(
    storefront: Storefront, query: str, parameter: str
) -> None:
    response = storefront.get(f"{ORDERS}?{query}")

    assert response.is_problem(400, "invalid-query")
    assert response.parameters == [parameter]


@pytest.mark.parametrize(
    "moment",
    [
        *("yesterday", "2026-11-20", "2026-11-20T12:00:00", "2026-11-20T23:59:60Z"),
        "2026-11-20T12:00:00+01:00",  # the plus is a space
    ],
)
def test_an_invalid_time_gets_an_explanation(storefront: Storefront, moment: str) -> None:
    response = storefront.get(f"{ORDERS}?created_after={moment}")

    assert [error["detail"] for error in response.body["errors"]] == [
        "Write a time with its zone, as 2026-11-21T08:00:00Z; + in a URL is written %2B"
    ]


def test_every_wrong_parameter_is_named(storefront: Storefront) -> None:
    response = storefront.get(f"{ORDERS}?page_size=0&status=paid&expand=all")

    assert sorted(response.parameters) == ["expand", "page_size", "status"]


def test_too_many_parameters_return_400(storefront: Storefront) -> None:
    query = "&".join(f"p{n}=1" for n in range(2000))

    assert storefront.get(f"{ORDERS}?{query}").status == 400


def test_a_cursor_is_valid_only_for_its_caller_and_filters(
    customer: User, storefront: Storefront, stranger: Storefront
) -> None:
    for n in range(3):
        make(customer, NOON + timedelta(seconds=n))
        make(stranger.customer, NOON + timedelta(seconds=n))
    cursor = cursor_of(storefront.get(f"{ORDERS}?page_size=1").body["next"])
    payload, signature = cursor.split(":")
    shop = Storefront(customer, scopes=(Scope.READ, Scope.SHOP))
    forged = Signer(key="guessed", salt="orders.api.http.pagination").sign_object(
        ["2026-01-01", "x", True]
    )

    refused = {
        "truncated": storefront.get(f"{ORDERS}?cursor={cursor[:-1]}"),
        "changed": storefront.get(f"{ORDERS}?cursor={payload[:-1]}A:{signature}"),
        "unsigned": storefront.get(f"{ORDERS}?cursor={payload}"),
        "forged": storefront.get(f"{ORDERS}?cursor={forged}"),
        "of another caller": stranger.get(f"{ORDERS}?cursor={cursor}"),
        "of another grant": shop.get(f"{ORDERS}?cursor={cursor}"),
        "of other filters": storefront.get(f"{ORDERS}?status=placed&cursor={cursor}"),
    }

    assert storefront.get(f"{ORDERS}?cursor={cursor}&page_size=2").status == 200
    assert [
        case for case, response in refused.items() if not response.is_problem(400, "invalid-query")
    ] == []
    assert [response.parameters for response in refused.values()] == [["cursor"]] * len(refused)


def test_expansions_are_included(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id
    messages.deliver_all()
    expand = "expand=items,timeline&expand=payments"

    [listed] = storefront.get(f"{ORDERS}?{expand}").body["results"]

    timeline = storefront.get(f"{ORDERS}/{order_id}/timeline").body["entries"]
    [payment] = listed["payments"]
    assert listed == storefront.get(f"{ORDERS}/{order_id}?{expand}").body
    assert [line["sku"] for line in listed["items"]] == ["MUG"]
    assert listed["timeline"] == timeline
    assert (payment["status"], payment["captured_minor"]) == ("captured", 1000)
    assert payment["created_at"] <= payment["authorized_at"] <= payment["captured_at"]


@pytest.mark.parametrize(
    ("expand", "statements"),
    [("", 2), ("?expand=items", 3), ("?expand=items,timeline,payments", 8)],
)
def test_the_number_of_statements_is_independent_of_the_number_of_orders(
    storefront: Storefront,
    sandbox_stripe: SandboxServer,
    messages: MessageQueue,
    expand: str,
    statements: int,
) -> None:
    taken = []
    for more in (1, 3):
        for _ in range(more):
            storefront.order(MUG)
        messages.deliver_all()
        with CaptureQueriesContext(connection) as captured:
            storefront.get(f"{ORDERS}{expand}")
        taken.append(len(captured))

    assert taken == [statements, statements]


def test_reading_one_order_takes_three_statements(storefront: Storefront) -> None:
    order_id = storefront.order(MUG).order_id

    with CaptureQueriesContext(connection) as captured:
        storefront.get(f"{ORDERS}/{order_id}")

    assert len(captured) == len(("the token", "the order", "its items"))


def test_a_page_reads_few_rows_among_ten_thousand_orders(
    customer: User, storefront: Storefront, stranger: Storefront
) -> None:
    # Every tenth order is a stranger's, and every hundredth is cancelled.
    mallory = stranger.customer
    Order.objects.bulk_create(
        order(
            mallory if n % 10 == 9 else customer,
            NOON + timedelta(seconds=n),
            OrderStatus.CANCELLED if n % 100 == 0 else OrderStatus.CONFIRMED,
            reference=f"A-{n}",
        )
        for n in range(10_000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE orders_order")
    alices, all_orders = Order.objects.filter(customer=customer), Order.objects.all()
    deep = Order.objects.order_by("created_at")[5_000]

    named = all_orders.filter(reference="A-5000")
    lists: dict[str, tuple[OrderQuerySet, Position | None]] = {
        "by reference": (named, None),
        "alice's": (alices, None),
        "alice's, a late page": (alices, Position.beside(deep)),
        "alice's, towards newer": (alices, Position.beside(deep, is_towards_newer=True)),
        "the shop's": (all_orders, None),
        "the shop's, a late page": (all_orders, Position.beside(deep)),
        "the shop's, of one customer": (all_orders.filter(customer__in=[mallory.pk]), None),
        "the shop's, cancelled": (all_orders.filter(status="cancelled"), None),
        "the shop's, of a day": (all_orders.filter(created_at__lt=NOON + timedelta(hours=1)), None),
    }
    plans = {name: plan_of(*arguments) for name, arguments in lists.items()}

    assert {name for name, plan in plans.items() if "Seq Scan" in scan_types(plan)} == set()
    assert {name: read for name, plan in plans.items() if (read := rows_read(plan)) > 60} == {}


def plan_of(orders: OrderQuerySet, start: Position | None) -> list[dict[str, Any]]:
    """Return the nodes of PostgreSQL's plan for a page of 20."""
    with CaptureQueriesContext(connection) as captured:
        assert page_of(orders, start, 20).orders
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {captured[0]['sql']}")
        [[[found]]] = cursor.fetchall()
    return list(nodes(found["Plan"]))


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(below for child in plan.get("Plans", []) for below in nodes(child))]


def scan_types(plan: list[dict[str, Any]]) -> set[str]:
    return {node["Node Type"] for node in plan if node.get("Relation Name") == "orders_order"}


def rows_read(plan: list[dict[str, Any]]) -> int:
    orders = [node for node in plan if node.get("Relation Name") == "orders_order"]
    return sum(int(node["Actual Rows"]) + node.get("Rows Removed by Filter", 0) for node in orders)


def order(customer: User, at: datetime, status: OrderStatus, reference: str | None = None) -> Order:
    return Order(
        customer=customer,
        status=status,
        currency="eur",
        total_minor=1000,
        payment_method="pm_card_visa",
        created_at=at,
        reference=reference,
    )


def make(customer: User, at: datetime, status: OrderStatus = OrderStatus.PLACED) -> Order:
    """Create an order without a run."""
    made = order(customer, at, status)
    made.save(force_insert=True)
    return made


def ids(response: Any) -> list[str]:
    return [order["id"] for order in response.body["results"]]


def cursor_of(url: str) -> str:
    found = re.search(r"[?&]cursor=([^&]+)", url)
    assert found is not None
    return found.group(1).replace("%3A", ":")
