"""The desk's lists: their cells, links, searches and filters, and what a page costs."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.text import capfirst
from pytest_django import Settings

from adminkit import filters
from adminkit.admin import PagedAdmin
from adminkit.cells import short_id
from desk.bulk import create_bulk_action
from desk.models import ActionKind
from invariants.models import ReconciliationBreak
from inventory.models import Product, StockMovement
from orders.services import cancel_order
from payments.models import Payment
from sagas.identifiers import new_id
from sagas.models import RunStatus, SagaRun
from sagas.pause_reasons import PauseReason
from sagas.services import pause
from sandbox.stripe_process import SandboxServer
from tests.support.desk_actions import ORDERS, page_of, run_of, submit_action
from tests.support.in_memory_broker import MessageQueue
from tests.support.large_tables import id_of, write_many_rows
from tests.support.paying_customer import ASKING, DECLINED, GRACE, PayingCustomer
from tests.support.storefront_client import Storefront

RUNS = "/admin/sagas/sagarun/"
PAYMENTS = "/admin/payments/payment/"
EVENTS = "/admin/events/outboxevent/"
MOVEMENTS = "/admin/inventory/stockmovement/"
RESERVATIONS = "/admin/inventory/reservation/"
STOCK = "/admin/inventory/stocklevel/"
PRODUCTS = "/admin/inventory/product/"
APPROVALS = "/admin/approvals/approval/"
BREAKS = "/admin/invariants/reconciliationbreak/"
ACTIONS = "/admin/desk/operatoraction/"
BULKS = "/admin/desk/bulkaction/"
USERS = "/admin/auth/user/"
TOKENS = "/admin/access/apitoken/"
FAILED_LOGINS = "/admin/axes/accessattempt/"
CHANGES = "/admin/admin/logentry/"


def found(desk: Client, address: str) -> list[Any]:
    """Return the rows of a list's page."""
    answer = desk.get(address)
    assert answer.status_code == 200, address
    return list(answer.context["cl"].result_list)


def shown(desk: Client, address: str) -> str:
    answer = desk.get(address)
    assert answer.status_code == 200, address
    return answer.content.decode()


def test_ended_runs_are_neither_paused_nor_flagged(desk: Client, waiting: UUID) -> None:
    pause(waiting, PauseReason.MONEY_IN_DOUBT, "0 held of 2500", "M6")
    filtered_lists = [f"{RUNS}?{mark}=yes" for mark in ("is_paused", "needs_attention")]
    before = [[run.subject_id for run in found(desk, address)] for address in filtered_lists]

    SagaRun.objects.filter(subject_id=waiting).update(
        status=RunStatus.COMPENSATED, step="", wake_at=None, ended_at=timezone.now()
    )

    assert before == [[waiting], [waiting]]
    assert [found(desk, address) for address in filtered_lists] == [[], []]


def link_to(order_id: object) -> str:
    return f'href="/admin/orders/order/{order_id}/change/"'


def badge(value: str, word: str = "") -> str:
    return f'<span class="state state-{value}">{word or value}</span>'


def write_break(subject: str) -> None:
    now = timezone.now()
    ReconciliationBreak.objects.create(
        code="T4", kind="state", subject=subject, detail="d", first_seen=now, last_seen=now
    )


def test_rows_link_to_their_order(desk: Client, confirmed: UUID, posted: list[str]) -> None:
    submit_action(desk, confirmed, "note")
    write_break(str(confirmed))

    without_link = [
        path
        for path in (RUNS, PAYMENTS, EVENTS, MOVEMENTS, RESERVATIONS, BREAKS, ACTIONS)
        if link_to(confirmed) not in shown(desk, path)
    ]

    assert without_link == []


def test_rows_link_to_their_product(desk: Client, confirmed: UUID) -> None:
    mug = f'href="/admin/inventory/product/{Product.objects.get(sku="MUG").pk}/change/"'

    assert mug in shown(desk, MOVEMENTS)
    assert mug in shown(desk, RESERVATIONS)
    assert mug in shown(desk, f"{STOCK}{found(desk, f'{STOCK}?q=MUG')[0].pk}/change/")


def test_a_run_shows_its_state_and_step(desk: Client, confirmed: UUID, waiting: UUID) -> None:
    page = shown(desk, RUNS)

    assert badge("completed") in page
    assert badge("running") in page
    assert "reserve_stock" in page
    assert '<span class="flag">check</span>' in page
    assert "8 attempts" in page


def test_a_payment_shows_its_amount_and_its_id_at_the_provider(
    desk: Client, confirmed: UUID
) -> None:
    payment = Payment.objects.get(order_id=confirmed)

    page = shown(desk, PAYMENTS)

    assert badge("captured") in page
    assert "10.00 EUR" in page
    assert f"<code>{payment.provider_payment_id}</code>" in page
    assert f"{payment.created_at:%Y-%m-%d %H:%M:%S}" in page


@pytest.fixture
def alice(
    storefront: Storefront, messages: MessageQueue, sandbox_stripe: SandboxServer
) -> PayingCustomer:
    return PayingCustomer(storefront, messages, sandbox_stripe)


@pytest.mark.parametrize(
    ("payment_method", "status", "decline_code"),
    [(ASKING, "action_required", ""), (DECLINED, "declined", "insufficient_funds")],
)
def test_a_payment_that_waits_for_its_customer_says_so(
    desk: Client,
    alice: PayingCustomer,
    settings: Settings,
    *,
    payment_method: str,
    status: str,
    decline_code: str,
) -> None:
    settings.PAYMENT_GRACE = GRACE
    alice.order(payment_method)
    payment = Payment.objects.get()

    pages = {
        "list": shown(desk, f"{PAYMENTS}?status=prepared"),
        "payment": shown(desk, f"{PAYMENTS}{payment.pk}/change/"),
        "order": page_of(desk, alice.order_id).split('id="payments-heading"')[1],
    }

    for name, page in pages.items():
        assert badge(status) in page, name
        assert badge("prepared") not in page, name
        assert decline_code in page, name
    assert payment.status == "prepared"


def test_a_payment_that_was_declined_and_cancelled_shows_both(
    desk: Client, alice: PayingCustomer
) -> None:
    alice.order(DECLINED)

    page = shown(desk, PAYMENTS)

    assert f'{badge("voided")} <span class="hint">insufficient_funds</span>' in page


def test_a_movement_shows_its_kind_and_actor(desk: Client, confirmed: UUID) -> None:
    page = shown(desk, MOVEMENTS)

    assert badge("receipt", "received") in page
    assert badge("reserve", "reserved") in page
    assert "+5" in page
    assert "the order&#x27;s run" in page


def test_a_product_shows_its_price_and_available_stock(desk: Client, confirmed: UUID) -> None:
    (mug,) = found(desk, f"{PRODUCTS}?q=MUG")
    page = shown(desk, f"{PRODUCTS}?q=mug")

    assert mug.available == 4
    assert "10.00 EUR" in page
    assert badge("for-sale", "for sale") in page
    assert "TEE" not in page


def searches(confirmed: UUID) -> dict[str, dict[str, int]]:
    """Return search terms for each list, with the number of rows that each term finds."""
    payment = Payment.objects.get(order_id=confirmed)
    refund = payment.refunds.get().provider_refund_id
    ids = (str(confirmed), str(confirmed)[:18], short_id(confirmed), confirmed.hex.upper())
    return {
        RUNS: {**dict.fromkeys(ids, 2), str(run_of(confirmed).pk): 1},
        PAYMENTS: {
            **dict.fromkeys(ids, 1),
            str(payment.provider_payment_id): 1,
            refund: 1,
            str(payment.pk): 1,
            "pi_none": 0,
            "re_": 0,
        },
        EVENTS: dict.fromkeys(ids, 8),
        BREAKS: {**dict.fromkeys(ids[:3], 1), "MUG@main": 1, "MUG": 0},
        RESERVATIONS: {**dict.fromkeys(ids, 1), "MUG": 1, "mug": 1, "MU": 0, "TEE": 0},
        MOVEMENTS: {**dict.fromkeys(ids, 2), "MUG": 3, "TEE": 1, "CUP": 0},
        STOCK: {"MUG": 1, "mu": 1, "Mug": 1, "CUP": 0},
        ACTIONS: {**dict.fromkeys(ids, 1), "grace": 1, "mallory": 0},
        USERS: {"grace": 1, "gra": 1, "race": 0},
        TOKENS: {"alice": 1, "mallory": 0},
    }


def test_rows_are_found_by_ids_skus_and_names(
    desk: Client, confirmed: UUID, messages: MessageQueue
) -> None:
    submit_action(desk, confirmed, "note")
    cancel_order(confirmed, reason="cancelled_by_customer", actor="alice")
    messages.deliver_all()
    for subject in (str(confirmed), "MUG@main"):
        write_break(subject)
    wanted = searches(confirmed)

    counted = {
        path: {term: len(found(desk, f"{path}?q={term}")) for term in terms}
        for path, terms in wanted.items()
    }

    assert counted == wanted


@pytest.mark.parametrize("term", ["%25", "a%0ab", "x" * 300, "'%20OR%201=1", "%F0%9F%A6%86"])
def test_an_unknown_term_finds_nothing_and_the_page_says_what_to_search_for(
    desk: Client, confirmed: UUID, term: str
) -> None:
    for path in (RUNS, PAYMENTS, EVENTS, MOVEMENTS, ACTIONS, USERS, FAILED_LOGINS):
        page = shown(desk, f"{path}?q={term}")

        assert "No row matches" in page, path
        assert "You can search for" in page, path


def test_lists_are_filtered(desk: Client, confirmed: UUID, waiting: UUID) -> None:
    wanted = {
        f"{RUNS}?status=running": 1,
        f"{RUNS}?status=completed": 1,
        f"{RUNS}?needs_attention=yes": 1,
        f"{RUNS}?is_paused=yes": 0,
        f"{RUNS}?step=reserve_stock": 1,
        f"{RUNS}?saga=cancellation": 0,
        f"{PAYMENTS}?status=captured": 1,
        f"{PAYMENTS}?status=voided": 0,
        f"{EVENTS}?name=order.placed": 2,
        f"{RESERVATIONS}?status=confirmed": 1,
        f"{RESERVATIONS}?status=released": 0,
        f"{MOVEMENTS}?kind=receipt": 2,
        f"{MOVEMENTS}?kind=reserve": 1,
        f"{STOCK}?sold_out=yes": 0,
        f"{STOCK}?sold_out=no&warehouse=main": 2,
        f"{PRODUCTS}?withdrawn=yes": 0,
        f"{USERS}?kind=superuser": 1,
        f"{USERS}?kind=customer": 1,
        f"{PAYMENTS}?status=made-up": 0,
    }

    counted = {address: len(found(desk, address)) for address in wanted}

    assert counted == wanted


def test_a_filter_without_an_index_searches_only_the_newest_rows(
    desk: Client, confirmed: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "NEWEST_ROWS", 1)
    newest = StockMovement.objects.latest("pk").kind

    kept = [movement.kind for movement in found(desk, f"{MOVEMENTS}?kind={newest}")]

    assert newest == "reserve"
    assert kept == ["reserve"]
    assert found(desk, f"{MOVEMENTS}?kind=receipt") == []


@pytest.mark.parametrize(
    "query",
    [
        "status__startswith=c",
        "amount_minor__gt=5",
        "params__payment_method=pm_card_visa",
        "refunds__status=succeeded",
    ],
)
def test_a_lookup_that_is_not_a_filter_is_refused(
    desk: Client, confirmed: UUID, query: str
) -> None:
    assert desk.get(f"{PAYMENTS}?{query}").status_code == 400


def test_an_order_in_the_address_is_ignored(desk: Client, confirmed: UUID, waiting: UUID) -> None:
    before = found(desk, EVENTS)

    with CaptureQueriesContext(connection) as statements:
        after = found(desk, f"{EVENTS}?o=2")

    assert after == before
    assert not any('ORDER BY "events_outboxevent"."name"' in query["sql"] for query in statements)


def lists() -> Iterator[tuple[str, type[Model], PagedAdmin[Any]]]:
    """Yield path, model and admin of every list of the desk."""
    for model, model_admin in admin.site._registry.items():
        assert isinstance(model_admin, PagedAdmin), (
            f"{model.__name__} counts and sorts like Django's lists"
        )
        yield f"/admin/{model._meta.app_label}/{model._meta.model_name}/", model, model_admin


def test_every_list_has_one_title_and_an_empty_list_explains_itself(desk: Client) -> None:
    unclear = {}
    for path, model, model_admin in lists():
        page = shown(desk, path)
        name = capfirst(model_admin.list_title or str(model._meta.verbose_name_plural))
        titled = f"<title>{name}" in page.replace("\n", "").replace("  ", "") or f"{name} |" in page
        breadcrumb = f'class="breadcrumb" href="{path}">{name[0]}' in page
        is_empty = not desk.get(path).context["cl"].result_list
        explained = not is_empty or (model_admin.empty_text and "Nothing here yet" in page)
        if not (titled and breadcrumb and explained):
            unclear[path] = (titled, breadcrumb, explained)

    assert unclear == {}


TERMS: Mapping[str, tuple[str, ...]] = {
    ORDERS: ("order", "customer12000", "pi_77"),
    RUNS: ("order",),
    PAYMENTS: ("order", "pi_77", "re_77"),
    EVENTS: ("order",),
    RESERVATIONS: ("order",),
    MOVEMENTS: ("order", "SKU-77"),
    APPROVALS: ("order", "run"),
    BREAKS: ("order",),
    ACTIONS: ("order", "customer77"),
    BULKS: ("run",),
    USERS: ("customer77",),
    TOKENS: ("key77", "customer77"),
    FAILED_LOGINS: ("guess77",),
    CHANGES: ("customer77",),
}
CHOICES: Mapping[str, tuple[str, ...]] = {
    RUNS: ("status=running", "status=compensated", "needs_attention=yes", "saga=cancellation"),
    PAYMENTS: ("status=voided",),
    EVENTS: ("name=order.placed",),
    RESERVATIONS: ("status=released",),
    MOVEMENTS: ("kind=adjust",),
    APPROVALS: ("state=open", "state=past-deadline", "state=approved", "state=expired"),
    ACTIONS: ("kind=cancel", "outcome=refused"),
    BULKS: ("kind=cancel",),
}


@pytest.mark.usefixtures("posted")
def test_the_cost_of_a_page_does_not_grow_with_the_table(
    desk: Client, grace: User, confirmed: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_bulk_action(
        ActionKind.NOTE, grace, [confirmed], reason="r", selection="one", token=new_id()
    )
    submit_action(desk, confirmed, "note")
    few = {path: len(statements(desk, path)) for path, *_ in lists()}
    write_many_rows()
    monkeypatch.setattr(filters, "NEWEST_ROWS", 100)

    costly: dict[str, object] = {}
    for path, *_ in lists():
        terms = [id_of(term) if term in ("order", "run") else term for term in TERMS.get(path, ())]
        queries = [
            "",
            *(f"?q={term}" for term in terms),
            *(f"?{choice}" for choice in CHOICES.get(path, ())),
        ]
        for query in queries:
            sent = statements(desk, path + query)
            counts = [statement for statement in sent if "COUNT(" in statement.upper()]
            rows = sum(rows_read(statement) for statement in sent)
            if counts or rows > 1500 or len(sent) > few[path] + 4:
                costly[path + query] = (len(sent), few[path], rows, counts)

    assert costly == {}


def statements(desk: Client, address: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert desk.get(address).status_code == 200, address
    return [query["sql"] for query in captured if query["sql"].startswith("SELECT")]


def rows_read(statement: str) -> int:
    """Return how many rows PostgreSQL reads from tables and indexes for a statement."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}")
        (answer,) = cursor.fetchone()
    plan = json.loads(answer) if isinstance(answer, str) else answer
    return _read(plan[0]["Plan"])


def _read(node: Mapping[str, Any]) -> int:
    inner = sum(_read(child) for child in node.get("Plans", ()))
    if "Scan" not in node["Node Type"]:
        return inner
    rows_per_loop = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return inner + int(rows_per_loop * node["Actual Loops"])
