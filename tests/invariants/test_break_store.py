"""Breaks: written once, seen again, resolved, and about money a reason to stop."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import IntegrityError, connection

from invariants import break_store
from invariants.break_store import Recorded, orders_with_breaks, record, resolve
from invariants.checking import EVERYTHING, RECENT, Finding, Report, Scope, check
from invariants.models import ReconciliationBreak
from orders.models import Order
from orders.states import OrderStatus
from payments.errors import OutcomeUnknown
from payments.provider_reconciliation import ProviderReading, read_providers, read_recent
from sagas.identifiers import new_id
from sagas.models import SagaRun
from sagas.services import resume
from sandbox.stripe_process import SandboxServer
from tests.support.ledger_checks import assert_books_balance
from tests.support.provider_calls import asking, calls_since, mark, provider
from tests.support.run_clock import backdate
from tests.support.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)

NONE = timedelta()


def check_with_provider(scope: Scope = EVERYTHING) -> Report:
    return check(reading=read_providers(), scope=scope, grace=NONE)


def check_and_record(scope: Scope = EVERYTHING) -> Recorded:
    return record(check_with_provider(scope))


def execute(statement: str, *values: UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def the_break() -> ReconciliationBreak:
    return ReconciliationBreak.objects.get()


@pytest.fixture
def confirmed(shop: Shop) -> Order:
    order = shop.place()
    shop.messages.deliver_all()
    return order


@pytest.fixture
def capturing(shop: Shop) -> Order:
    """Confirmed; the message that has its money captured waits."""
    order = shop.place()
    shop.deliver_next()
    return order


@pytest.fixture
def miscounted(confirmed: Order) -> Order:
    execute("UPDATE orders_order SET version = 7 WHERE id = %s", confirmed.pk)
    return confirmed


def cancel_at_the_provider(order: Order) -> None:
    """Cancel a payment as staff could in the provider's dashboard, without telling us."""
    (balance,) = (each for each in read_providers().balances if each.order_id == str(order.pk))
    provider.cancel_payment(balance.provider_payment_id, **asking())


def test_a_finding_becomes_a_break(miscounted: Order) -> None:
    report = check_with_provider()

    recorded = record(report)

    assert recorded == Recorded(opened=1, seen_again=0, resolved=0, paused=0)
    found = the_break()
    assert (found.code, found.kind, found.subject) == ("T4", "state", str(miscounted.pk))
    assert found.detail == "version 7, moves 1"
    assert (found.first_seen, found.last_seen, found.times_seen) == (
        report.taken_at,
        report.taken_at,
        1,
    )
    assert (found.resolved_at, found.resolution, found.order_paused_at) == (None, "", None)


def test_a_finding_seen_again_is_the_same_break(miscounted: Order) -> None:
    check_and_record()
    first = the_break()
    execute("UPDATE orders_order SET version = 8 WHERE id = %s", miscounted.pk)

    recorded = check_and_record()

    again = the_break()
    assert recorded == Recorded(opened=0, seen_again=1, resolved=0, paused=0)
    assert (again.pk, again.first_seen, again.times_seen) == (first.pk, first.first_seen, 2)
    assert again.last_seen > first.last_seen
    assert again.detail == "version 8, moves 1"


def test_what_is_gone_is_resolved_and_stays_written_down(miscounted: Order) -> None:
    check_and_record()
    execute("UPDATE orders_order SET version = 1 WHERE id = %s", miscounted.pk)

    report = check_with_provider()
    recorded = record(report)

    gone = the_break()
    assert recorded == Recorded(opened=0, seen_again=0, resolved=1, paused=0)
    assert (gone.resolved_at, gone.resolution) == (report.taken_at, "no longer found")
    assert gone.resolved_by == ""


def test_what_breaks_again_is_a_new_break(miscounted: Order) -> None:
    check_and_record()
    resolve(the_break().pk, "counted by hand", "grace")

    check_and_record()

    old, new = ReconciliationBreak.objects.order_by("pk")
    assert (old.resolution, old.resolved_by) == ("counted by hand", "grace")
    assert (new.times_seen, new.resolved_at) == (1, None)


def test_what_is_resolved_is_not_resolved_again(miscounted: Order) -> None:
    check_and_record()
    found = the_break()

    assert resolve(found.pk, "counted by hand", "grace")
    assert not resolve(found.pk, "never mind", "mallory")

    assert the_break().resolution == "counted by hand"


@pytest.mark.parametrize(
    "look",
    [
        lambda order: check(reading=read_providers(), scope=Scope(orders=frozenset({new_id()}))),
        lambda order: replace(check_with_provider(), checked=("T1",)),
    ],
    ids=["other orders", "other invariants"],
)
def test_a_check_that_could_not_have_seen_it_resolves_nothing(
    miscounted: Order, look: Callable[[Order], Report]
) -> None:
    check_and_record()
    execute("UPDATE orders_order SET version = 1 WHERE id = %s", miscounted.pk)

    recorded = record(look(miscounted))

    assert recorded.resolved == 0
    assert the_break().is_open


def test_an_open_break_is_looked_at_however_old_its_order_is(miscounted: Order) -> None:
    check_and_record()
    backdate(miscounted.pk)
    lately = Scope(changed_within=RECENT)

    assert check(scope=lately).findings == []
    assert orders_with_breaks() == frozenset({miscounted.pk})
    assert check_and_record(replace(lately, orders=orders_with_breaks())).seen_again == 1


def test_a_break_about_the_provider_is_resolved_only_by_a_check_that_read_it(
    shop: Shop, confirmed: Order
) -> None:
    planted = Finding("M2", "money", str(confirmed.pk), "4500 eur at stripe")
    record(replace(check_with_provider(), findings=[planted]))

    assert record(check(grace=NONE)).resolved == 0
    assert record(replace(check_with_provider(), reading=younger_than(confirmed))).resolved == 0
    assert the_break().is_open

    assert record(check(reading=read_recent(RECENT))).resolved == 1


def younger_than(order: Order) -> ProviderReading:
    """Return a reading that need not have the payments of ``order``."""
    return replace(read_providers(), complete_since=order.created_at + timedelta(minutes=1))


def test_a_report_that_comes_late_resolves_nothing_that_was_seen_after_it(
    miscounted: Order,
) -> None:
    execute("UPDATE orders_order SET version = 1 WHERE id = %s", miscounted.pk)
    late = check_with_provider()
    execute("UPDATE orders_order SET version = 7 WHERE id = %s", miscounted.pk)
    check_and_record()

    assert record(late).resolved == 0

    assert the_break().is_open


def test_two_recorders_at_once_write_one_break(miscounted: Order) -> None:
    report = check_with_provider()

    def record_elsewhere() -> Recorded:
        try:
            return record(report)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as recorders:
        came = [each.result() for each in [recorders.submit(record_elsewhere) for _ in range(8)]]

    assert sum(each.opened for each in came) == 1
    assert the_break().times_seen == 8


def test_money_in_doubt_twice_pauses_the_order(
    shop: Shop, sandbox_stripe: SandboxServer, capturing: Order
) -> None:
    cancel_at_the_provider(capturing)

    once = check_and_record()
    run = SagaRun.objects.get()
    assert (once.paused, run.paused_at) == (0, None)
    twice = check_and_record()
    seen = mark(sandbox_stripe)
    shop.messages.deliver_all()

    run.refresh_from_db()
    assert (twice.paused, the_break().order_paused_at is not None) == (1, True)
    assert (run.step, run.attempt_count) == ("capture_payment", 0)
    assert run.needs_attention
    assert run.attention_reason.startswith("paused by M6: authorized 4500 eur with us; at stripe")
    assert calls_since(sandbox_stripe, seen) == []


def test_a_frozen_order_can_still_be_cancelled(
    shop: Shop, sandbox_stripe: SandboxServer, capturing: Order
) -> None:
    cancel_at_the_provider(capturing)
    check_and_record()
    check_and_record()

    shop.cancel(capturing)
    shop.messages.deliver_all()

    capturing.refresh_from_db()
    assert capturing.status == OrderStatus.CANCELLED
    assert_books_balance(sandbox_stripe)
    assert check_and_record() == Recorded(opened=0, seen_again=0, resolved=1, paused=0)


def test_what_a_person_has_thawed_is_not_frozen_again(
    shop: Shop, sandbox_stripe: SandboxServer, capturing: Order
) -> None:
    cancel_at_the_provider(capturing)
    check_and_record()
    check_and_record()

    resume(capturing.pk)
    recorded = check_and_record()

    assert (recorded.seen_again, recorded.paused) == (1, 0)
    assert SagaRun.objects.get().paused_at is None


def test_what_is_well_when_it_is_read_again_is_not_paused(capturing: Order) -> None:
    doubt = Finding("M6", "money", str(capturing.pk), "0 held of 4500")
    suspicious = replace(check_with_provider(), findings=[doubt])
    record(suspicious)

    recorded = record(suspicious)

    assert (recorded.seen_again, recorded.paused) == (1, 0)
    run = SagaRun.objects.get()
    assert (run.paused_at, run.needs_attention) == (None, False)


def test_what_cannot_be_read_again_is_not_paused(
    sandbox_stripe: SandboxServer, capturing: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel_at_the_provider(capturing)
    check_and_record()
    report = check_with_provider()

    def silence(_: object) -> ProviderReading:
        raise OutcomeUnknown("no answer")

    monkeypatch.setattr(break_store, "read_again", silence)

    assert record(report).paused == 0
    assert SagaRun.objects.get().paused_at is None


def test_a_payment_that_the_provider_does_not_know_pauses_its_order(capturing: Order) -> None:
    execute("UPDATE payments_payment SET provider_payment_id = 'pi_unknown'")

    check_and_record()
    check_and_record()

    assert SagaRun.objects.get().paused_at is not None


def test_a_run_that_this_code_does_not_know_stops_no_recorder(capturing: Order) -> None:
    cancel_at_the_provider(capturing)
    SagaRun.objects.update(version=99)

    check_and_record()
    recorded = check_and_record()

    assert (recorded.seen_again, recorded.paused) == (1, 0)
    assert SagaRun.objects.get().paused_at is None


def test_a_finding_about_something_else_freezes_nothing(shop: Shop) -> None:
    order = shop.place()
    execute("UPDATE orders_order SET version = 7 WHERE id = %s", order.pk)

    check_and_record()
    check_and_record()

    assert the_break().times_seen == 2
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


def test_a_break_has_one_of_the_kinds(miscounted: Order) -> None:
    check_and_record()

    with pytest.raises(IntegrityError, match="invariants_break_kind_known"):
        ReconciliationBreak.objects.update(kind="safety")

    assert the_break().kind == "state"
