"""Orders that staff review before their money is taken."""

import runpy
from datetime import timedelta
from importlib import import_module
from uuid import UUID

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.models import F
from pytest_django import Settings

import approvals.services
from approvals.models import Approval
from approvals.states import ApprovalStatus, DecidedVia, Decision, DefaultAction
from invariants.checking import Strictness, check
from inventory.models import StockLevel
from orders import review
from orders.customer_timeline import customer_timelines
from orders.models import Order
from payments.history import payments_of
from payments.models import Payment
from payments.provider_reconciliation import read_providers
from payments.states import PaymentStatus
from sagas.models import SagaRun
from sagas.queries.runs import runs_of
from sagas.queries.waits import annotated_wait, waits_of
from sagas.sweep import sweep
from tests.support.clock import advance
from tests.support.ledger_checks import assert_ledgers_agree
from tests.support.provider_ledger import money_of
from tests.support.shop import Shop
from tests.support.threads import run_at_once

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT = 4000
A_DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def limit(settings: Settings) -> None:
    settings.REVIEW_ABOVE_MINOR = LIMIT


@pytest.fixture
def large(shop: Shop) -> Order:
    """An order of 45.00 that waits for its review."""
    shop.sandbox_stripe.start_over()
    order = shop.place()
    shop.messages.deliver_all()
    order.refresh_from_db()
    return order


def decide(decision: Decision, comment: str = "") -> bool:
    return approvals.services.decide(
        Approval.objects.get().pk, decision, actor="olga", via=DecidedVia.DESK, comment=comment
    ).decided_now


def ended(shop: Shop, order: Order) -> tuple[str, str]:
    shop.messages.deliver_all()
    order.refresh_from_db()
    return order.status, order.reason


def test_a_large_order_waits_with_its_money_held_and_not_taken(shop: Shop, large: Order) -> None:
    approval, run = Approval.objects.get(), SagaRun.objects.get()

    assert (large.status, run.waits_for) == ("placed", "await_review")
    assert Payment.objects.get().status == PaymentStatus.AUTHORIZED
    assert money_of(shop.sandbox_stripe, large.pk).held_minor == large.total_minor
    assert (approval.subject_id, approval.name, approval.wait) == (
        large.pk,
        "order_review",
        "await_review",
    )
    assert approval.question == "Approve this order? The total is above 40.00 EUR."
    assert run.waiting_until is not None
    assert run.waiting_since is not None
    assert run.waiting_until - run.waiting_since == A_DAY
    assert approval.deadline == run.waiting_until


def test_a_check_of_the_ledgers_names_what_an_order_waits_for(shop: Shop, large: Order) -> None:
    with pytest.raises(AssertionError, match=f"checkout of {large.pk} at await_review waits for"):
        assert_ledgers_agree(shop.sandbox_stripe)


def timeline(order: Order) -> list[tuple[str, str, bool]]:
    """Return the customer's entries of the review: code, message, and whether it has a deadline."""
    [read] = Order.objects.with_progress().filter(pk=order.pk)
    return [
        (entry.code, entry.message, entry.until is not None)
        for entry in customer_timelines([read], payments_of([read.pk]))[read.pk]
        if entry.code.startswith("await_review")
    ]


WAITED = ("await_review.pending", "Waiting for the shop to review your order.")
WAITS = (WAITED[0], f"{WAITED[1]} Otherwise the order is cancelled.")


@pytest.mark.parametrize(
    ("decision", "end"),
    [
        (Decision.APPROVE, ("await_review.done", "Reviewing your order: done.")),
        (Decision.REJECT, ("await_review.rejected", "The shop did not accept this order.")),
        (None, ("await_review.rejected", "The shop did not review this order in time.")),
    ],
)
def test_the_timeline_says_when_the_review_began_and_how_it_ended(
    shop: Shop, large: Order, decision: Decision | None, end: tuple[str, str]
) -> None:
    assert timeline(large) == [(*WAITS, True)]

    if decision is None:
        advance(A_DAY)
        sweep()
    else:
        decide(decision, "a known fraudster")
    ended(shop, large)

    assert timeline(large) == [(*WAITED, False), (*end, False)]


def test_an_order_without_a_review_has_no_entry_of_one(shop: Shop) -> None:
    order = shop.place(mugs=1)
    ended(shop, order)

    assert timeline(order) == []


def test_an_approved_order_goes_on(shop: Shop, large: Order) -> None:
    assert decide(Decision.APPROVE)

    assert ended(shop, large) == ("confirmed", "")
    assert_ledgers_agree(shop.sandbox_stripe)
    output = SagaRun.objects.get().attempts.get(step="await_review").output
    assert output == {"approval_id": str(Approval.objects.get().pk)}


def test_an_order_that_waits_violates_no_invariant_until_its_deadline(large: Order) -> None:
    def broken(strictness: Strictness) -> set[str]:
        report = check(reading=read_providers(), grace=timedelta(), strictness=strictness)
        assert {finding.subject for finding in report.findings} <= {str(large.pk)}
        return {finding.code for finding in report.findings}

    advance(timedelta(hours=20))
    assert broken(Strictness.ON_TIME) == set()
    assert "T6" in broken(Strictness.AT_REST)

    SagaRun.objects.update(wake_at=F("waiting_until") + timedelta(hours=2))
    assert broken(Strictness.ON_TIME) == {"T7"}

    advance(timedelta(hours=5))
    assert "T6" in broken(Strictness.ON_TIME)


def test_a_rejected_order_is_cancelled_and_its_money_released(shop: Shop, large: Order) -> None:
    decide(Decision.REJECT, "a known fraudster")

    assert ended(shop, large) == ("cancelled", "review_rejected")
    assert large.reason_detail == "a known fraudster"
    assert_ledgers_agree(shop.sandbox_stripe)
    assert set(StockLevel.objects.values_list("reserved", flat=True)) == {0}


def test_an_order_past_its_deadline_is_cancelled_and_can_no_longer_be_approved(
    shop: Shop, large: Order
) -> None:
    advance(A_DAY)
    sweep()

    assert ended(shop, large) == ("cancelled", "not_reviewed")
    approval = Approval.objects.get()
    assert (approval.status, approval.comment) == (ApprovalStatus.EXPIRED, "no decision in time")
    assert not decide(Decision.APPROVE)
    assert ended(shop, large) == ("cancelled", "not_reviewed")
    assert_ledgers_agree(shop.sandbox_stripe)


PROMISES = [
    (DefaultAction.APPROVE, "the order goes on", ("confirmed", ""), ApprovalStatus.EXPIRED),
    (DefaultAction.ESCALATE, "the shop is reminded", ("placed", ""), ApprovalStatus.OPEN),
    (
        DefaultAction.REJECT,
        "the order is cancelled",
        ("cancelled", "not_reviewed"),
        ApprovalStatus.EXPIRED,
    ),
]


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise[0])
def test_past_its_deadline_an_order_does_what_was_promised_when_its_review_began(
    shop: Shop, settings: Settings, promise: tuple[str, str, tuple[str, str], str]
) -> None:
    default, then, ends, status = promise
    settings.REVIEW_DEFAULT = default
    large = shop.place()
    shop.messages.deliver_all()
    others = [other for other in DefaultAction if other != default]

    for settings.REVIEW_DEFAULT in others:  # as after a restart with another setting
        assert wait_texts(large) == {then}
        promised = f"Waiting for the shop to review your order. Otherwise {then}."
        assert timeline(large) == [("await_review.pending", promised, True)]
        assert waiting_message(large) == f"We are w{promised[1:]}"
    advance(A_DAY)
    sweep()

    assert ended(shop, large) == ends
    approval, run = Approval.objects.get(), SagaRun.objects.get()
    assert (approval.default, approval.status) == (default, status)
    assert run.needs_attention == (default == DefaultAction.ESCALATE)
    assert wait_texts(large) == ({then} if run.is_live else set())
    if not run.is_live:
        assert_ledgers_agree(shop.sandbox_stripe)


def waiting_message(order: Order) -> str:
    """Return what the order's JSON says of its wait."""
    wait = Order.objects.with_progress().get(pk=order.pk).wait
    assert wait is not None
    return wait.message


def test_past_the_deadline_of_a_review_the_customer_reads_that_the_shop_was_reminded(
    shop: Shop, settings: Settings
) -> None:
    settings.REVIEW_DEFAULT = DefaultAction.ESCALATE
    large = shop.place()
    shop.messages.deliver_all()

    advance(A_DAY)
    awaited = "aiting for the shop to review your order."
    over = "The time for this is over: the shop is reminded."
    assert timeline(large) == [("await_review.pending", f"W{awaited} {over}", True)]
    assert waiting_message(large) == over

    sweep()
    shop.messages.deliver_all()
    late = f"{awaited} It takes longer than usual, and the shop was reminded."
    assert timeline(large) == [("await_review.pending", f"W{late}", True)]
    assert waiting_message(large) == f"We are w{late}"

    decide(Decision.APPROVE)
    assert ended(shop, large) == ("confirmed", "")
    assert timeline(large)[0] == (*WAITED, False)


def wait_texts(order: Order) -> set[str]:
    """Return what the order's page, its JSON and lists say that happens at the deadline."""
    annotated = Order.objects.with_progress().get(pk=order.pk).annotated_wait
    [run] = runs_of(order.pk)
    found = (annotated_wait(annotated), waits_of([order.pk]).get(order.pk), run.wait)
    return {wait.text.then for wait in found if wait is not None}


@pytest.mark.parametrize("default", DefaultAction)
def test_an_order_of_an_earlier_release_ends_as_its_approval_says(
    shop: Shop, settings: Settings, default: DefaultAction
) -> None:
    settings.REVIEW_DEFAULT = default
    large = shop.place()
    shop.messages.deliver_all()
    SagaRun.objects.update(waiting_then="")

    settings.REVIEW_DEFAULT = "reject" if default == DefaultAction.APPROVE else "approve"
    advance(A_DAY)
    sweep()

    expected = {known: ends for known, _, ends, _ in PROMISES}
    assert ended(shop, large) == expected[default]


def test_the_migration_gives_orders_that_wait_already_what_their_approvals_say(
    shop: Shop, large: Order
) -> None:
    migration = import_module("orders.migrations.0003_what_reviews_promised")

    def migrated() -> str:
        SagaRun.objects.update(waiting_then="")
        with connection.cursor() as cursor:
            cursor.execute(migration.PROMISES)
        return SagaRun.objects.get().waiting_then

    for default, then, *_ in PROMISES:
        Approval.objects.update(default=default)
        assert migrated() == then
    decide(Decision.APPROVE)
    assert migrated() == ""


def test_an_unknown_default_stops_every_process_at_its_start(settings: Settings) -> None:
    settings.REVIEW_DEFAULT = "wait"

    with pytest.raises(ImproperlyConfigured, match="must be reject, approve or escalate"):
        runpy.run_path(review.__file__)


def test_a_decision_that_came_before_the_deadline_wins(shop: Shop, large: Order) -> None:
    decide(Decision.APPROVE)
    shop.messages.drop_all()

    advance(A_DAY)
    sweep()

    assert ended(shop, large) == ("confirmed", "")


def test_a_later_deadline_gives_more_time(shop: Shop, large: Order) -> None:
    approval = Approval.objects.get()
    later = approval.deadline + A_DAY
    assert approvals.services.extend(approval.pk, later, "olga")
    assert SagaRun.objects.get().waiting_until == later

    advance(A_DAY)
    assert sweep() == 0
    assert ended(shop, large) == ("placed", "")

    advance(A_DAY)
    sweep()
    assert ended(shop, large) == ("cancelled", "not_reviewed")


def test_a_cancelled_order_is_no_longer_reviewed(shop: Shop, large: Order) -> None:
    shop.cancel(large)

    assert ended(shop, large) == ("cancelled", "cancelled_by_customer")
    assert Approval.objects.get().status == ApprovalStatus.EXPIRED
    assert_ledgers_agree(shop.sandbox_stripe)


def test_of_twenty_decisions_one_counts(shop: Shop, large: Order) -> None:
    decisions = [Decision.APPROVE, Decision.REJECT] * 10

    results = run_at_once(*(lambda one=one: decide(one) for one in decisions))

    assert results.count(True) == 1
    assert results.count(False) == 19
    winner = decisions[results.index(True)]
    expected = {
        Decision.APPROVE: ("confirmed", ""),
        Decision.REJECT: ("cancelled", "review_rejected"),
    }
    assert ended(shop, large) == expected[winner]


def test_an_order_at_the_limit_is_not_reviewed(shop: Shop, settings: Settings) -> None:
    settings.REVIEW_ABOVE_MINOR = 4500

    assert ended(shop, shop.place()) == ("confirmed", "")


def test_a_small_order_is_not_reviewed(shop: Shop) -> None:
    order = shop.place(mugs=1)

    assert ended(shop, order) == ("confirmed", "")
    assert not Approval.objects.exists()


def odd(order_id: UUID, total_minor: int, currency: str, items: dict[str, int]) -> str:
    return f"{total_minor} {currency} for {items}" if items.get("MUG") == 1 else ""


def test_a_shop_may_decide_by_a_function_of_its_own(shop: Shop, settings: Settings) -> None:
    settings.REVIEW_ABOVE_MINOR = 0
    settings.REVIEW_FUNCTION = f"{__name__}.odd"

    plain, strange = shop.place(mugs=2), shop.place(mugs=1)

    assert ended(shop, plain) == ("confirmed", "")
    assert ended(shop, strange) == ("placed", "")
    assert (
        Approval.objects.get().question == "Approve this order? 3500 eur for {'MUG': 1, 'TEE': 1}"
    )
