"""The desk and the API's manual in a real browser, with real workers.

Every page violates no policy, is readable and fits the screen; an order is repaired.
With SCREENSHOTS=folder a picture of each page is stored, too (``make screenshots``).
"""

import os
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from playwright.sync_api import Page

from approvals.links import new_link
from desk.models import OperatorAction
from events.models import OutboxEvent
from invariants.models import ReconciliationBreak
from inventory.models import Product, Reservation, StockLevel, StockMovement
from monitoring.heartbeats import record
from orders.models import Order
from payments.models import Payment
from sagas.models import SagaRun
from sandbox.stripe_process import SandboxServer
from tests.support.approval_helpers import open_approval
from tests.support.browser_session import NARROW, WIDE, Visitor
from tests.support.flagged_orders import REASON, flag_once_tried
from tests.support.http_storefront import HttpStorefront

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop(alice: HttpStorefront, sandbox_stripe: SandboxServer) -> dict[str, UUID]:
    """Orders in each state, a reconciliation break, heartbeats: the desk on a working day."""
    confirmed = alice.wait_for_end(alice.place()["id"])
    cancelled = alice.wait_for_end(alice.place("pm_card_chargeDeclined")["id"])
    sandbox_stripe.add_fault("payment_intents.confirm", "error_before")
    flag_once_tried(UUID(alice.place()["id"]))
    now = timezone.now()
    for queue in ("checkout", "settlement", "compensation", "sweeps"):
        record(queue, f"{queue}@worker-7f9c", now)
    ReconciliationBreak.objects.create(
        code="S2",
        kind="stock",
        subject="MUG@main",
        detail="level 3, movements 2, reservations 2",
        first_seen=now,
        last_seen=now,
        times_seen=1,
    )
    every, _ = IntervalSchedule.objects.get_or_create(every=3, period="seconds")
    PeriodicTask.objects.create(name="sagas: sweep", task="sagas.sweep", interval=every)
    Group.objects.create(name="operator")
    return {"confirmed": UUID(confirmed["id"]), "cancelled": UUID(cancelled["id"])}


def addresses(shop: dict[str, UUID]) -> dict[str, str]:
    """Return the path of each kind of page by the name of its picture."""
    level, payment = StockLevel.objects.get(), Payment.objects.earliest("created_at")
    run = SagaRun.objects.get(subject_id=shop["confirmed"])
    approval = open_approval(shop["confirmed"])
    return {
        "dashboard": "/admin/",
        "orders": "/admin/orders/order/",
        "orders-flagged": "/admin/orders/order/?needs_attention=yes",
        "order-confirmed": f"/admin/orders/order/{shop['confirmed']}/change/",
        "order-cancelled": f"/admin/orders/order/{shop['cancelled']}/change/",
        "order-cancel": f"/admin/orders/order/{shop['confirmed']}/act/cancel/",
        "runs": "/admin/sagas/sagarun/",
        "run": f"/admin/sagas/sagarun/{run.pk}/change/",
        "approvals": "/admin/approvals/approval/?state=open",
        "approval": f"/admin/approvals/approval/{approval.pk}/change/",
        "approval-decide": f"/admin/approvals/approval/{approval.pk}/decide/reject/",
        "decision-link": new_link(approval, holder="Anna", issuer="grace").path,
        "breaks": "/admin/invariants/reconciliationbreak/?state=open",
        "break": f"/admin/invariants/reconciliationbreak/{ReconciliationBreak.objects.get().pk}/change/",
        "payments": "/admin/payments/payment/",
        "payment": f"/admin/payments/payment/{payment.pk}/change/",
        "events": "/admin/events/outboxevent/",
        "event": f"/admin/events/outboxevent/{OutboxEvent.objects.latest('pk').pk}/change/",
        "products": "/admin/inventory/product/",
        "product": f"/admin/inventory/product/{Product.objects.get().pk}/change/",
        "product-add": "/admin/inventory/product/add/",
        "stock": "/admin/inventory/stocklevel/",
        "stock-level": f"/admin/inventory/stocklevel/{level.pk}/change/",
        "stock-adjust": f"/admin/inventory/stocklevel/{level.pk}/adjust/",
        "movements": "/admin/inventory/stockmovement/",
        "movement": f"/admin/inventory/stockmovement/{StockMovement.objects.latest('pk').pk}/change/",
        "reservations": "/admin/inventory/reservation/",
        "reservation": f"/admin/inventory/reservation/{Reservation.objects.latest('pk').pk}/change/",
        "staff": "/admin/auth/user/",
        "staff-add": "/admin/auth/user/add/",
        "roles": "/admin/auth/group/",
        "role": f"/admin/auth/group/{Group.objects.get().pk}/change/",
        "tokens": "/admin/access/apitoken/",
        "schedule": "/admin/django_celery_beat/periodictask/",
        "schedule-entry": f"/admin/django_celery_beat/periodictask/{PeriodicTask.objects.get().pk}/change/",
        "log": "/admin/admin/logentry/",
        "password": "/admin/password_change/",
        "second-factor-again": "/admin/second-factor/enrol/",
    }


def photograph(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        path = Path(folder) / f"{name}.png"
        page.screenshot(path=path, full_page=True, animations="disabled")


def test_every_page_is_clean_readable_and_fits_the_screen(
    visitor: Visitor, shop: dict[str, UUID]
) -> None:
    visitor.log_in()
    faults: dict[str, object] = {}

    for name, path in addresses(shop).items():
        page = visitor.go(path)
        assert page.locator("h1, h2").count() > 0, path
        for dark in (False, True):
            for width in (WIDE, NARROW):
                visitor.set_appearance(dark=dark, width=width)
                look = f"{name}-{'dark' if dark else 'light'}-{width['width']}"
                if wide := visitor.overflowing():
                    faults[f"{look} too wide"] = wide
                if faint := visitor.too_faint():
                    faults[f"{look} faint"] = faint
                photograph(page, look)
        if unlabelled := visitor.unlabelled():
            faults[f"{name} unlabelled"] = unlabelled

    assert faults == {}
    assert visitor.reported_errors == []


def test_the_login_pages_are_clean_and_fit_the_screen(visitor: Visitor) -> None:
    page = visitor.go("/admin/login/")
    for width in (WIDE, NARROW):
        visitor.set_appearance(dark=False, width=width)
        assert visitor.overflowing() == []
        photograph(page, f"login-light-{width['width']}")
    visitor.enter_password()
    photograph(page, "second-factor-light-1440")

    assert visitor.unlabelled() == []


def test_the_dashboard_refreshes_by_itself(visitor: Visitor, shop: dict[str, UUID]) -> None:
    page = visitor.log_in()
    cards = page.locator(".desk-card", has_text="open breaks").locator(".desk-figure")
    assert cards.text_content() == "1"

    ReconciliationBreak.objects.update(resolved_at=timezone.now(), resolution="counted by hand")

    cards.filter(has_text="0").wait_for()


def test_the_manual_of_the_api_violates_no_policy(visitor: Visitor) -> None:
    page = visitor.go("/api/docs/")

    page.get_by_text("/api/v1/orders").first.wait_for()
    assert visitor.reported_errors == []


def test_the_manual_shows_every_operation_and_loads_nothing_from_other_hosts(
    visitor: Visitor,
) -> None:
    hosts: set[str] = set()
    visitor.page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))

    page = visitor.go("/api/docs/")
    page.locator("#operations-Orders-place_order").click()

    page.locator("option", has_text="Two mugs and a T-shirt").wait_for(state="attached")
    assert page.locator(".opblock").count() > 10
    assert hosts == {urlsplit(visitor.url).netloc}


@pytest.fixture
def flagged(alice: HttpStorefront, sandbox_stripe: SandboxServer) -> UUID:
    """An order that was flagged because Stripe refused the API key; its next retry is minutes away."""
    sandbox_stripe.add_fault("payment_intents.confirm", "refuse_key")
    order_id = UUID(alice.place()["id"])
    flag_once_tried(order_id)
    sandbox_stripe.clear_faults()
    return order_id


def test_staff_find_a_flagged_order_retry_it_and_see_it_confirmed(
    visitor: Visitor, flagged: UUID
) -> None:
    page = visitor.log_in()

    page.locator("#nav-sidebar-apps a", has_text="Needs attention").click()
    page.locator(f"a[href*='{flagged}']").first.click()
    page.get_by_text(REASON).first.wait_for()
    page.get_by_role("heading", name="Timeline").wait_for()
    page.locator("#act-retry").click()
    page.get_by_role("textbox").last.fill("The API key is valid again.")
    page.locator("form.reason-form button[type=submit]").click()

    page.locator(".order .state-confirmed").first.wait_for()
    assert Order.objects.get(pk=flagged).status == "confirmed"
    acted = OperatorAction.objects.get()
    assert (acted.actor, acted.kind, acted.outcome) == ("grace", "retry", "done")
    visitor.go("/admin/")
    page.get_by_text("No order needs attention.").wait_for()
