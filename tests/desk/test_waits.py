"""Waiting orders at the desk: what they wait for, a later deadline, and signals."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from approvals.models import Approval
from approvals.services import OpenApprovals, count_open, decide
from approvals.states import DecidedVia, Decision
from clock.now import now
from desk import permissions, wait_actions
from desk.actions import ActionRequest
from desk.dashboard_queries import dashboard_data
from desk.models import ActionKind, OperatorAction
from orders.models import Order
from orders.services import cancel_order
from payments.models import Payment
from payments.providers.stripe.provider import StripeProvider
from sagas.models import SagaRun, SentSignal, StepAttempt
from sagas.queries.recent_waits import recent_waits
from sagas.sweep import sweep
from sandbox.stripe_process import SandboxServer
from tests.support.clock import advance
from tests.support.database import all_rows
from tests.support.desk_actions import ORDERS, audit_rows, messages_of, page_of, staff_client
from tests.support.in_memory_broker import MessageQueue
from tests.support.packing import packing_checkout
from tests.support.storefront_client import Storefront, cart
from tests.support.threads import run_at_once

A_DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


@pytest.fixture
def reviewed(
    storefront: Storefront,
    sandbox_stripe: SandboxServer,
    messages: MessageQueue,
    settings: Settings,
) -> UUID:
    """An order that waits for its review."""
    settings.REVIEW_ABOVE_MINOR = 500
    order_id = storefront.order(cart(("MUG", 1))).order_id
    messages.deliver_all()
    assert SagaRun.objects.get().waits_for == "await_review"
    return order_id


@pytest.fixture
def packing(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> Iterator[UUID]:
    """An order that waits for the signal ``packed``."""
    with packing_checkout():
        order_id = storefront.order(cart(("MUG", 1))).order_id
        messages.deliver_all()
        assert SagaRun.objects.get().waits_for == "await_packing"
        yield order_id


@pytest.fixture
def refunding(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> UUID:
    """An order that was cancelled while its money was taken, and waits for the refund."""
    sandbox_stripe.add_fault("payment_intents.capture", "reset_after", times=1)
    paid = cart(("MUG", 1), payment_method="pm_card_pendingRefund")
    order_id = storefront.order(paid).order_id
    messages.deliver_all()
    storefront.cancel(order_id)
    messages.deliver_all()
    assert SagaRun.objects.get().waits_for == "refund_pending"
    return order_id


@pytest.fixture
def declined(
    storefront: Storefront,
    sandbox_stripe: SandboxServer,
    messages: MessageQueue,
    settings: Settings,
) -> UUID:
    """An order whose customer may pay by another card."""
    settings.PAYMENT_GRACE = HOUR
    body = cart(("MUG", 1), payment_method="pm_card_chargeDeclined")
    order_id = storefront.order(body).order_id
    messages.deliver_all()
    assert SagaRun.objects.get().waits_for == "another_payment_needed"
    return order_id


def sentence(page: str) -> str:
    return unescape(page.split('aria-live="polite">')[1].split("<", maxsplit=1)[0])


def shape(text: str) -> str:
    """Return a text with T for each time."""
    return re.sub(TIME, "T", text)


def nodes(page: str) -> dict[str, str]:
    """Return the note of each step in the diagram, with what it waits for or calls."""
    name, note = (rf'<span class="step-node-{part}">([^<]*)</span>' for part in ("name", "note"))
    more = r'(?:<span class="step-node-(?:system|wait)">([^<]*)</span>)?'
    return {
        name: " | ".join(filter(None, (note, more)))
        for name, note, more in re.findall(name + note + more, page)
    }


def extended(
    desk: Client, order_id: UUID, amount: object, unit: str = "days", **changes: object
) -> Any:
    """Send the form, and return the page that follows."""
    waits_for = SagaRun.objects.get().waits_for
    form = {
        "reason": "She is on holiday.",
        "token": str(uuid4()),
        "payload-amount": amount,
        "payload-unit": unit,
        "payload-waits_for": waits_for,
        **changes,
    }
    return desk.post(f"{ORDERS}{order_id}/extend/", form, follow=True)


def signalled(desk: Client, order_id: UUID, name: str = "packed", **fields: object) -> Any:
    form = {"reason": "They called.", "token": str(uuid4()), **fields}
    return desk.post(f"{ORDERS}{order_id}/signal/{name}/", form, follow=True)


# -- what the page says


def test_the_page_says_what_a_reviewed_order_waits_for(desk: Client, reviewed: UUID) -> None:
    run, page = SagaRun.objects.get(), page_of(desk, reviewed)
    assert run.waiting_since is not None
    assert run.waiting_until is not None

    assert sentence(page) == (
        f"Waits for an approval of the order, since {run.waiting_since:%Y-%m-%d %H:%M:%S},"
        f" until {run.waiting_until:%Y-%m-%d %H:%M:%S}; then the order is cancelled."
    )
    assert (
        shape(nodes(page)["order review"]) == "waits until T | waits for an approval of the order"
    )


def test_the_page_links_to_the_open_approval(
    content_types: None, desk: Client, reviewed: UUID, settings: Settings
) -> None:
    approval = Approval.objects.get()
    address = f"/admin/approvals/approval/{approval.pk}/change/"

    assert address in page_of(desk, reviewed)
    assert approval.question in page_of(desk, reviewed)
    assert address not in page_of(staff_client("olga"), reviewed)  # may not see approvals

    decide(approval.pk, Decision.APPROVE, actor="olga", via=DecidedVia.DESK)
    assert address not in page_of(desk, reviewed)


def test_a_wait_step_that_has_not_begun_or_is_over_is_no_call(
    desk: Client, waiting: UUID, confirmed: UUID
) -> None:
    assert nodes(page_of(desk, waiting))["order review"] == (
        "to come | waits for an approval of the order"
    )
    page = page_of(desk, confirmed)
    assert nodes(page)["order review"] == "done | waits for an approval of the order"
    assert "order review: over" in page
    assert "order review: called" not in page


def test_the_page_says_when_a_pending_call_is_made_again(desk: Client, declined: UUID) -> None:
    page = page_of(desk, declined)

    assert shape(sentence(page)) == (
        "Waits for another payment by the customer, since T, until T; then the order is cancelled."
        " The call is made again at T."
    )
    assert "waits until" in nodes(page)["payment authorization"]


def test_a_paused_order_still_says_what_it_waits_for(desk: Client, reviewed: UUID) -> None:
    desk.post(f"{ORDERS}{reviewed}/act/pause/", {"reason": "Wait.", "token": str(uuid4())})

    text = shape(sentence(page_of(desk, reviewed)))
    assert text.startswith("No step starts until staff resume the order.")
    assert "Waits for an approval of the order, since T, until T;" in text


def test_a_passed_deadline_is_named(desk: Client, reviewed: UUID) -> None:
    advance(A_DAY)

    assert sentence(page_of(desk, reviewed)).endswith(
        "then the order is cancelled. The deadline has passed."
    )


def test_a_wait_that_a_cancellation_ends_reads_as_no_longer_needed(
    desk: Client, reviewed: UUID, messages: MessageQueue
) -> None:
    cancel_order(reviewed, reason="cancelled_by_customer", actor="alice")
    messages.deliver_all()

    page = page_of(desk, reviewed)
    assert (
        StepAttempt.objects.get(step="await_review", direction="forward").outcome == "interrupted"
    )
    assert "order review: no longer needed: the run compensates" in page
    assert "order review: waited for an approval of the order" in page


def test_a_compensation_that_waits_says_so(desk: Client, refunding: UUID) -> None:
    text = shape(sentence(page_of(desk, refunding)))

    assert text == (
        "Waits for the refund to arrive, which takes up to ten working days, since T, until T; then the"
        " shop looks into it. The call is made again at T. Pending: payment refund, authorization void,"
        " and the order is then cancelled."
    )


# -- a later deadline


def test_extending_moves_the_deadline_of_the_run_and_of_its_approval(
    desk: Client, reviewed: UUID
) -> None:
    earliest = now() + 3 * A_DAY

    page = extended(desk, reviewed, 3)

    run, approval = SagaRun.objects.get(), Approval.objects.get()
    assert run.waiting_until is not None
    assert earliest <= run.waiting_until <= now() + 3 * A_DAY
    assert approval.deadline == run.waiting_until
    assert messages_of(page) == [
        f"Extend the deadline: The order waits until {run.waiting_until:%Y-%m-%d %H:%M:%S} UTC."
    ]
    row = OperatorAction.objects.get()
    assert (row.actor, row.kind, row.outcome, row.reason) == (
        "grace",
        "extend",
        "done",
        "She is on holiday.",
    )
    assert shape(row.before) == "placed, at await_review, waiting until T"
    assert (
        row.after == f"placed, at await_review, waiting until {run.waiting_until:%Y-%m-%d %H:%M:%S}"
    )
    assert "extend the deadline: done" in page_of(desk, reviewed)


def test_a_wait_without_an_approval_is_extended(
    desk: Client, declined: UUID, messages: MessageQueue
) -> None:
    extended(desk, declined, 48, "hours")

    run = SagaRun.objects.get()
    assert run.waiting_until is not None
    assert run.waiting_until > now() + timedelta(hours=47)
    advance(A_DAY)
    sweep()
    messages.deliver_all()
    assert Order.objects.get().status == "placed"


def authorized_until() -> datetime:
    authorized_at = Payment.objects.get().authorized_at
    assert authorized_at is not None
    return authorized_at + 7 * A_DAY


def test_the_form_says_until_when_the_payment_is_authorized(desk: Client, reviewed: UUID) -> None:
    form = desk.get(f"{ORDERS}{reviewed}/extend/").content.decode()

    assert (
        f"The payment is authorized until {authorized_until():%Y-%m-%d %H:%M} UTC."
        " Most banks release the money then" in form
    )
    assert "Wait longer than the payment is authorized" in form


def test_a_deadline_past_the_authorization_needs_a_tick(desk: Client, reviewed: UUID) -> None:
    until = SagaRun.objects.get().waiting_until

    page = extended(desk, reviewed, 8)

    assert page.status_code == 400
    assert (
        "How long from now: The payment is authorized until"
        f" {authorized_until():%Y-%m-%d %H:%M} UTC. Choose a shorter time, or tick the box below."
    ) in page.content.decode()
    assert SagaRun.objects.get().waiting_until == until
    assert audit_rows() == []

    extended(desk, reviewed, 8, **{"payload-beyond": "on"})

    moved = SagaRun.objects.get().waiting_until
    assert moved is not None
    assert moved > authorized_until()
    assert audit_rows() == [("grace", "extend", "done")]


def test_a_deadline_before_the_end_of_the_authorization_needs_no_tick(
    desk: Client, reviewed: UUID
) -> None:
    extended(desk, reviewed, 6)

    assert audit_rows() == [("grace", "extend", "done")]


def test_without_an_authorization_there_is_no_warning(desk: Client, declined: UUID) -> None:
    assert "authorized" not in desk.get(f"{ORDERS}{declined}/extend/").content.decode()

    extended(desk, declined, 30)

    assert audit_rows() == [("grace", "extend", "done")]


def test_a_provider_that_does_not_say_how_long_it_authorizes_gets_no_warning(
    desk: Client, reviewed: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StripeProvider, "authorization_time", None)

    assert "authorized until" not in desk.get(f"{ORDERS}{reviewed}/extend/").content.decode()
    extended(desk, reviewed, 30)

    assert audit_rows() == [("grace", "extend", "done")]


def test_a_missing_reason_is_named(desk: Client, reviewed: UUID) -> None:
    page = extended(desk, reviewed, 3, reason=" ")

    assert page.status_code == 400
    assert "Reason: This field is required." in page.content.decode()
    assert audit_rows() == []


def test_an_approval_of_a_renamed_wait_keeps_both_deadlines(desk: Client, reviewed: UUID) -> None:
    until = SagaRun.objects.get().waiting_until
    Approval.objects.update(wait="await_approval")

    page = extended(desk, reviewed, 3)

    [message] = messages_of(page)
    assert message == (
        "Extend the deadline was refused: An open approval of the order names another wait (saga"
        " checkout version 1 has no wait await_approval). Decide it instead."
    )
    assert {SagaRun.objects.get().waiting_until, Approval.objects.get().deadline} == {until}
    assert audit_rows() == [("grace", "extend", "refused")]


def test_an_approval_of_another_wait_of_the_order_keeps_its_deadline(
    desk: Client, reviewed: UUID
) -> None:
    deadline = Approval.objects.get().deadline
    Approval.objects.update(wait="authorize_payment")

    extended(desk, reviewed, 3)

    assert audit_rows() == [("grace", "extend", "done")]
    assert Approval.objects.get().deadline == deadline


def test_a_deadline_is_never_moved_to_an_earlier_time(desk: Client, reviewed: UUID) -> None:
    until = SagaRun.objects.get().waiting_until

    page = extended(desk, reviewed, 1, "hours")

    assert SagaRun.objects.get().waiting_until == until
    assert "The deadline is later already" in messages_of(page)[0]
    assert audit_rows() == [("grace", "extend", "refused")]


def test_a_form_about_an_earlier_wait_is_refused(desk: Client, reviewed: UUID) -> None:
    until = SagaRun.objects.get().waiting_until

    page = extended(desk, reviewed, 3, **{"payload-waits_for": "another_payment_needed"})

    assert SagaRun.objects.get().waiting_until == until
    assert messages_of(page) == [
        "Extend the deadline was refused: The order does not wait for this any more."
    ]


@pytest.mark.parametrize(
    ("amount", "unit"), [(0, "days"), ("", "days"), (366, "days"), (8761, "hours"), (1, "weeks")]
)
def test_a_time_that_is_no_time_changes_nothing(
    desk: Client, reviewed: UUID, amount: object, unit: str
) -> None:
    page_of(desk, reviewed)  # sessions and content types are written
    before = all_rows()

    assert extended(desk, reviewed, amount, unit).status_code == 400
    assert all_rows() == before


def test_of_concurrent_submissions_of_one_form_one_counts(desk: Client, reviewed: UUID) -> None:
    token = str(uuid4())

    run_at_once(*[lambda: extended(desk, reviewed, 3, token=token).status_code] * 4)

    assert audit_rows() == [("grace", "extend", "done")]


def test_an_order_that_waits_for_nothing_has_no_deadline(desk: Client, confirmed: UUID) -> None:
    assert "/extend/" not in page_of(desk, confirmed)
    page = desk.get(f"{ORDERS}{confirmed}/extend/")
    assert "The order does not wait for anything." in page.content.decode()


def test_extending_and_signalling_need_their_permissions(
    content_types: None, settings: Settings, packing: UUID
) -> None:
    settings.DESK_REQUIRES_MFA = False
    viewer = staff_client("viewer")
    extender = staff_client("extender", [permissions.EXTEND])
    signaller = staff_client("signaller", [permissions.SIGNAL])

    for name, client, extend, signal in (
        ("viewer", viewer, False, False),
        ("extender", extender, True, False),
        ("signaller", signaller, False, True),
    ):
        page = page_of(client, packing)
        assert ("/extend/" in page, "/signal/packed/" in page) == (extend, signal), name
        assert extended(client, packing, 3).status_code == (200 if extend else 403), name
        answer = signalled(client, packing, "hurry")
        assert answer.status_code == (200 if signal else 403), name
    assert audit_rows() == [("extender", "extend", "done"), ("signaller", "signal", "done")]


def test_a_permission_that_is_withdrawn_meanwhile_is_refused_with_an_audit_row(
    content_types: None, packing: UUID
) -> None:
    olga = User.objects.create(username="olga")
    until = SagaRun.objects.get().waiting_until

    extending = wait_actions.extend(
        ActionRequest(ActionKind.EXTEND, packing, olga, "Late.", uuid4()),
        "await_packing",
        3 * A_DAY,
    )
    sending = wait_actions.send_signal(
        ActionRequest(ActionKind.SIGNAL, packing, olga, "Packed.", uuid4()), "packed", {"weight": 1}
    )

    assert (extending.outcome, extending.message) == (
        "refused",
        "olga may not extend the deadline.",
    )
    assert (sending.outcome, sending.message) == ("refused", "olga may not send a signal.")
    assert SagaRun.objects.get().waiting_until == until
    assert not SentSignal.objects.exists()


# -- signals


def test_a_signal_is_sent_with_the_fields_of_its_form(
    desk: Client, packing: UUID, messages: MessageQueue
) -> None:
    shown = desk.get(f"{ORDERS}{packing}/signal/packed/").content.decode()
    assert 'name="payload-weight"' in shown
    assert "The parcel is packed, and the order goes on." in shown

    page = signalled(
        desk, packing, **{"payload-weight": "3", "payload-note": "", "payload-is_fragile": "on"}
    )

    sent = SentSignal.objects.get()
    assert (sent.name, sent.actor, sent.payload) == (
        "packed",
        "grace",
        {"weight": 3, "is_fragile": True},
    )
    row = OperatorAction.objects.get()
    assert (sent.key, row.kind, row.outcome) == (str(row.token), "signal", "done")
    assert messages_of(page) == [
        'Send packed: The signal packed is recorded: {"weight": 3, "is_fragile": true}.'
    ]
    messages.deliver_all()
    assert Order.objects.get().status == "confirmed"


def test_a_form_that_is_sent_twice_sends_one_signal(desk: Client, packing: UUID) -> None:
    token = str(uuid4())
    for _ in range(2):
        signalled(desk, packing, "hurry", token=token)

    assert SentSignal.objects.count() == 1
    assert audit_rows() == [("grace", "signal", "done")]


def test_a_wrong_field_is_named_and_nothing_is_sent(desk: Client, packing: UUID) -> None:
    page = signalled(desk, packing, **{"payload-weight": "99"})

    assert page.status_code == 400
    assert "Ensure this value is less than or equal to 30." in page.content.decode()
    assert not SentSignal.objects.exists()
    assert audit_rows() == []


def test_a_signal_that_is_not_allowed_any_more_is_refused_and_recorded(
    desk: Client, packing: UUID, messages: MessageQueue
) -> None:
    signalled(desk, packing, **{"payload-weight": "3"})
    messages.deliver_all()

    page = signalled(desk, packing, "hurry")

    [message] = messages_of(page)
    assert message == (
        "Send hurry was refused: The order does not take the signal hurry now."
        " It takes no signal now."
    )
    assert [row[2] for row in audit_rows()] == ["done", "refused"]
    assert "/signal/" not in page_of(desk, packing)


def test_an_undeclared_signal_has_no_page(desk: Client, packing: UUID) -> None:
    assert desk.get(f"{ORDERS}{packing}/signal/explode/").status_code == 404


# -- the list of runs


def listed_runs(desk: Client, query: str) -> list[UUID]:
    response = desk.get(f"/admin/sagas/sagarun/{query}")
    assert response.status_code == 200
    return [run.subject_id for run in response.context["cl"].result_list]


def test_the_list_of_runs_filters_by_what_they_wait_for(
    desk: Client, confirmed: UUID, reviewed_and_declined: tuple[UUID, UUID]
) -> None:
    reviewed, declined = reviewed_and_declined

    assert listed_runs(desk, "?waits_for=await_review") == [reviewed]
    assert listed_runs(desk, "?waits_for=another_payment_needed") == [declined]
    assert listed_runs(desk, "?waits_for=overdue") == []
    assert listed_runs(desk, "?waits_for=nonsense") == []
    advance(timedelta(hours=2))
    assert listed_runs(desk, "?waits_for=overdue") == [declined]

    page = desk.get("/admin/sagas/sagarun/?waits_for=await_review").content.decode()
    run = SagaRun.objects.get(waits_for="await_review")
    assert f"{run.waiting_until:%Y-%m-%d %H:%M:%S}" in page
    assert "an approval of the order" in page


def test_an_order_past_its_deadline_counts_as_such_everywhere_also_with_a_later_deadline(
    desk: Client, messages: MessageQueue, settings: Settings, request: pytest.FixtureRequest
) -> None:
    settings.REVIEW_DEFAULT = "escalate"
    order_id: UUID = request.getfixturevalue("reviewed")
    advance(A_DAY)
    sweep()
    messages.deliver_all()
    recent_waits.forget()

    until = SagaRun.objects.get().waiting_until
    assert until is not None
    assert until > now()
    assert listed_runs(desk, "?waits_for=overdue") == [order_id]
    [row] = dashboard_data().waits
    assert (row.code, row.runs, row.overdue) == ("await_review", 1, 1)
    assert count_open() == OpenApprovals(open=1, past_deadline=1)
    page = page_of(desk, order_id)
    assert (
        "Past its deadline, it still waits for an approval of the order."
        " Decide it, extend the deadline, or cancel the order." in page
    )
    assert "; then the shop is reminded. An earlier deadline has passed." in page

    extended(desk, order_id, 3)
    recent_waits.forget()

    assert listed_runs(desk, "?waits_for=overdue") == []
    assert [row.overdue for row in dashboard_data().waits] == [0]
    assert count_open() == OpenApprovals(open=1, past_deadline=0)
    assert "deadline has passed" not in page_of(desk, order_id)


@pytest.fixture
def reviewed_and_declined(
    confirmed: UUID, storefront: Storefront, messages: MessageQueue, settings: Settings
) -> tuple[UUID, UUID]:
    """An order that waits for its review, and one that waits for another payment."""
    settings.PAYMENT_GRACE = HOUR
    body = cart(("MUG", 1), payment_method="pm_card_chargeDeclined")
    declined = storefront.order(body).order_id
    settings.REVIEW_ABOVE_MINOR = 500
    reviewed = storefront.order(cart(("MUG", 1))).order_id
    messages.deliver_all()
    return reviewed, declined
