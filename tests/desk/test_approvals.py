"""Approvals at the desk: the list, the page, the two decisions, and who may take them."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client

import approvals.services
from approvals.models import Approval
from approvals.services import expire
from approvals.states import STATUS_OF, DecidedVia, Decision
from desk.audit_timeline import TimelineEntry, audit_timeline
from desk.models import OperatorAction
from desk.order_detail import order_detail
from money.amounts import format_amount
from orders.models import Order
from tests.support.approval_helpers import QUESTION, REVIEW, answer_of, decide, open_approval
from tests.support.clock import advance, database_time
from tests.support.database import all_rows
from tests.support.desk_actions import (
    audit_rows,
    changed_tables,
    messages_of,
    page_of,
    staff_client,
    token_of,
)
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import Storefront, cart
from tests.support.threads import run_at_once

APPROVALS = "/admin/approvals/approval/"
SEE = "approvals.view_approval"
DECIDE = "desk.decide_approval"


@pytest.fixture
def order_id(storefront: Storefront, messages: MessageQueue) -> UUID:
    """A placed order whose run no worker advances."""
    found = storefront.order(cart(("MUG", 1))).order_id
    messages.drop_all()
    return found


@pytest.fixture
def approval(order_id: UUID) -> Approval:
    return open_approval(order_id)


def url(approval: Approval, decision: str) -> str:
    return f"{APPROVALS}{approval.pk}/decide/{decision}/"


def page(desk: Client, approval: Approval) -> str:
    """Return the page of an approval with all white space collapsed."""
    response = desk.get(f"{APPROVALS}{approval.pk}/change/")
    assert response.status_code == 200
    return re.sub(r"\s+", " ", response.content.decode())


def submit(
    desk: Client,
    approval: Approval,
    decision: str = "approve",
    reason: str = "Called them.",
    token: object = None,
) -> Any:
    form = {"reason": reason, "token": str(token or uuid4())}
    return desk.post(url(approval, decision), form, follow=True)


def listed(desk: Client, query: str = "") -> list[UUID]:
    response = desk.get(f"{APPROVALS}{query}")
    assert response.status_code == 200
    return [row.pk for row in response.context["cl"].result_list]


@pytest.mark.parametrize(
    ("decision", "button", "status"),
    [("approve", "Approve", "approved"), ("reject", "Reject", "rejected")],
)
def test_a_decision_is_recorded_with_its_comment_and_an_audit_row(
    desk: Client, approval: Approval, decision: str, button: str, status: str
) -> None:
    answer = submit(desk, approval, decision, "Called them.")

    assert messages_of(answer) == [f"{button}: The order review is {status}."]
    assert answer.redirect_chain == [(f"{APPROVALS}{approval.pk}/change/", 302)]
    assert answer_of(approval) == (status, "grace", "desk", "Called them.")
    row = OperatorAction.objects.get()
    assert (row.actor, row.kind, row.outcome, row.order_id, row.reason, row.message) == (
        "grace",
        decision,
        "done",
        approval.subject_id,
        "Called them.",
        f"The order review is {status}.",
    )
    assert row.before == row.after == "placed, at reserve_stock"
    assert f"{decision}: done" in page_of(desk, approval.subject_id)


def test_the_confirmation_page_shows_the_question_and_decides_nothing(
    desk: Client, approval: Approval
) -> None:
    before = all_rows()

    response = desk.get(url(approval, "reject"))

    content = re.sub(r"\s+", " ", response.content.decode())
    assert response.status_code == 200
    for text in (
        QUESTION,
        f"{approval.deadline:%Y-%m-%d %H:%M:%S} UTC; without a decision the order is cancelled",
        str(approval.subject_id),
        "placed, at reserve_stock",
        "A decision is final.",
        "Comment",
        "The customer never sees it.",
    ):
        assert text in content, text
    assert all_rows() == before


def test_a_form_acts_once(desk: Client, approval: Approval) -> None:
    token = token_of(desk, url(approval, "approve"))

    answers = [submit(desk, approval, "approve", token=token) for _ in range(3)]

    assert {tuple(messages_of(answer)) for answer in answers} == {
        ("Approve: The order review is approved.",)
    }
    assert audit_rows() == [("grace", "approve", "done")]


def test_the_token_of_another_form_is_refused(desk: Client, approval: Approval) -> None:
    token = uuid4()
    submit(desk, approval, "approve", token=token)
    other = open_approval(approval.subject_id, key="2")

    answer = submit(desk, other, "reject", token=token)

    assert answer.status_code == 409
    assert "This form was used for another action." in answer.content.decode()
    assert answer_of(other)[0] == "open"


@pytest.mark.parametrize("decision", Decision)
def test_a_decided_approval_is_refused_and_says_by_whom(
    desk: Client, approval: Approval, decision: str
) -> None:
    decide(approval, Decision.APPROVE, actor="web-shop")
    at = Approval.objects.get().decided_at
    text = f"It was approved by web-shop at {at:%Y-%m-%d %H:%M:%S} UTC. A decision is final."

    shown = desk.get(url(approval, decision))
    before = all_rows()
    answer = submit(desk, approval, decision)
    changed = changed_tables(before) - {"contenttypes.ContentType"}  # looked up for the next page

    assert text in shown.content.decode()
    assert b"<textarea" not in shown.content
    assert messages_of(answer) == [f"{Decision(decision).label} was refused: {text}"]
    assert audit_rows() == [("grace", decision, "refused")]
    assert changed == {"desk.OperatorAction"}


def test_an_expired_approval_is_refused(desk: Client, approval: Approval) -> None:
    expire([approval.subject_id], REVIEW)
    at = Approval.objects.get().decided_at

    answer = submit(desk, approval)

    assert messages_of(answer) == [
        f"Approve was refused: It has expired without a decision at {at:%Y-%m-%d %H:%M:%S} UTC."
    ]
    assert audit_rows() == [("grace", "approve", "refused")]


def test_concurrent_decisions_have_one_winner_and_an_audit_row_each(
    grace: User, desk: Client, approval: Approval
) -> None:
    def post(decision: str) -> int:
        client = Client()
        client.force_login(grace)
        form = {"reason": "Called them.", "token": str(uuid4())}
        return client.post(url(approval, decision), form).status_code

    results = run_at_once(*[lambda: post("approve")] * 3, *[lambda: post("reject")] * 3)

    assert results == [302] * 6
    assert sorted(outcome for _, _, outcome in audit_rows()) == ["done"] + ["refused"] * 5
    [done] = OperatorAction.objects.filter(outcome="done")
    assert answer_of(approval)[0] == {"approve": "approved", "reject": "rejected"}[done.kind]


def test_without_a_comment_nothing_is_decided(desk: Client, approval: Approval) -> None:
    before = all_rows()

    answer = submit(desk, approval, reason=" ")

    assert answer.status_code == 400
    assert "This field is required." in answer.content.decode()
    assert all_rows() == before


def test_a_locked_order_is_a_conflict(
    desk: Client, approval: Approval, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("canceling statement due to lock timeout")

    monkeypatch.setattr(approvals.services, "decide", fail)

    answer = submit(desk, approval)

    assert answer.status_code == 409
    assert "Nothing was changed; try again." in answer.content.decode()
    assert audit_rows() == []


def test_staff_without_the_permission_see_and_decide_nothing(
    desk: Client, approval: Approval
) -> None:
    viewer = staff_client("vera", [SEE])
    stranger = staff_client("stan")
    decider_without_view = staff_client("dora", [DECIDE])
    before = all_rows()

    assert 'id="decide-approve"' not in page(viewer, approval)
    for client in (viewer, stranger, decider_without_view):
        assert client.get(url(approval, "approve")).status_code == 403
        assert submit(client, approval).status_code == 403
    assert stranger.get(APPROVALS).status_code == 403
    assert changed_tables(before) == set()


def test_staff_with_the_permission_decide(desk: Client, approval: Approval) -> None:
    submit(staff_client("olga", [SEE, DECIDE]), approval)

    assert answer_of(approval)[:3] == ("approved", "olga", "desk")
    assert audit_rows() == [("olga", "approve", "done")]


def test_a_permission_that_is_withdrawn_meanwhile_is_refused_with_an_audit_row(
    desk: Client, approval: Approval, monkeypatch: pytest.MonkeyPatch
) -> None:
    olga = staff_client("olga", [SEE])
    monkeypatch.setattr("desk.approval_views.may_decide", lambda _: True)

    answer = submit(olga, approval)

    assert messages_of(answer) == ["Approve was refused: olga may not decide approvals."]
    assert answer_of(approval)[0] == "open"
    assert audit_rows() == [("olga", "approve", "refused")]


@pytest.mark.parametrize("decision", ["escalate", "cancel", "x"])
def test_an_unknown_decision_is_not_found(desk: Client, approval: Approval, decision: str) -> None:
    assert desk.get(url(approval, decision)).status_code == 404
    assert submit(desk, approval, decision).status_code == 404


def test_an_approval_of_an_unknown_order_is_shown_and_cannot_be_decided(desk: Client) -> None:
    approval = open_approval()

    assert QUESTION in page(desk, approval)
    assert desk.get(url(approval, "approve")).status_code == 404


def test_the_page_has_buttons_while_it_is_open(desk: Client, approval: Approval) -> None:
    shown = page(desk, approval)
    for text in (QUESTION, 'id="decide-approve"', 'id="decide-reject"', "order review"):
        assert text in shown, text

    decide(approval, comment="Fine with us.")

    shown = page(desk, approval)
    assert "Fine with us." in shown
    assert 'id="decide-' not in shown


def test_both_pages_show_what_is_decided_and_what_happens_without_a_decision(
    desk: Client, approval: Approval, order_id: UUID
) -> None:
    order = Order.objects.get(pk=order_id)
    shown = [
        format_amount(order.total_minor, order.currency),
        order.customer.get_username() if order.customer else "",
        *(f"{line.quantity} x {line.name} ({line.sku})" for line in order.lines.all()),
        "without a decision the order is cancelled",
    ]
    assert len(shown) >= 4
    for text in shown:
        assert text in page(desk, approval), text
        assert text in desk.get(url(approval, "approve")).content.decode(), text

    advance(timedelta(days=2))

    assert "was to be decided before, and the order still waits" in page(desk, approval)
    confirmation = desk.get(url(approval, "approve")).content.decode()
    assert f"Was to be decided before {approval.deadline:%Y-%m-%d %H:%M:%S} UTC" in confirmation


@pytest.mark.parametrize("via", [DecidedVia.API, DecidedVia.LINK, DecidedVia.DESK])
@pytest.mark.parametrize("decision", Decision)
def test_the_orders_page_says_who_decided_what_by_which_way_and_why(
    desk: Client, approval: Approval, order_id: UUID, via: DecidedVia, decision: Decision
) -> None:
    approvals.services.decide(
        approval.pk, decision, actor="Anna, link by grace", via=via, comment="We know them."
    )
    approval.refresh_from_db()
    assert approval.decided_at is not None

    [entry] = approval_entries(order_id)

    assert entry == TimelineEntry(
        approval.decided_at,
        "approval",
        f"order review: {STATUS_OF[decision]}",
        "We know them.",
        actor="Anna, link by grace",
        tone={"approve": "good", "reject": "bad"}[decision],
        data=[
            ("by way of", str(via)),
            ("its deadline", f"{approval.deadline:%Y-%m-%d %H:%M:%S}"),
        ],
    )
    shown = page_of(desk, order_id)
    for text in (entry.title, entry.detail, f"by {entry.actor}", f"<dd>{via}</dd>"):
        assert text in shown, text
    assert "Decide: " not in shown


def test_the_orders_page_says_that_an_approval_has_expired(
    desk: Client, approval: Approval, order_id: UUID
) -> None:
    assert approval_entries(order_id) == []
    expire([order_id], REVIEW, comment="no decision in time")

    [entry] = approval_entries(order_id)

    assert (entry.title, entry.detail, entry.actor, entry.tone) == (
        "order review: expired",
        "no decision in time",
        "",
        "warn",
    )
    assert entry.data[0] == ("by way of", "deadline")


def approval_entries(order_id: UUID) -> list[TimelineEntry]:
    entries = audit_timeline(order_detail(order_id))
    return [entry for entry in entries if entry.kind == "approval"]


def test_the_list_is_filtered_by_state_with_the_next_deadline_first(
    desk: Client, order_id: UUID
) -> None:
    now = database_time()
    soon, late, first = (
        open_approval(order_id, key=str(hours), deadline=now + timedelta(hours=hours))
        for hours in (1, 9, -1)
    )
    approved, rejected, expired = (open_approval() for _ in range(3))
    decide(approved)
    decide(rejected, Decision.REJECT)
    expire([expired.subject_id], REVIEW)

    assert listed(desk, "?state=open") == [first.pk, soon.pk, late.pk]
    assert listed(desk, "?state=past-deadline") == [first.pk]
    assert listed(desk, "?state=approved") == [approved.pk]
    assert listed(desk, "?state=rejected") == [rejected.pk]
    assert listed(desk, "?state=expired") == [expired.pk]
    assert listed(desk, "?state=perhaps") == []
    assert listed(desk) == [row.pk for row in (expired, rejected, approved, first, late, soon)]
    assert listed(desk, f"?q={order_id}") == [first.pk, late.pk, soon.pk]
    assert "past its deadline" in desk.get(f"{APPROVALS}?state=past-deadline").content.decode()


def test_the_menu_leads_to_the_open_approvals(desk: Client, approval: Approval) -> None:
    assert f'href="{APPROVALS}?state=open"' in desk.get("/admin/").content.decode()
    stranger = staff_client("stan").get("/admin/").content.decode()
    assert APPROVALS not in stranger


def test_approvals_are_not_editable(desk: Client, approval: Approval) -> None:
    before = all_rows()
    forged = {"status": "approved", "comment": "x", "_save": "Save"}

    answers = [
        desk.post(f"{APPROVALS}{approval.pk}/change/", forged).status_code,
        desk.post(f"{APPROVALS}add/", forged).status_code,
        desk.post(f"{APPROVALS}{approval.pk}/delete/", {"post": "yes"}).status_code,
    ]

    assert answers == [403, 403, 403]
    assert all_rows() == before
