"""Every page of an approval warns once the authorization of the order's payment has ended."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO
from typing import Final
from uuid import UUID

import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from approvals.links import new_link
from approvals.models import Approval
from approvals.states import Decision
from payments.models import Payment
from payments.providers.stripe.provider import StripeProvider
from sandbox.stripe_process import SandboxServer
from tests.support.approval_helpers import decide
from tests.support.clock import move_to
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import Storefront, cart

APPROVALS: Final = "/admin/approvals/approval/"
WARNING: Final = "authorization of the payment ended"


@pytest.fixture
def approval(
    storefront: Storefront,
    sandbox_stripe: SandboxServer,
    messages: MessageQueue,
    settings: Settings,
) -> Approval:
    """The open approval of an order whose payment is authorized."""
    settings.REVIEW_ABOVE_MINOR = 500
    storefront.order(cart(("MUG", 1)))
    messages.deliver_all()
    return Approval.objects.get()


def authorized_until() -> datetime:
    authorized_at = Payment.objects.get().authorized_at
    assert authorized_at is not None
    return authorized_at + timedelta(days=7)


def desk_page(desk: Client, approval_id: UUID) -> str:
    return desk.get(f"{APPROVALS}{approval_id}/change/").content.decode()


def approving_page(desk: Client, approval_id: UUID) -> str:
    return desk.get(f"{APPROVALS}{approval_id}/decide/approve/").content.decode()


def rejecting_page(desk: Client, approval_id: UUID) -> str:
    return desk.get(f"{APPROVALS}{approval_id}/decide/reject/").content.decode()


def link_page(_: Client, approval_id: UUID) -> str:
    approval = Approval.objects.get(pk=approval_id)
    # Links expire by the real time, which does not move.
    link = new_link(approval, holder="Anna", issuer="grace")
    return Client().get(link.path).content.decode()


def in_a_shell(_: Client, approval_id: UUID) -> str:
    printed = StringIO()
    call_command("approvals", "show", str(approval_id), stdout=printed)
    return printed.getvalue()


PLACES: Final = [desk_page, approving_page, rejecting_page, link_page, in_a_shell]


@pytest.mark.parametrize("place", PLACES)
def test_an_open_approval_warns_from_the_end_of_the_authorization(
    desk: Client, approval: Approval, place: Callable[[Client, UUID], str]
) -> None:
    until = authorized_until()
    before = place(desk, approval.pk)
    move_to(until - timedelta(minutes=5))
    shortly_before = place(desk, approval.pk)
    move_to(until)

    after = re.sub("&#x27;", "'", place(desk, approval.pk))

    assert WARNING not in before
    assert WARNING not in shortly_before
    assert (
        f"The bank's authorization of the payment ended on {until:%Y-%m-%d %H:%M} UTC: if approved,"
        " the payment will probably fail."
    ) in after


@pytest.mark.parametrize("place", PLACES)
def test_a_decided_approval_does_not_warn(
    desk: Client, approval: Approval, place: Callable[[Client, UUID], str]
) -> None:
    move_to(authorized_until())
    decide(approval, Decision.REJECT)

    assert WARNING not in place(desk, approval.pk)


@pytest.mark.parametrize("place", PLACES)
def test_without_a_known_end_there_is_no_warning(
    desk: Client,
    approval: Approval,
    monkeypatch: pytest.MonkeyPatch,
    place: Callable[[Client, UUID], str],
) -> None:
    move_to(authorized_until())
    monkeypatch.setattr(StripeProvider, "authorization_time", None)

    assert WARNING not in place(desk, approval.pk)
