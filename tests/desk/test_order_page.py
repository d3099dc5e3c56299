"""The page of one order: timeline, diagram, next step, and the number of statements."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from desk.step_names import system_name
from invariants.models import ReconciliationBreak
from orders.models import Order
from orders.payment_failures import PAYMENT_FAILURES
from orders.saga import CHECKOUT
from orders.services import cancel_order
from orders.steps import authorize_payment
from payments.errors import AccessDenied
from payments.models import Payment
from sagas.definition import Step
from sagas.models import SagaRun, StepAttempt
from sagas.pause_reasons import PauseReason
from sagas.services import pause
from sagas.work import Remote
from sandbox.stripe_process import SandboxServer
from tests.support.database import all_rows
from tests.support.desk_actions import ORDERS, page_of, run_of, staff_client, submit_action
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import Storefront, cart

PAYMENT_POSITION: Final = CHECKOUT.steps.index(authorize_payment)
UNTIL_PAYMENT: Final = CHECKOUT.steps[: PAYMENT_POSITION + 1]
AFTER_PAYMENT: Final = CHECKOUT.steps[PAYMENT_POSITION + 1 :]


def action_names(steps: Sequence[Step]) -> list[str]:
    """Return the names of steps for staff."""
    return [step.action.describe.staff for step in steps]


def compensation_names(steps: Sequence[Step]) -> list[str]:
    """Return the names of the steps' compensations for staff, in the order in which they run."""
    works = [step.compensating_action for step in reversed(steps)]
    return [work.describe.staff for work in works if work is not None]


@pytest.fixture
def unanswered(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> UUID:
    """An order whose first payment attempt got no clear answer."""
    sandbox_stripe.add_fault("payment_intents.confirm", "error_before", times=1)
    order_id = storefront.order(cart(("MUG", 2))).order_id
    messages.deliver_all()
    return order_id


def step_nodes(page: str) -> list[tuple[str, str, str]]:
    """Return stage, name and note of each step in the diagram."""
    found = []
    for node in page.split('<li class="step-node step-node-')[1:]:
        stage = node.split('"')[0]
        name = node.split('class="step-node-name">')[1].split("<")[0]
        note = node.split('class="step-node-note">')[1].split("<")[0]
        found.append((stage, name, note))
    return found


def sentence(page: str) -> str:
    return page.split('aria-live="polite">')[1].split("<", maxsplit=1)[0]


def test_the_page_of_a_confirmed_order_shows_everything(desk: Client, confirmed: UUID) -> None:
    page = page_of(desk, confirmed)

    payment = Payment.objects.get(order_id=confirmed)
    for text in (
        "MUG",
        "alice",
        "10.00 EUR",
        "stock reservation: done",
        "payment authorization: called, attempt 1",
        "Authorize 10.00 EUR on pm_card_visa.",
        "payment capture: done",
        "payment.captured",
        "placed → confirmed: paid",
        str(payment.provider_payment_id),
        payment.idempotency_key("confirm"),
        payment.idempotency_key("capture"),
        "1 confirmed in main",
        str(confirmed),
    ):
        assert text in page
    assert sentence(page) == "Nothing: every step is done."
    assert step_nodes(page) == [("done", name, "done") for name in action_names(CHECKOUT.steps)]
    assert 'data-live="0"' in page


def test_a_step_that_the_run_proceeded_past_is_drawn_as_done(desk: Client, confirmed: UUID) -> None:
    authorization = StepAttempt.objects.filter(
        run__subject_id=confirmed, step="authorize_payment", outcome="done"
    )
    assert authorization.update(outcome="proceeded", error="OutcomeUnknown") == 1

    page = page_of(desk, confirmed)

    assert step_nodes(page) == [("done", name, "done") for name in action_names(CHECKOUT.steps)]
    assert "payment authorization: no answer: the run continued with the declared result" in page


def test_a_waiting_step_shows_the_time_of_its_next_try(desk: Client, waiting: UUID) -> None:
    until = timezone.now() + timedelta(hours=1)
    run = SagaRun.objects.filter(subject_id=waiting)
    run.update(
        step="authorize_payment", attempt_count=3, retry_count=3, not_before=until, wake_at=until
    )

    page = page_of(desk, waiting)

    clock = f"{until:%H:%M:%S}"
    assert sentence(page) == (
        f"Tries payment authorization again at {clock}, attempt 4 of 8;"
        " after 8 without an answer it compensates."
    )
    assert ("current", "payment authorization", f"attempt 4 of 8 at {clock}") in step_nodes(page)
    assert ("to-come", "payment capture", "to come") in step_nodes(page)
    assert 'data-live="1"' in page


def test_the_last_attempt_is_marked(desk: Client, waiting: UUID) -> None:
    SagaRun.objects.filter(subject_id=waiting).update(step="authorize_payment", retry_count=7)

    assert sentence(page_of(desk, waiting)) == (
        "Tries payment authorization as soon as a worker takes it, attempt 8 of 8;"
        " without an answer it compensates."
    )


REFUSED_KEY = PAYMENT_FAILURES[AccessDenied]


@pytest.mark.parametrize(
    ("error", "to_do", "outcome"),
    [
        ("TypeError", "", "failed with an error that the step does not declare"),
        (
            "AccessDenied",
            f" {REFUSED_KEY.happened} {REFUSED_KEY.remedy} The runbook is {REFUSED_KEY.runbook}.",
            "failed, staff must act",
        ),
    ],
)
def test_an_error_that_lasts_is_retried_without_limit(
    desk: Client, waiting: UUID, error: str, to_do: str, outcome: str
) -> None:
    run = run_of(waiting)
    SagaRun.objects.filter(pk=run.pk).update(
        step="authorize_payment", attempt_count=2, retry_count=0
    )
    for fence in (1, 2):
        StepAttempt.objects.create(
            run=run,
            step="authorize_payment",
            direction="forward",
            number=fence,
            fence=1000 + fence,
            outcome="failed",
            error=error,
            ended_at=timezone.now(),
        )

    page = page_of(desk, waiting)

    assert sentence(page) == (
        "Tries payment authorization as soon as a worker takes it, attempt 3;"
        " the last attempt failed with an error, so it is retried until the error is corrected or the"
        f" order is cancelled.{to_do}"
    )
    assert f"payment authorization: {outcome}, 2 times" in page


def test_a_call_in_progress_is_shown(desk: Client, waiting: UUID) -> None:
    until = timezone.now() + timedelta(hours=1)
    run = run_of(waiting)
    SagaRun.objects.filter(pk=run.pk).update(
        step="authorize_payment", attempt_count=2, retry_count=2, leased_until=until
    )
    StepAttempt.objects.create(
        run=run, step="authorize_payment", direction="forward", number=2, fence=2,
        outcome="started",
    )  # fmt: skip

    page = page_of(desk, waiting)

    assert sentence(page).startswith("A worker is in payment authorization now (attempt 2 of 8).")
    assert ("current", "payment authorization", "attempt 2 of 8, now") in step_nodes(page)


def test_a_paused_order_says_that_staff_can_resume_it(desk: Client, waiting: UUID) -> None:
    pause(waiting, PauseReason.MONEY_IN_DOUBT, "0 held of 2500", "M6")

    page = page_of(desk, waiting)

    assert sentence(page) == (
        "No step starts until staff resume the order. It can still be cancelled."
    )
    assert ("current", "stock reservation", "paused") in step_nodes(page)
    assert "paused by M6: 0 held of 2500" in page


def test_a_requested_cancellation_shows_the_pending_compensations(
    desk: Client, unanswered: UUID
) -> None:
    cancel_order(unanswered, reason="cancelled_by_customer", actor="alice")

    page = page_of(desk, unanswered)

    pending = ", ".join(compensation_names(UNTIL_PAYMENT))
    assert sentence(page) == f"The run compensates before its next step: {pending}."
    assert "cancellation requested" in page
    assert [node for node in step_nodes(page) if node[1] == "stock release"] == [
        ("to-come", "stock release", "to come")
    ]


def test_the_compensations_are_drawn(
    desk: Client, storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    body = cart(("MUG", 1), payment_method="pm_card_visa_chargeDeclinedStolenCard")
    order_id = storefront.order(body).order_id
    messages.deliver_all()

    page = page_of(desk, order_id)

    assert "payment_declined stolen_card" in page
    assert "Your card was declined." in page
    assert step_nodes(page) == [
        *(("done", name, "done") for name in action_names(UNTIL_PAYMENT[:-1])),
        ("stopped", "payment authorization", "stopped: payment_declined"),
        *(("never", name, "not reached") for name in action_names(AFTER_PAYMENT)),
        *(("done", name, "done") for name in compensation_names(UNTIL_PAYMENT)),
    ]
    assert sentence(page) == "Nothing: everything that was done is compensated."


def test_a_waiting_compensation_shows_the_time_of_its_next_try(desk: Client, waiting: UUID) -> None:
    run = run_of(waiting)
    until = timezone.now() + timedelta(hours=1)
    SagaRun.objects.filter(pk=run.pk).update(status="compensating", step="")
    for direction, outcome, not_before in (
        ("forward", "done", None),
        ("compensating", "unknown", until),
    ):
        StepAttempt.objects.create(
            run=run, step="authorize_payment", direction=direction, number=2, fence=2,
            outcome=outcome, error="NotDoneYet", not_before=not_before, ended_at=timezone.now(),
        )  # fmt: skip

    page = page_of(desk, waiting)

    clock = f"{until:%H:%M:%S}"
    assert sentence(page) == (
        f"Tries authorization void again at {clock}, attempt 2,"
        " and the order is then cancelled; retried until it succeeds."
    )
    assert f"NotDoneYet · next try at {clock}" in page


def test_a_refund_is_shown_with_its_ids(
    desk: Client, confirmed: UUID, messages: MessageQueue
) -> None:
    cancel_order(confirmed, reason="cancelled_by_customer", actor="alice")
    messages.deliver_all()

    page = page_of(desk, confirmed)

    payment = Payment.objects.get()
    assert payment.refunds.get().provider_refund_id in page
    assert payment.idempotency_key("refund") in page
    captured = page.split("payment capture: done")[1].split("</li>")[0]
    assert "re_" not in captured
    assert "payment return: done" in page
    assert "confirmed → cancelling: cancelled_by_customer" in page
    assert "1 released in main" in page


def test_breaks_are_in_the_timeline(desk: Client, confirmed: UUID) -> None:
    now = timezone.now()
    ReconciliationBreak.objects.create(
        code="M6", kind="money", subject=str(confirmed), detail="0 held of 1000",
        first_seen=now, last_seen=now, order_paused_at=now, resolved_at=now,
        resolution="checked at the provider", resolved_by="frank",
    )  # fmt: skip

    page = page_of(desk, confirmed)

    for text in ("M6 is broken", "0 held of 1000", "paused by M6", "checked at the provider"):
        assert text in page


def test_staff_actions_are_in_the_timeline_with_markup_escaped(
    desk: Client, confirmed: UUID
) -> None:
    submit_action(desk, confirmed, "note", "<script>alert(1)</script>")
    Order.objects.get().transitions.update(actor="<b>grace</b>")

    page = page_of(desk, confirmed)

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    assert "<b>grace" not in page


def test_the_number_of_statements_does_not_grow_with_the_timeline(
    confirmed: UUID, content_types: None, settings: object
) -> None:
    desk = staff_client("paul", ["desk.note_order", "desk.cancel_order"])
    run = run_of(confirmed)
    page_of(desk, confirmed)
    with CaptureQueriesContext(connection) as short:
        page_of(desk, confirmed)
    StepAttempt.objects.bulk_create(
        StepAttempt(
            run=run, step="capture_payment", direction="forward", number=number, fence=number,
            outcome="transient", error="NotDoneYet", ended_at=timezone.now(),
        )
        for number in range(100, 300)
    )  # fmt: skip

    with CaptureQueriesContext(connection) as long:
        page = page_of(desk, confirmed)

    assert "payment capture: not done yet, 200 times" in page
    assert len(long) < 15, [query["sql"][:200] for query in long]
    assert len(long) == len(short)


def test_reading_changes_nothing(desk: Client, waiting: UUID) -> None:
    before = all_rows()

    page_of(desk, waiting)
    desk.get(f"{ORDERS}{waiting}/content/")
    for kind in ("retry", "cancel", "pause", "resume", "note"):
        desk.get(f"{ORDERS}{waiting}/act/{kind}/")

    after = all_rows()
    changed = {table for table in before if before[table] != after[table]}
    assert changed <= {"sessions.Session"}


def test_the_content_can_be_polled(desk: Client, waiting: UUID) -> None:
    answer = desk.get(f"{ORDERS}{waiting}/content/")

    assert answer.status_code == 200
    assert answer.content.decode().lstrip().startswith('<div class="order" data-live="1">')


def test_an_unknown_order_redirects_to_the_list(desk: Client, waiting: UUID) -> None:
    for address in ("00000000-0000-0000-0000-000000000000", "nonsense", "1"):
        answer = desk.get(f"{ORDERS}{address}/change/")
        assert (answer.status_code, answer.headers["Location"]) == (302, ORDERS)
    assert desk.get(f"{ORDERS}00000000-0000-0000-0000-000000000000/content/").status_code == 404


def test_a_run_of_an_unknown_version_is_shown_without_a_diagram(
    desk: Client, waiting: UUID
) -> None:
    SagaRun.objects.filter(subject_id=waiting).update(version=99)

    page = page_of(desk, waiting)

    assert sentence(page).startswith("Nothing: this code does not know checkout version 99")
    assert step_nodes(page) == []


def test_unknown_steps_are_shown_by_their_own_names(desk: Client, waiting: UUID) -> None:
    run = run_of(waiting)
    StepAttempt.objects.create(
        run=run, step="gift_wrap", direction="forward", number=1, fence=1,
        outcome="rejected", error="no_paper", detail="blue", ended_at=timezone.now(),
    )  # fmt: skip

    page = page_of(desk, waiting)

    assert "gift_wrap: rejected" in page
    assert "no_paper blue" in page
    assert "an unknown system" not in page  # an ended attempt does not say whether it was a call


def test_a_step_shows_the_system_that_it_calls(desk: Client, waiting: UUID) -> None:
    page = page_of(desk, waiting)

    name, note, system = (
        rf'<span class="step-node-{part}">([^<]*)</span>' for part in ("name", "note", "system")
    )
    calls = [(name, system) for name, _, system in re.findall(name + note + system, page)]
    assert calls == [
        (step.action.describe.staff, f"calls {system_name(step.action.system)}")
        for step in CHECKOUT.steps
        if isinstance(step.action, Remote)
    ]
    assert ("payment capture", "calls payment provider") in calls
