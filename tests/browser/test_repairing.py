"""In a real browser, with real workers: find a flagged order, read it, retry it, see it end."""

from uuid import UUID

import pytest

from desk.models import OperatorAction
from orders.models import Order
from sandbox.stripe_process import SandboxServer
from tests.support.browser_session import Visitor
from tests.support.flagged_orders import REASON, flag_once_tried
from tests.support.http_storefront import HttpStorefront

pytestmark = pytest.mark.django_db(transaction=True)


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
