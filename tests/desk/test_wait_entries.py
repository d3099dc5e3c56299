"""The timeline for staff shows a wait as one entry with its looks, and equal failures as one entry."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from approvals.models import Approval
from approvals.services import decide
from approvals.states import DecidedVia, Decision
from desk.audit_timeline import TimelineEntry, audit_timeline
from desk.order_detail import order_detail
from desk.order_state import order_state
from desk.run_diagram import next_step_sentence, run_diagram
from orders.payment_failures import PAYMENT_FAILURES
from payments.errors import RefundFailed
from sagas.models import SagaRun, StepAttempt
from sagas.sweep import sweep
from sandbox.procfile import ROOT
from sandbox.stripe_process import SandboxServer
from tests.support.clock import database_time, move_to
from tests.support.desk_actions import page_of
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import Storefront, cart

TIME = "%Y-%m-%d %H:%M:%S"
REFUND_FAILED = PAYMENT_FAILURES[RefundFailed]


def look(messages: MessageQueue, times: int = 1) -> None:
    """Move to the time at which the newest run wakes, and deliver what the sweep sends."""
    for _ in range(times):
        wake_at = SagaRun.objects.latest("created_at").wake_at
        assert wake_at is not None
        if wake_at > database_time():
            move_to(wake_at)
        sweep()
        messages.deliver_all()


def entries(order_id: UUID, name: str) -> list[TimelineEntry]:
    """Return the entries about one step or compensation."""
    timeline = audit_timeline(order_detail(order_id))
    return [entry for entry in timeline if entry.title.startswith(f"{name}: ")]


def titles(order_id: UUID, name: str) -> list[str]:
    return [entry.title.removeprefix(f"{name}: ") for entry in entries(order_id, name)]


def notes(order_id: UUID) -> dict[str, str]:
    """Return the note of each step, and of each compensation, in the diagram of the newest run."""
    diagram = run_diagram(order_state(order_id).runs[-1])
    return {node.name: node.note for node in (*diagram.forward, *diagram.compensations)}


@pytest.fixture
def orders_wait(settings: Settings) -> None:
    settings.PAYMENT_GRACE = timedelta(minutes=15)


def ordered(storefront: Storefront, messages: MessageQueue, payment_method: str) -> UUID:
    order_id = storefront.order(cart(("MUG", 1), payment_method=payment_method)).order_id
    messages.deliver_all()
    return order_id


@pytest.fixture
def asked(
    orders_wait: None,
    storefront: Storefront,
    sandbox_stripe: SandboxServer,
    messages: MessageQueue,
) -> UUID:
    """An order that waits for its customer's authentication."""
    return ordered(storefront, messages, "pm_card_authenticationRequired")


@pytest.fixture
def refunding(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> UUID:
    """A cancelled order that waits for its refund."""
    sandbox_stripe.start_over()
    order_id = ordered(storefront, messages, "pm_card_pendingRefund")
    storefront.cancel(order_id)
    messages.deliver_all()
    return order_id


def settle_refund(sandbox_stripe: SandboxServer, result: str) -> None:
    [refund] = sandbox_stripe.ledger()["refunds"]
    sandbox_stripe.settle_refund(str(refund["id"]), result)


# -- waits


def test_a_wait_is_one_entry_with_the_number_and_the_time_of_its_looks(
    asked: UUID, messages: MessageQueue
) -> None:
    look(messages, 3)

    run, last = SagaRun.objects.get(), StepAttempt.objects.latest("pk")
    assert StepAttempt.objects.filter(outcome="pending").count() == 4
    assert titles(asked, "payment authorization") == [
        "called, attempt 1",
        "waits for the customer's authentication at their bank",
    ]
    wait = entries(asked, "payment authorization")[1]
    assert run.waiting_since is not None
    assert run.waiting_until is not None
    assert run.not_before is not None
    assert wait.kind == "wait"
    assert wait.detail == (
        f"since {run.waiting_since:{TIME}}, until {run.waiting_until:{TIME}};"
        " then the order is cancelled, and nothing is charged"
    )
    assert list(wait.data) == [
        ("answer", "authentication_required"),
        ("looked", f"3 times, last at {last.started_at:{TIME}}"),
        ("next look", f"{run.not_before:{TIME}}"),
    ]


def test_the_end_of_a_wait_is_one_entry(asked: UUID, messages: MessageQueue) -> None:
    look(messages, 2)
    until = SagaRun.objects.get().waiting_until
    assert until is not None
    move_to(until)
    look(messages)

    last = StepAttempt.objects.filter(direction="forward").latest("pk")
    assert last.ended_at is not None
    assert titles(asked, "payment authorization") == [
        "called, attempt 1",
        "waited for the customer's authentication at their bank",
        "rejected",
    ]
    _, wait, _ = entries(asked, "payment authorization")
    assert wait.detail == f"since {wait.at:{TIME}}, until {last.ended_at:{TIME}}"


def test_a_look_without_an_answer_is_shown_and_the_wait_goes_on(
    asked: UUID, messages: MessageQueue, sandbox_stripe: SandboxServer
) -> None:
    sandbox_stripe.add_fault("payment_intents.retrieve", "reset_before", times=1)
    look(messages, 3)

    assert titles(asked, "payment authorization") == [
        "called, attempt 1",
        "waits for the customer's authentication at their bank",
        "no answer: it may have taken effect",
    ]
    data = dict(entries(asked, "payment authorization")[1].data)
    assert str(data["looked"]).startswith("2 times, ")


def test_a_request_to_cancel_ends_a_wait(
    asked: UUID, storefront: Storefront, messages: MessageQueue
) -> None:
    storefront.cancel(asked)
    messages.deliver_all()

    requested_at = SagaRun.objects.get().compensation_requested_at
    assert requested_at is not None
    wait = entries(asked, "payment authorization")[1]
    assert wait.detail == f"since {wait.at:{TIME}}, until {requested_at:{TIME}}"


def test_looks_are_no_attempts_in_the_diagram_and_in_audit_rows(
    refunding: UUID, messages: MessageQueue, sandbox_stripe: SandboxServer
) -> None:
    look(messages, 3)
    assert "attempts" not in order_state(refunding).summary()

    settle_refund(sandbox_stripe, "succeed")
    look(messages)

    assert StepAttempt.objects.filter(step="return_payment").count() == 5
    assert notes(refunding)["payment return"] == "done"
    assert titles(refunding, "payment return") == [
        "called, attempt 1",
        "waited for the refund to arrive, which takes up to ten working days",
        "done",
    ]


@pytest.fixture
def reviewed(
    storefront: Storefront,
    sandbox_stripe: SandboxServer,
    messages: MessageQueue,
    settings: Settings,
) -> UUID:
    """An order that waits for its review."""
    settings.REVIEW_ABOVE_MINOR = 500
    return ordered(storefront, messages, "pm_card_visa")


def test_a_wait_step_has_an_entry_for_the_wait_and_one_for_its_end(
    reviewed: UUID, messages: MessageQueue
) -> None:
    run = SagaRun.objects.get()
    assert run.waiting_since is not None
    assert run.waiting_until is not None
    [wait] = entries(reviewed, "order review")
    assert (wait.at, wait.kind, wait.title) == (
        run.waiting_since,
        "wait",
        "order review: waits for an approval of the order",
    )
    assert wait.detail == (
        f"since {run.waiting_since:{TIME}}, until {run.waiting_until:{TIME}};"
        " then the order is cancelled"
    )

    decide(Approval.objects.get().pk, Decision.APPROVE, actor="olga", via=DecidedVia.DESK)
    messages.deliver_all()

    assert titles(reviewed, "order review") == [
        "waited for an approval of the order",
        "approved",
        "over",
    ]


def test_an_order_that_did_not_have_to_wait_has_no_entry_of_a_wait(confirmed: UUID) -> None:
    assert titles(confirmed, "order review") == ["over"]


# -- from a shell, and on the run's page


def test_the_command_says_what_a_run_waits_for(reviewed: UUID) -> None:
    run, printed = SagaRun.objects.get(), StringIO()
    assert run.waiting_since is not None
    assert run.waiting_until is not None

    call_command("sagas", "show", stdout=printed)

    text = " ".join(printed.getvalue().split())
    assert (
        f"waits for an approval of the order (await_review), since {run.waiting_since:{TIME}} UTC,"
        f" until {run.waiting_until:{TIME}} UTC; then the order is cancelled"
    ) in text
    assert "running at await_review, wakes" in text


def shown_as_json() -> dict[str, Any]:
    printed = StringIO()
    call_command("sagas", "show", "--json", stdout=printed)
    [run] = json.loads(printed.getvalue())["runs"]
    return dict(run)


def test_the_command_has_the_wait_as_json(reviewed: UUID) -> None:
    wait = shown_as_json()["wait"]

    assert (wait["code"], wait["waits_for"], wait["then"]) == (
        "await_review",
        "an approval of the order",
        "the order is cancelled",
    )
    assert wait["since"] < wait["until"]


def test_the_page_of_the_run_says_what_happens_past_the_deadline(
    desk: Client, reviewed: UUID
) -> None:
    run = SagaRun.objects.get()

    page = desk.get(f"/admin/sagas/sagarun/{run.pk}/change/").content.decode()

    assert "What happens then" in page
    assert "the order is cancelled" in page


# -- failures


def test_equal_failures_in_a_row_are_one_entry(
    refunding: UUID, messages: MessageQueue, sandbox_stripe: SandboxServer
) -> None:
    settle_refund(sandbox_stripe, "fail")
    look(messages, 5)

    last = StepAttempt.objects.latest("pk")
    assert last.ended_at is not None
    assert titles(refunding, "payment return") == [
        "called, attempt 1",
        "waited for the refund to arrive, which takes up to ten working days",
        "failed, staff must act, 5 times",
    ]
    assert ("last time", f"{last.ended_at:{TIME}}") in entries(refunding, "payment return")[2].data


def test_a_failed_refund_says_what_to_do_and_what_happens_meanwhile(
    desk: Client, refunding: UUID, messages: MessageQueue, sandbox_stripe: SandboxServer
) -> None:
    settle_refund(sandbox_stripe, "fail")
    look(messages)

    attempt = StepAttempt.objects.latest("pk")
    assert attempt.error == "RefundFailed"
    run = SagaRun.objects.latest("created_at")
    entry = entries(refunding, "payment return")[-1]
    assert entry.title == "payment return: failed, staff must act"
    assert entry.detail == (
        f"{REFUND_FAILED.happened} (RefundFailed {attempt.detail}) {REFUND_FAILED.remedy}"
        f" {REFUND_FAILED.meanwhile} · next try at {run.not_before:%H:%M:%S}"
    )
    assert ("runbook", "docs/runbooks/failed-refund.md") in entry.data
    page = page_of(desk, refunding)
    assert "the step does not declare" not in page
    assert "or the order is cancelled" not in page


def test_what_happens_next_names_the_failure_and_its_runbook(
    refunding: UUID, messages: MessageQueue, sandbox_stripe: SandboxServer
) -> None:
    settle_refund(sandbox_stripe, "fail")
    look(messages)

    run = SagaRun.objects.latest("created_at")
    assert next_step_sentence(order_state(refunding)) == (
        f"Tries payment return again at {run.not_before:%H:%M:%S}, attempt 2; the last attempt failed"
        f" with an error, so it is retried until the error is corrected. {REFUND_FAILED.happened}"
        f" {REFUND_FAILED.remedy} The runbook is docs/runbooks/failed-refund.md."
    )


def test_every_runbook_of_a_failure_exists() -> None:
    for failure in PAYMENT_FAILURES.values():
        assert (ROOT / failure.runbook).is_file(), failure.runbook
