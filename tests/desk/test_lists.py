"""The desk's lists: what each tells and where it leads, and what a page of it costs."""

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
from tests.support.desk_actions import ORDERS, run_of, submit_action
from tests.support.in_memory_broker import MessageQueue
from tests.support.large_tables import id_of, write_many_rows

RUNS = "/admin/sagas/sagarun/"
PAYMENTS = "/admin/payments/payment/"
FACTS = "/admin/events/outboxevent/"
MOVEMENTS = "/admin/inventory/stockmovement/"
RESERVATIONS = "/admin/inventory/reservation/"
STOCK = "/admin/inventory/stocklevel/"
PRODUCTS = "/admin/inventory/product/"
BREAKS = "/admin/invariants/reconciliationbreak/"
ACTS = "/admin/desk/operatoraction/"
BULKS = "/admin/desk/bulkaction/"
PEOPLE = "/admin/auth/user/"
TOKENS = "/admin/access/apitoken/"
WRONG_GUESSES = "/admin/axes/accessattempt/"
CHANGES = "/admin/admin/logentry/"


def found(desk: Client, address: str) -> list[Any]:
    """The rows of a list's page."""
    answer = desk.get(address)
    assert answer.status_code == 200, address
    return list(answer.context["cl"].result_list)


def shown(desk: Client, address: str) -> str:
    answer = desk.get(address)
    assert answer.status_code == 200, address
    return answer.content.decode()


def test_a_run_that_has_ended_waits_for_nobody(desk: Client, waiting: UUID) -> None:
    pause(waiting, PauseReason.MONEY_IN_DOUBT, "0 held of 2500", "M6")
    filters_of_marks = [f"{RUNS}?{each}=yes" for each in ("is_paused", "needs_attention")]
    before = [[each.subject_id for each in found(desk, one)] for one in filters_of_marks]

    SagaRun.objects.filter(subject_id=waiting).update(
        status=RunStatus.COMPENSATED, step="", wake_at=None, ended_at=timezone.now()
    )

    assert before == [[waiting], [waiting]]
    assert [found(desk, one) for one in filters_of_marks] == [[], []]


def link_to(order_id: object) -> str:
    return f'href="/admin/orders/order/{order_id}/change/"'


def badge(value: str, word: str = "") -> str:
    return f'<span class="state state-{value}">{word or value}</span>'


def write_break(subject: str) -> None:
    now = timezone.now()
    ReconciliationBreak.objects.create(
        code="T4", kind="state", subject=subject, detail="d", first_seen=now, last_seen=now
    )


def test_each_list_leads_from_its_rows_to_their_order(
    desk: Client, confirmed: UUID, posted: list[str]
) -> None:
    submit_action(desk, confirmed, "note")
    write_break(str(confirmed))

    astray = [
        each
        for each in (RUNS, PAYMENTS, FACTS, MOVEMENTS, RESERVATIONS, BREAKS, ACTS)
        if link_to(confirmed) not in shown(desk, each)
    ]

    assert astray == []


def test_what_is_of_a_product_leads_to_it(desk: Client, confirmed: UUID) -> None:
    mug = f'href="/admin/inventory/product/{Product.objects.get(sku="MUG").pk}/change/"'

    assert mug in shown(desk, MOVEMENTS)
    assert mug in shown(desk, RESERVATIONS)
    assert mug in shown(desk, f"{STOCK}{found(desk, f'{STOCK}?q=MUG')[0].pk}/change/")


def test_a_run_tells_where_it_stands(desk: Client, confirmed: UUID, waiting: UUID) -> None:
    page = shown(desk, RUNS)

    assert badge("completed") in page
    assert badge("running") in page
    assert "reserve_stock" in page
    assert '<span class="flag">look</span>' in page
    assert "8 attempts" in page


def test_a_payment_tells_its_amount_as_money_and_what_stripe_calls_it(
    desk: Client, confirmed: UUID
) -> None:
    payment = Payment.objects.get(order_id=confirmed)

    page = shown(desk, PAYMENTS)

    assert badge("captured") in page
    assert "10.00 EUR" in page
    assert f"<code>{payment.provider_payment_id}</code>" in page
    assert f"{payment.created_at:%Y-%m-%d %H:%M:%S}" in page


def test_a_movement_tells_what_happened_and_who_did_it(desk: Client, confirmed: UUID) -> None:
    page = shown(desk, MOVEMENTS)

    assert badge("receipt", "received") in page
    assert badge("reserve", "reserved") in page
    assert "+5" in page
    assert "the order&#x27;s run" in page


def test_a_product_tells_its_price_and_what_is_left(desk: Client, confirmed: UUID) -> None:
    (mug,) = found(desk, f"{PRODUCTS}?q=MUG")
    page = shown(desk, f"{PRODUCTS}?q=mug")

    assert mug.available == 4
    assert "10.00 EUR" in page
    assert badge("for-sale", "for sale") in page
    assert "TEE" not in page


def searches(confirmed: UUID) -> dict[str, dict[str, int]]:
    """For each list what finds something in it, and how many rows."""
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
        FACTS: dict.fromkeys(ids, 8),
        BREAKS: {**dict.fromkeys(ids[:3], 1), "MUG@main": 1, "MUG": 0},
        RESERVATIONS: {**dict.fromkeys(ids, 1), "MUG": 1, "mug": 1, "MU": 0, "TEE": 0},
        MOVEMENTS: {**dict.fromkeys(ids, 2), "MUG": 3, "TEE": 1, "CUP": 0},
        STOCK: {"MUG": 1, "mu": 1, "Mug": 1, "CUP": 0},
        ACTS: {**dict.fromkeys(ids, 1), "grace": 1, "mallory": 0},
        PEOPLE: {"grace": 1, "gra": 1, "race": 0},
        TOKENS: {"alice": 1, "mallory": 0},
    }


def test_rows_are_found_by_what_people_have_in_their_hands(
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
def test_a_term_that_names_nothing_finds_nothing_and_the_page_says_what_would(
    desk: Client, confirmed: UUID, term: str
) -> None:
    for path in (RUNS, PAYMENTS, FACTS, MOVEMENTS, ACTS, PEOPLE, WRONG_GUESSES):
        page = shown(desk, f"{path}?q={term}")

        assert "Nothing here is called" in page, path
        assert "What can be searched for" in page, path


def test_lists_are_narrowed(desk: Client, confirmed: UUID, waiting: UUID) -> None:
    wanted = {
        f"{RUNS}?status=running": 1,
        f"{RUNS}?status=completed": 1,
        f"{RUNS}?needs_attention=yes": 1,
        f"{RUNS}?is_paused=yes": 0,
        f"{RUNS}?step=reserve_stock": 1,
        f"{RUNS}?saga=cancellation": 0,
        f"{PAYMENTS}?status=captured": 1,
        f"{PAYMENTS}?status=voided": 0,
        f"{FACTS}?name=order.placed": 2,
        f"{RESERVATIONS}?status=confirmed": 1,
        f"{RESERVATIONS}?status=released": 0,
        f"{MOVEMENTS}?kind=receipt": 2,
        f"{MOVEMENTS}?kind=reserve": 1,
        f"{STOCK}?sold_out=yes": 0,
        f"{STOCK}?sold_out=no&warehouse=main": 2,
        f"{PRODUCTS}?withdrawn=yes": 0,
        f"{PEOPLE}?who=superuser": 1,
        f"{PEOPLE}?who=customer": 1,
        f"{PAYMENTS}?status=made-up": 0,
    }

    counted = {address: len(found(desk, address)) for address in wanted}

    assert counted == wanted


def test_a_filter_without_an_index_looks_through_the_newest_rows_alone(
    desk: Client, confirmed: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "NEWEST_ROWS", 1)
    newest = StockMovement.objects.latest("pk").kind

    kept = [each.kind for each in found(desk, f"{MOVEMENTS}?kind={newest}")]

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
def test_a_lookup_that_is_no_filter_is_refused(desk: Client, confirmed: UUID, query: str) -> None:
    assert desk.get(f"{PAYMENTS}?{query}").status_code == 400


def test_no_list_is_sorted_otherwise(desk: Client, confirmed: UUID, waiting: UUID) -> None:
    before = found(desk, FACTS)

    with CaptureQueriesContext(connection) as statements:
        after = found(desk, f"{FACTS}?o=2")

    assert after == before
    assert not any('ORDER BY "events_outboxevent"."name"' in each["sql"] for each in statements)


def lists() -> Iterator[tuple[str, type[Model], PagedAdmin[Any]]]:
    """Every list of the desk."""
    for model, each in admin.site._registry.items():
        assert isinstance(each, PagedAdmin), f"{model.__name__} counts and sorts as Django does"
        yield f"/admin/{model._meta.app_label}/{model._meta.model_name}/", model, each


def test_every_list_has_one_name_and_an_empty_one_says_what_would_be_there(desk: Client) -> None:
    unclear = {}
    for path, model, each in lists():
        page = shown(desk, path)
        name = capfirst(each.list_title or str(model._meta.verbose_name_plural))
        titled = f"<title>{name}" in page.replace("\n", "").replace("  ", "") or f"{name} |" in page
        crumb = f'class="crumb" href="{path}">{name[0]}' in page
        is_empty = not desk.get(path).context["cl"].result_list
        explained = not is_empty or (each.empty_text and "Nothing here yet" in page)
        if not (titled and crumb and explained):
            unclear[path] = (titled, crumb, explained)

    assert unclear == {}


TERMS: Mapping[str, tuple[str, ...]] = {
    ORDERS: ("order", "customer12000", "pi_77"),
    RUNS: ("order",),
    PAYMENTS: ("order", "pi_77", "re_77"),
    FACTS: ("order",),
    RESERVATIONS: ("order",),
    MOVEMENTS: ("order", "SKU-77"),
    BREAKS: ("order",),
    ACTS: ("order", "customer77"),
    BULKS: ("run",),
    PEOPLE: ("customer77",),
    TOKENS: ("key77", "customer77"),
    WRONG_GUESSES: ("guess77",),
    CHANGES: ("customer77",),
}
CHOICES: Mapping[str, tuple[str, ...]] = {
    RUNS: ("status=running", "status=compensated", "needs_attention=yes", "saga=cancellation"),
    PAYMENTS: ("status=voided",),
    FACTS: ("name=order.placed",),
    RESERVATIONS: ("status=released",),
    MOVEMENTS: ("kind=adjust",),
    ACTS: ("kind=cancel", "outcome=refused"),
    BULKS: ("kind=cancel",),
}


@pytest.mark.usefixtures("posted")
def test_a_page_costs_few_statements_and_few_rows_however_many_there_are(
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
        terms = [id_of(each) if each in ("order", "run") else each for each in TERMS.get(path, ())]
        queries = [
            "",
            *(f"?q={each}" for each in terms),
            *(f"?{each}" for each in CHOICES.get(path, ())),
        ]
        for query in queries:
            sent = statements(desk, path + query)
            counts = [each for each in sent if "COUNT(" in each.upper()]
            rows = sum(rows_read(each) for each in sent)
            if counts or rows > 1500 or len(sent) > few[path] + 4:
                costly[path + query] = (len(sent), few[path], rows, counts)

    assert costly == {}


def statements(desk: Client, address: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert desk.get(address).status_code == 200, address
    return [each["sql"] for each in captured if each["sql"].startswith("SELECT")]


def rows_read(statement: str) -> int:
    """How many rows PostgreSQL takes out of tables and indexes to answer."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}")
        (told,) = cursor.fetchone()
    plan = json.loads(told) if isinstance(told, str) else told
    return _read(plan[0]["Plan"])


def _read(node: Mapping[str, Any]) -> int:
    inner = sum(_read(each) for each in node.get("Plans", ()))
    if "Scan" not in node["Node Type"]:
        return inner
    each_time = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return inner + int(each_time * node["Actual Loops"])
