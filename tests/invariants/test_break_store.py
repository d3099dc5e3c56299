"""Breaks: stored once, seen again, resolved; a break about money pauses its order."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import IntegrityError, connection

from invariants import break_store
from invariants.break_store import BreakChanges, orders_with_breaks, record, resolve
from invariants.checking import ALL_ORDERS, RECENT, CheckReport, Finding, OrderScope, check
from invariants.models import ReconciliationBreak
from orders.models import Order
from orders.states import OrderStatus
from payments.errors import OutcomeUnknown
from payments.provider_reconciliation import ProviderReading, read_providers, read_recent
from sagas.identifiers import new_id
from sagas.models import SagaRun
from sagas.services import resume
from sandbox.stripe_process import SandboxServer
from tests.support.clock import backdate
from tests.support.ledger_checks import assert_ledgers_agree
from tests.support.shop import Shop
from tests.support.stripe_calls import call_options, calls_since, last_call_number, provider
from tests.support.threads import start_thread

pytestmark = pytest.mark.django_db(transaction=True)

NO_GRACE = timedelta()


def check_with_provider(scope: OrderScope = ALL_ORDERS) -> CheckReport:
    return check(reading=read_providers(), scope=scope, grace=NO_GRACE)


def check_and_record(scope: OrderScope = ALL_ORDERS) -> BreakChanges:
    return record(check_with_provider(scope))


def execute(statement: str, *values: UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def only_break() -> ReconciliationBreak:
    return ReconciliationBreak.objects.get()


@pytest.fixture
def confirmed(shop: Shop) -> Order:
    order = shop.place()
    shop.messages.deliver_all()
    return order


@pytest.fixture
def capturing(shop: Shop) -> Order:
    """A confirmed order whose message for the capture is not delivered yet."""
    order = shop.place()
    shop.deliver_next()
    return order


@pytest.fixture
def miscounted(confirmed: Order) -> Order:
    execute("UPDATE orders_order SET version = 7 WHERE id = %s", confirmed.pk)
    return confirmed


def cancel_at_the_provider(order: Order) -> None:
    """Cancel a payment as staff can in the provider's dashboard, without our knowledge."""
    states = read_providers().payments
    (state,) = (found for found in states if found.order_id == str(order.pk))
    provider.cancel_payment(state.provider_payment_id, **call_options())


def test_a_finding_becomes_a_break(miscounted: Order) -> None:
    report = check_with_provider()

    recorded = record(report)

    assert recorded == BreakChanges(opened=1, seen_again=0, resolved=0, paused=0)
    found = only_break()
    assert (found.code, found.kind, found.subject) == ("T4", "state", str(miscounted.pk))
    assert found.detail == "version 7, transitions 1"
    assert (found.first_seen, found.last_seen, found.times_seen) == (
        report.taken_at,
        report.taken_at,
        1,
    )
    assert (found.resolved_at, found.resolution, found.order_paused_at) == (None, "", None)


def test_a_finding_seen_again_is_the_same_break(miscounted: Order) -> None:
    check_and_record()
    first = only_break()
    execute("UPDATE orders_order SET version = 8 WHERE id = %s", miscounted.pk)

    recorded = check_and_record()

    again = only_break()
    assert recorded == BreakChanges(opened=0, seen_again=1, resolved=0, paused=0)
    assert (again.pk, again.first_seen, again.times_seen) == (first.pk, first.first_seen, 2)
    assert again.last_seen > first.last_seen
    assert again.detail == "version 8, transitions 1"


def test_a_break_that_is_gone_is_resolved_and_kept(miscounted: Order) -> None:
    check_and_record()
    execute("UPDATE orders_order SET version = 1 WHERE id = %s", miscounted.pk)

    report = check_with_provider()
    recorded = record(report)

    gone = only_break()
    assert recorded == BreakChanges(opened=0, seen_again=0, resolved=1, paused=0)
    assert (gone.resolved_at, gone.resolution) == (report.taken_at, "no longer found")
    assert gone.resolved_by == ""


def test_an_invariant_that_breaks_again_gets_a_new_break(miscounted: Order) -> None:
    check_and_record()
    resolve(only_break().pk, "counted by hand", "grace")

    check_and_record()

    old, new = ReconciliationBreak.objects.order_by("pk")
    assert (old.resolution, old.resolved_by) == ("counted by hand", "grace")
    assert (new.times_seen, new.resolved_at) == (1, None)


def test_a_break_is_resolved_only_once(miscounted: Order) -> None:
    check_and_record()
    found = only_break()

    assert resolve(found.pk, "counted by hand", "grace")
    assert not resolve(found.pk, "never mind", "mallory")

    assert only_break().resolution == "counted by hand"


@pytest.mark.parametrize(
    "make_report",
    [
        lambda order: check(
            reading=read_providers(), scope=OrderScope(orders=frozenset({new_id()}))
        ),
        lambda order: replace(check_with_provider(), checked_codes=("T1",)),
    ],
    ids=["other orders", "other invariants"],
)
def test_a_check_that_does_not_cover_a_break_does_not_resolve_it(
    miscounted: Order, make_report: Callable[[Order], CheckReport]
) -> None:
    check_and_record()
    execute("UPDATE orders_order SET version = 1 WHERE id = %s", miscounted.pk)

    recorded = record(make_report(miscounted))

    assert recorded.resolved == 0
    assert only_break().is_open


def test_a_check_covers_open_breaks_of_old_orders(miscounted: Order) -> None:
    check_and_record()
    backdate(miscounted.pk)
    lately = OrderScope(changed_within=RECENT)

    assert check(scope=lately).findings == []
    assert orders_with_breaks() == frozenset({miscounted.pk})
    assert check_and_record(replace(lately, orders=orders_with_breaks())).seen_again == 1


def test_a_break_about_the_provider_is_resolved_only_by_a_check_that_read_it(
    shop: Shop, confirmed: Order
) -> None:
    planted = Finding("M2", "money", str(confirmed.pk), "4500 eur at stripe")
    record(replace(check_with_provider(), findings=[planted]))

    assert record(check(grace=NO_GRACE)).resolved == 0
    assert record(replace(check_with_provider(), reading=younger_than(confirmed))).resolved == 0
    assert only_break().is_open

    assert record(check(reading=read_recent(RECENT))).resolved == 1


def younger_than(order: Order) -> ProviderReading:
    """Return a reading that may lack the payments of ``order``."""
    return replace(read_providers(), complete_since=order.created_at + timedelta(minutes=1))


def test_a_late_report_does_not_resolve_a_break_seen_after_it(
    miscounted: Order,
) -> None:
    execute("UPDATE orders_order SET version = 1 WHERE id = %s", miscounted.pk)
    late = check_with_provider()
    execute("UPDATE orders_order SET version = 7 WHERE id = %s", miscounted.pk)
    check_and_record()

    assert record(late).resolved == 0

    assert only_break().is_open


def test_concurrent_recorders_write_one_break(miscounted: Order) -> None:
    report = check_with_provider()

    futures = [start_thread(record, report) for _ in range(8)]
    results = [future.result() for future in futures]

    assert sum(changes.opened for changes in results) == 1
    assert only_break().times_seen == 8


def test_a_money_break_seen_twice_pauses_the_order(
    shop: Shop, sandbox_stripe: SandboxServer, capturing: Order
) -> None:
    cancel_at_the_provider(capturing)

    once = check_and_record()
    run = SagaRun.objects.get()
    assert (once.paused, run.paused_at) == (0, None)
    twice = check_and_record()
    seen = last_call_number(sandbox_stripe)
    shop.messages.deliver_all()

    run.refresh_from_db()
    assert (twice.paused, only_break().order_paused_at is not None) == (1, True)
    assert (run.step, run.attempt_count) == ("capture_payment", 0)
    assert run.needs_attention
    assert run.attention_reason.startswith("paused by M6: authorized 4500 eur with us; at stripe")
    assert calls_since(sandbox_stripe, seen) == []


def test_a_paused_order_can_still_be_cancelled(
    shop: Shop, sandbox_stripe: SandboxServer, capturing: Order
) -> None:
    cancel_at_the_provider(capturing)
    check_and_record()
    check_and_record()

    shop.cancel(capturing)
    shop.messages.deliver_all()

    capturing.refresh_from_db()
    assert capturing.status == OrderStatus.CANCELLED
    assert_ledgers_agree(sandbox_stripe)
    assert check_and_record() == BreakChanges(opened=0, seen_again=0, resolved=1, paused=0)


def test_an_order_that_staff_resumed_is_not_paused_again(
    shop: Shop, sandbox_stripe: SandboxServer, capturing: Order
) -> None:
    cancel_at_the_provider(capturing)
    check_and_record()
    check_and_record()

    resume(capturing.pk)
    recorded = check_and_record()

    assert (recorded.seen_again, recorded.paused) == (1, 0)
    assert SagaRun.objects.get().paused_at is None


def test_an_order_is_not_paused_if_the_check_under_the_lock_finds_nothing(capturing: Order) -> None:
    doubt = Finding("M6", "money", str(capturing.pk), "0 held of 4500")
    suspicious = replace(check_with_provider(), findings=[doubt])
    record(suspicious)

    recorded = record(suspicious)

    assert (recorded.seen_again, recorded.paused) == (1, 0)
    run = SagaRun.objects.get()
    assert (run.paused_at, run.needs_attention) == (None, False)


def test_an_order_is_not_paused_if_the_provider_cannot_be_read_again(
    sandbox_stripe: SandboxServer, capturing: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel_at_the_provider(capturing)
    check_and_record()
    report = check_with_provider()

    def silence(_: object) -> ProviderReading:
        raise OutcomeUnknown("no answer")

    monkeypatch.setattr(break_store, "read_payments", silence)

    assert record(report).paused == 0
    assert SagaRun.objects.get().paused_at is None


def test_a_payment_that_the_provider_does_not_know_pauses_its_order(capturing: Order) -> None:
    execute("UPDATE payments_payment SET provider_payment_id = 'pi_unknown'")

    check_and_record()
    check_and_record()

    assert SagaRun.objects.get().paused_at is not None


def test_a_run_of_an_unknown_saga_version_does_not_stop_the_recorder(capturing: Order) -> None:
    cancel_at_the_provider(capturing)
    SagaRun.objects.update(version=99)

    check_and_record()
    recorded = check_and_record()

    assert (recorded.seen_again, recorded.paused) == (1, 0)
    assert SagaRun.objects.get().paused_at is None


def test_a_break_that_is_not_about_money_pauses_nothing(shop: Shop) -> None:
    order = shop.place()
    execute("UPDATE orders_order SET version = 7 WHERE id = %s", order.pk)

    check_and_record()
    check_and_record()

    assert only_break().times_seen == 2
    assert SagaRun.objects.get().paused_at is None


def test_a_cancellation_is_never_paused(
    shop: Shop, sandbox_stripe: SandboxServer, confirmed: Order
) -> None:
    shop.cancel(confirmed)
    execute("UPDATE payments_payment SET amount_minor = 4400")

    check_and_record()
    recorded = check_and_record()

    assert (recorded.seen_again > 0, recorded.paused) == (True, 0)
    assert not SagaRun.objects.filter(paused_at__isnull=False).exists()


def test_the_database_rejects_an_unknown_kind_of_break(miscounted: Order) -> None:
    check_and_record()

    with pytest.raises(IntegrityError, match="invariants_break_kind_known"):
        ReconciliationBreak.objects.update(kind="safety")

    assert only_break().kind == "state"
