"""The start page: how the installation does, in a bounded number of statements."""

from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from desk import dashboard_queries
from desk.dashboard import figures
from desk.dashboard_queries import StepFailures, dashboard_data
from invariants.models import ReconciliationBreak
from monitoring.heartbeats import record
from orders.states import OrderStatus
from sagas.pause_reasons import PauseReason
from sagas.services import pause
from sandbox.stripe_process import SandboxServer
from tests.support.flagged_orders import flag
from tests.support.in_memory_broker import MessageQueue
from tests.support.shop import Shelf
from tests.support.staff_login import superuser
from tests.support.storefront_client import Storefront, cart

pytestmark = pytest.mark.django_db(transaction=True)

STATEMENTS = 17


@pytest.fixture
def desk(transactional_db: None) -> Client:
    client = Client()
    client.force_login(superuser())
    return client


@pytest.fixture
def storefront(customer: User, shelf: Shelf, messages: MessageQueue) -> Storefront:
    shelf.put("MUG", 9)
    shelf.put("TEE", 9)
    return Storefront(customer)


@pytest.fixture
def shop(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> dict[str, UUID]:
    """One order confirmed, one cancelled, and one that waits for a person."""
    confirmed = storefront.order(cart(("MUG", 1))).order_id
    declined = cart(("MUG", 1), payment_method="pm_card_visa_chargeDeclined")
    cancelled = storefront.order(declined).order_id
    messages.deliver_all()
    flagged = storefront.order(cart(("TEE", 1))).order_id
    flag(flagged, "8 attempts <b>")
    return {"confirmed": confirmed, "cancelled": cancelled, "flagged": flagged}


def test_it_shows_what_is_there(desk: Client, shop: dict[str, UUID]) -> None:
    found = dashboard_data()

    assert {each.status: (each.orders, each.is_exact) for each in found.status_counts} == {
        OrderStatus.PLACED: (1, True),
        OrderStatus.CONFIRMED: (1, True),
        OrderStatus.CANCELLING: (0, True),
        OrderStatus.CANCELLED: (1, True),
    }
    assert sum(times for _, times in found.confirmed) == 1
    assert len(found.confirmed) == 60
    assert found.step_failures == [StepFailures("authorize_payment", {"rejected": 1})]
    assert found.oldest is not None
    assert found.oldest.order_id == shop["flagged"]
    assert [each.order_id for each in found.flagged_orders] == [shop["flagged"]]
    assert (found.flagged, found.paused, found.open_breaks) == (1, 0, 0)
    assert [(each.system, each.answered_share) for each in found.systems] == [
        ("payment_provider", 1.0)
    ]


def test_the_page_and_its_newer_figures_say_the_same(desk: Client, shop: dict[str, UUID]) -> None:
    page = desk.get("/admin/").content.decode()
    newer = desk.get("/admin/figures/").content.decode()

    for told in (
        f"/admin/orders/order/{shop['flagged']}/change/",
        "8 attempts &lt;b&gt;",
        "authorize_payment",
        "no worker has reported",
        "Confirmed per minute",
    ):
        assert told in page
        assert told in newer
    assert 'data-refresh="/admin/figures/"' in page
    assert "<html" not in newer


def test_what_a_person_holds_is_not_said_to_be_in_doubt_for_sure(
    desk: Client, shop: dict[str, UUID]
) -> None:
    none = desk.get("/admin/figures/").content.decode()
    pause(shop["flagged"], PauseReason.STAFF, "Waiting for a call.", "grace")

    page = desk.get("/admin/figures/").content.decode()

    assert "is_paused=yes" not in none
    assert (
        "1 paused</a>: by staff, or because the money is in doubt. They start no further step until"
        " they are resumed."
    ) in page
    assert "paused by grace: Waiting for a call." in page


def test_a_silent_queue_is_told_from_one_that_is_served(desk: Client) -> None:
    record("checkout", "checkout@here", timezone.now())
    record("sweeps", "sweeps@here", timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE monitoring_workerheartbeat SET taken_at = now() - interval '2 min' WHERE queue = 'sweeps'"
        )

    page = desk.get("/admin/figures/").content.decode()

    assert "checkout@here" in page
    assert "for 2 min" in page


def test_open_breaks_are_counted(desk: Client) -> None:
    now = timezone.now()
    for resolution in ("", "counted by hand"):
        ReconciliationBreak.objects.create(
            code="S2",
            kind="stock",
            subject=f"TEE{resolution}",
            first_seen=now,
            last_seen=now,
            times_seen=1,
            resolved_at=now if resolution else None,
            resolution=resolution,
        )

    assert dashboard_data().open_breaks == 1


def test_many_orders_are_estimated(shop: dict[str, UUID], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard_queries, "COUNTED", 1)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE orders_order")

    found = {each.status: (each.orders, each.is_exact) for each in dashboard_data().status_counts}

    assert found[OrderStatus.PLACED] == (1, False)
    assert found[OrderStatus.CANCELLING] == (0, True)


def test_it_costs_so_many_statements_and_no_more(shop: dict[str, UUID]) -> None:
    with CaptureQueriesContext(
        connection,
    ) as asked:
        figures()

    assert len(asked) <= STATEMENTS


def test_newer_figures_do_not_keep_a_session_alive(desk: Client) -> None:
    desk.get("/admin/")
    session = desk.session
    session["desk.seen"] -= 29 * 60
    session.save()

    desk.get("/admin/figures/")

    assert desk.session["desk.seen"] == session["desk.seen"]
    desk.get("/admin/")
    assert desk.session["desk.seen"] > session["desk.seen"]
