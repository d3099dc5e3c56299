"""Decision links: the holder of a link decides one approval on a page, without a login."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.core.signing import Signer
from django.http import HttpResponseBase
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from access import rate_limits
from access.links import new_link as new_guest_link
from approvals import links
from approvals.links import DecisionLink, new_link, read_link
from approvals.models import Approval
from approvals.services import expire, revoke_links
from approvals.states import Decision, DefaultAction
from money.amounts import format_amount
from monitoring.redaction import redact
from orders.models import Order
from sagas.identifiers import new_id
from tests.support.approval_helpers import QUESTION, REVIEW, answer_of, decide, open_approval
from tests.support.clock import advance
from tests.support.database import all_rows
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import ApiResponse, Storefront, cart

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def approval() -> Approval:
    return open_approval()


@pytest.fixture
def page() -> Client:
    """A browser without cookies, whose forms have no CSRF token."""
    return Client(enforce_csrf_checks=True, headers=BROWSER)


def link_to(approval: Approval, holder: str = "Anna", hours: int = 1) -> str:
    return new_link(approval, holder=holder, issuer="grace", hours=hours).path


def post(page: Client, path: str, decision: str = "approve", comment: str = "") -> Any:
    return page.post(path, {"decision": decision, "comment": comment})


def text_of(response: HttpResponseBase) -> str:
    """Return the visible text of a page."""
    content: str = response.content.decode()  # type: ignore[attr-defined]  # never streamed
    body = content[content.index("<main>") :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body)).strip()


def test_a_get_shows_the_question_and_decides_nothing(page: Client, approval: Approval) -> None:
    before = all_rows()

    response = page.get(link_to(approval))
    head = page.head(link_to(approval))

    assert (response.status_code, head.status_code, head.content) == (200, 200, b"")
    text = text_of(response)
    assert text.startswith(QUESTION)
    assert f"Decide before {approval.deadline:%Y-%m-%d %H:%M} UTC." in text
    assert "Without a decision the order is cancelled." in text
    assert "Approve: the order goes on." in text
    assert "Reject: the order is cancelled. Money that is held for it is released." in text
    assert text.endswith("Approve Reject")
    assert all_rows() == before


def test_the_page_shows_the_order_as_the_api_shows_it_to_the_shop(
    page: Client, storefront: Storefront, messages: MessageQueue
) -> None:
    placed = storefront.order(cart(("MUG", 2), ("TEE", 1)) | {"reference": "R-1001"})
    shown = Order.objects.get(pk=placed.order_id)

    text = text_of(page.get(link_to(open_approval(placed.order_id))))

    assert (
        f"Order {placed.order_id} , the shop's number R-1001"
        f" Total {format_amount(shown.total_minor, shown.currency)}"
        f" Customer {storefront.customer.get_username()}"
        f" Placed {shown.created_at:%Y-%m-%d %H:%M} UTC Items 2 x "
    ) in text
    lines = [f"{line.quantity} x {line.name} ({line.sku})" for line in shown.lines.all()]
    assert " ".join(lines) in text
    assert len(lines) == 2


def test_the_page_of_an_order_of_a_guest_names_none(
    page: Client, storefront: Storefront, messages: MessageQueue
) -> None:
    order_id = storefront.order(cart(("MUG", 1))).order_id
    Order.objects.update(customer=None)

    assert "Customer guest Placed" in text_of(page.get(link_to(open_approval(order_id))))


@pytest.mark.parametrize(
    ("default", "sentence"),
    [
        (DefaultAction.APPROVE, "Without a decision the order goes on."),
        (DefaultAction.REJECT, "Without a decision the order is cancelled."),
        (DefaultAction.ESCALATE, "After that the order waits on, and the shop's staff are called."),
    ],
)
def test_the_page_says_what_happens_without_a_decision(
    page: Client, approval: Approval, default: DefaultAction, sentence: str
) -> None:
    Approval.objects.update(default=default)

    text = text_of(page.get(link_to(approval)))

    assert f"UTC. {sentence} A decision is final." in text


def test_past_its_deadline_the_page_says_that_the_order_still_waits(
    page: Client, approval: Approval
) -> None:
    advance(timedelta(days=1, minutes=1))
    due = Approval.objects.get().deadline

    text = text_of(page.get(link_to(approval)))

    assert f"It was to be decided before {due:%Y-%m-%d %H:%M} UTC; the order still waits." in text
    assert "Decide before" not in text


def test_the_page_says_until_when_the_link_works_and_names_a_clock_that_was_moved(
    page: Client, approval: Approval
) -> None:
    path = link_to(approval, hours=2)
    ends = timezone.now() + timedelta(hours=2)
    works = {f"This link works until {at:%Y-%m-%d %H:%M} UTC." for at in (ends, ends - MINUTE)}

    text = text_of(page.get(path))
    assert [sentence for sentence in works if sentence in text] != []
    assert "own clock" not in text

    advance(timedelta(hours=3))
    text = text_of(page.get(path))
    assert [sentence for sentence in works if sentence in text] != []
    assert "That is by the real time. Deadlines of orders are by this sandbox's own clock" in text


def test_the_page_has_no_script_and_is_not_cached(page: Client, approval: Approval) -> None:
    response = page.get(link_to(approval))

    content = response.content.decode()
    assert "<script" not in content
    assert "style=" not in content
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    policy = response.headers["Content-Security-Policy"]
    assert {"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'"} <= {
        part.strip() for part in policy.split(";")
    }
    assert response.cookies == {}


@pytest.mark.parametrize(("decision", "status"), [("approve", "approved"), ("reject", "rejected")])
def test_a_post_decides_in_the_name_of_the_holder(
    page: Client, approval: Approval, decision: str, status: str
) -> None:
    path = link_to(approval)

    response = post(page, path, decision, "We know them.")

    assert (response.status_code, response.headers["Location"]) == (303, path)
    assert answer_of(approval) == (status, "Anna, link by grace", "link", "We know them.")
    after = page.get(path)
    assert text_of(after).startswith(f"{QUESTION} {status.title()}. ")
    assert "<form" not in after.content.decode()


def test_a_link_without_a_name_names_its_kind(page: Client, approval: Approval) -> None:
    post(page, link_to(approval, holder=""))

    assert answer_of(approval)[:2] == ("approved", "holder of a link, link by grace")


def test_the_page_of_a_decided_approval_names_no_staff(page: Client, approval: Approval) -> None:
    path = link_to(approval)
    decide(approval, actor="grace-hopper", comment="Between us.")

    text = text_of(page.get(path))

    assert "Approved." in text
    assert "grace" not in text
    assert "Between us" not in text


def test_the_same_decision_again_changes_nothing(page: Client, approval: Approval) -> None:
    path = link_to(approval)
    post(page, path)
    before = all_rows()

    assert post(page, path, "approve", "Again.").status_code == 303
    assert all_rows() == before


@pytest.mark.parametrize("first", ["rejected", "expired"])
def test_another_decision_is_too_late(page: Client, approval: Approval, first: str) -> None:
    if first == "rejected":
        decide(approval, Decision.REJECT)
    else:
        expire([approval.subject_id], REVIEW)
    before = all_rows()

    response = post(page, link_to(approval))

    assert response.status_code == 409
    assert "Your decision came too late, and changed nothing." in text_of(response)
    said = {"rejected": "Rejected.", "expired": "No decision is needed any more."}[first]
    assert said in text_of(response)
    assert all_rows() == before


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"decision": "perhaps"},
        {"decision": "approve", "comment": "x" * 1001},
        {"decision": "approve", "comment": "a\0b"},
    ],
)
def test_a_wrong_form_is_shown_again(
    page: Client, approval: Approval, form: dict[str, str]
) -> None:
    response = page.post(link_to(approval), form)

    assert response.status_code == 400
    assert 'role="alert"' in response.content.decode()
    assert answer_of(approval)[0] == "open"


def unusable_links(approval: Approval) -> dict[str, str]:
    """Return a token of each kind that must not work."""
    valid = new_link(approval, holder="Anna", issuer="grace")
    token = valid.token()
    content, _, signature = token.rpartition(":")
    other = new_link(open_approval(), holder="Anna", issuer="grace").token()
    expired = DecisionLink(approval.pk, 0, timezone.now(), "Anna", "grace")
    signed = [approval.pk.hex, 0, 2**33, "x", "y"]
    return {
        "expired": expired.token(),
        "forged signature": f"{content}:{signature[::-1]}",
        "content of another": f"{content}:{other.rpartition(':')[2]}",
        "another salt": Signer(salt="access.links.order").sign_object(signed),
        "the default salt": Signer().sign_object(signed),
        "no signature": content,
        "a later generation": DecisionLink(
            approval.pk, 1, valid.expires_at, "Anna", "grace"
        ).token(),
        "an unknown approval": DecisionLink(new_id(), 0, valid.expires_at, "Anna", "grace").token(),
        "empty": ":",
        "bytes": "\xff\0",
    }


def test_an_unusable_link_is_not_found_and_all_are_alike(page: Client, approval: Approval) -> None:
    tokens = unusable_links(approval)
    before = all_rows()
    program = Client(enforce_csrf_checks=True)

    answers = {
        (kind, method): ApiResponse(
            program.generic(
                method,
                f"/approvals/{quote(token)}",
                "decision=approve",
                content_type="application/x-www-form-urlencoded",
            )
        )
        for kind, token in tokens.items()
        for method in ("GET", "POST")
    }

    assert {answer.is_problem(404, "not-found") for answer in answers.values()} == {True}
    assert len({str(answer.comparable) for answer in answers.values()}) == 1
    assert page.get(f"/approvals/{tokens['expired']}").status_code == 404
    assert all_rows() == before
    assert read_link(new_link(approval, holder="Anna", issuer="grace").token()) is not None


def test_a_revoked_link_is_not_found_and_later_links_work(page: Client, approval: Approval) -> None:
    revoked = link_to(approval)
    other = link_to(open_approval())

    revoke_links(approval.pk)
    approval.refresh_from_db()

    assert (page.get(revoked).status_code, post(page, revoked).status_code) == (404, 404)
    assert answer_of(approval)[0] == "open"
    assert page.get(other).status_code == 200
    assert post(page, link_to(approval)).status_code == 303


def test_a_guest_link_decides_nothing(
    page: Client, storefront: Storefront, messages: MessageQueue
) -> None:
    order_id = storefront.order(cart(("MUG", 1))).order_id
    approval = open_approval(order_id)
    token = new_guest_link(order_id, storefront.customer, days=1, may_cancel=True).token()

    assert page.get(f"/approvals/{token}").status_code == 404
    assert (
        page.get(
            f"/api/v1/guest/orders/{new_link(approval, holder='', issuer='grace').token()}"
        ).status_code
        == 404
    )


def test_a_former_key_is_accepted(page: Client, approval: Approval, settings: Settings) -> None:
    path = link_to(approval)

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [settings.SECRET_KEY]
    assert page.get(path).status_code == 200
    settings.SECRET_KEY_FALLBACKS = []
    assert page.get(path).status_code == 404


def test_a_link_expires_after_its_hours(approval: Approval) -> None:
    link = new_link(approval, holder="Anna", issuer="grace", hours=5)

    left = link.expires_at - timezone.now()
    assert timedelta(hours=4, minutes=59) < left <= timedelta(hours=5)
    assert links.DEFAULT_HOURS == 24
    found = read_link(link.token())
    assert found is not None
    assert found[0] == link
    assert link.path == reverse("decision-link", args=[link.token()])


@pytest.mark.parametrize("holder", ["", "Anna", "Ö" * 60])
def test_a_link_in_a_log_line_is_unusable(approval: Approval, holder: str) -> None:
    token = new_link(approval, holder=holder, issuer="grace").token()
    content, _, _ = token.rpartition(":")

    line = redact(f"Internal Server Error: /approvals/{token}")

    assert "[redacted]" in line
    assert content not in line


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
def test_other_methods_are_refused(approval: Approval, method: str) -> None:
    response = ApiResponse(Client().generic(method, link_to(approval)))

    assert response.is_problem(405, "method-not-allowed")
    assert response.headers["Allow"] == "GET, HEAD, POST"


def test_markup_in_a_question_is_escaped(page: Client, approval: Approval) -> None:
    Approval.objects.update(question="<script>alert(1)</script>\nSecond line")

    content = page.get(link_to(approval)).content.decode()

    assert "<h1>&lt;script&gt;alert(1)&lt;/script&gt;<br>Second line</h1>" in content


def test_requests_are_limited_by_address(
    page: Client, approval: Approval, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "REDIS_TIMEOUT", timedelta(seconds=60))  # on a busy machine
    settings.THROTTLING = True
    settings.REDIS_KEY_PREFIX = f"{new_id()}:"
    settings.THROTTLING_RATES = {**settings.THROTTLING_RATES, "anonymous": "2/minute"}
    address = {"REMOTE_ADDR": "192.0.2.77"}

    statuses = [page.get(link_to(approval), **address).status_code for _ in range(3)]  # type: ignore[arg-type]

    assert statuses == [200, 200, 429]
    assert page.get(link_to(approval), REMOTE_ADDR="192.0.2.78").status_code == 200
