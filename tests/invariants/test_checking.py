"""The check: it reads one snapshot, changes nothing, and finds nothing in a correct database."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.db.utils import InternalError
from pytest_django import Settings

from clock.now import Now, now
from invariants import checking
from invariants.catalogue import INVARIANTS
from invariants.checking import CheckReport, LeftOut, OrderScope, Strictness, check
from invariants.invariant import Invariant
from orders.models import Order
from orders.states import OrderStatus
from payments.provider_reconciliation import read_providers
from sagas.models import SagaRun
from sagas.services import move_deadline
from sandbox.procfile import ROOT
from tests.support.clock import DATES, advance, backdate
from tests.support.database import all_rows
from tests.support.interrupted_reads import read_while
from tests.support.shop import Shop
from tests.support.threads import start_thread

pytestmark = pytest.mark.django_db(transaction=True)

NO_GRACE = timedelta()
LAST_HOUR = OrderScope(changed_within=timedelta(hours=1))


def check_with_reading(
    strictness: Strictness = Strictness.SAFETY_ONLY, scope: OrderScope = checking.ALL_ORDERS
) -> CheckReport:
    """Compare with the provider without any grace: a check may do that at every moment."""
    return check(reading=read_providers(), grace=NO_GRACE, strictness=strictness, scope=scope)


def test_a_clean_database_has_no_findings_at_any_moment_of_an_order(shop: Shop) -> None:
    seen = set()

    def look() -> None:
        assert check_with_reading().findings == []
        seen.add(Order.objects.earliest("pk").status)

    confirmed = shop.place()
    while shop.messages.waiting:
        look()
        shop.deliver_next()
    shop.cancel(confirmed)
    shop.place("pm_card_visa_chargeDeclined")
    shop.place(mugs=6)
    while shop.messages.waiting:
        look()
        shop.deliver_next()
    shop.messages.deliver_all()

    report = check_with_reading(Strictness.AT_REST)

    assert seen == set(OrderStatus)
    assert report.findings == []
    assert set(report.checked_codes) == {invariant.code for invariant in INVARIANTS}
    assert report.orders == {"cancelled": 3}
    assert report.payments == {"refunded": 1, "voided": 1}
    assert report.reading is not None
    assert len(report.reading.payments) == 2


def test_changes_after_the_provider_was_read_are_no_finding(shop: Shop) -> None:
    readings = []

    def look() -> None:
        """Compare with a new reading of the provider, and with every older reading."""
        readings.append(read_providers())
        for reading in readings:
            report = check(reading=reading, grace=NO_GRACE, strictness=Strictness.SAFETY_ONLY)
            assert report.findings == []

    kept, returned = shop.place(), shop.place()
    while shop.messages.waiting:
        look()
        shop.deliver_next()
    shop.cancel(returned)
    shop.place("pm_card_visa_chargeDeclined")
    while shop.messages.waiting:
        look()
        shop.deliver_next()
    look()

    assert len(readings) >= 8
    assert Order.objects.get(pk=kept.pk).status == OrderStatus.CONFIRMED


@pytest.mark.parametrize("before", ["refunds.list", "payment_intents.list"])
@pytest.mark.parametrize("done", range(3))
def test_changes_while_the_provider_is_read_are_no_finding(
    shop: Shop, before: str, done: int
) -> None:
    order = shop.place()
    for _ in range(done):
        shop.deliver_next()

    def confirm_and_cancel() -> None:
        shop.messages.deliver_all()
        shop.cancel(order)
        shop.messages.deliver_all()

    reading = read_while(confirm_and_cancel, shop.sandbox_stripe, before, read_providers)
    report = check(reading=reading, grace=NO_GRACE, strictness=Strictness.SAFETY_ONLY)

    assert report.findings == []
    assert report.payments == {"refunded": 1}


def test_an_unfinished_order_is_a_finding_only_at_rest(shop: Shop) -> None:
    order = shop.place()

    assert check_with_reading(Strictness.ON_TIME).findings == []
    at_rest = check_with_reading(Strictness.AT_REST).findings

    assert [(finding.code, finding.subject) for finding in at_rest] == [("T6", str(order.pk))]


def test_checking_changes_nothing(shop: Shop) -> None:
    shop.place()
    shop.messages.deliver_all()
    shop.place()
    before = all_rows()

    check_with_reading(Strictness.AT_REST)

    assert all_rows() == before


def test_the_check_runs_in_a_read_only_transaction(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE orders_order SET version = 0")

    monkeypatch.setattr(checking.Examination, "count", write)

    with pytest.raises(InternalError, match="read-only transaction"):
        check_with_reading()


def test_the_check_reads_one_snapshot(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.place()
    count = checking.Examination.count

    def count_late(self: checking.Examination, table: str, column: str) -> dict[str, int]:
        """Count after another connection has committed another order."""
        start_thread(shop.place, mugs=1).result()
        return count(self, table, column)

    monkeypatch.setattr(checking.Examination, "count", count_late)

    assert check_with_reading().orders == {"placed": 1}
    assert Order.objects.count() == 3


def test_the_check_is_not_made_inside_a_transaction(shop: Shop) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        check()


def test_a_scope_by_time_leaves_out_old_orders(shop: Shop) -> None:
    old, lately, under_way = shop.place(), shop.place(), None
    shop.messages.deliver_all()
    backdate(old.pk)
    under_way = shop.place(mugs=1)
    backdate(under_way.pk)

    recent = check_with_reading(scope=LAST_HOUR)
    asked = check_with_reading(
        scope=OrderScope(changed_within=timedelta(hours=1), orders=frozenset({old.pk}))
    )

    assert recent.checked_orders == frozenset({lately.pk, under_way.pk})
    assert recent.orders == {"confirmed": 1, "placed": 1}
    assert asked.checked_orders == frozenset({old.pk, lately.pk, under_way.pk})


def test_a_scope_by_time_leaves_out_an_order_that_has_waited_for_longer_until_its_deadline(
    shop: Shop,
) -> None:
    waiting, lately = shop.place(mugs=1), shop.place(mugs=1)
    shop.messages.drop_all()
    for order in (waiting, lately):
        SagaRun.objects.filter(subject_id=order.pk).update(
            waits_for="a_person",
            waiting_since=Now(),
            waiting_until=Now() + timedelta(hours=1),
            wake_at=Now() + timedelta(hours=1),
        )
    backdate(waiting.pk)

    def checked() -> frozenset[UUID] | None:
        return check_with_reading(scope=LAST_HOUR).checked_orders

    assert checked() == frozenset({lately.pk})
    SagaRun.objects.filter(subject_id=waiting.pk).update(wake_at=Now())
    assert checked() == frozenset({waiting.pk, lately.pk})
    SagaRun.objects.filter(subject_id=waiting.pk).delete()
    assert checked() == frozenset({waiting.pk, lately.pk})


def test_a_scope_by_time_includes_an_order_cancelled_before_its_first_step(shop: Shop) -> None:
    order = shop.place()
    shop.cancel(order)
    shop.messages.deliver_all()

    report = check_with_reading(scope=LAST_HOUR)

    assert report.orders == {"cancelled": 1}
    assert report.checked_orders == frozenset({order.pk})


@pytest.mark.parametrize("witness", DATES)
def test_any_one_recent_date_puts_an_order_into_the_scope(shop: Shop, witness: str) -> None:
    order, other = shop.place(mugs=1), shop.place(mugs=1)
    shop.messages.deliver_all()
    backdate(other.pk)
    backdate(order.pk, but=witness)

    assert check_with_reading(scope=LAST_HOUR).checked_orders == frozenset({order.pk})


def test_an_order_whose_runs_were_deleted_is_still_checked(shop: Shop) -> None:
    order = shop.place()
    shop.messages.deliver_all()
    tamper("DELETE FROM sagas_stepattempt", "DELETE FROM sagas_sagarun")

    findings = check_with_reading(scope=LAST_HOUR).findings

    assert [(finding.code, finding.subject) for finding in findings] == [("T10", str(order.pk))]


def tamper(*statements: str) -> None:
    """Change rows as no code of ours does: as a superuser, with triggers switched off."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            cursor.execute(statement)


def test_a_check_without_a_reading_leaves_out_the_provider(shop: Shop) -> None:
    report = check()

    assert {invariant.code for invariant in INVARIANTS} - set(report.checked_codes) == {"M2", "M6"}
    assert report.left_out == {
        **dict.fromkeys(("M2", "M6"), LeftOut.PROVIDER),
        **dict.fromkeys(("M5", "M7", "M11"), LeftOut.PROVIDER_SIDE),
    }
    assert report.reading is None


def test_only_the_full_check_sums_all_history(shop: Shop) -> None:
    report = check_with_reading(Strictness.ON_TIME, OrderScope(changed_within=timedelta(hours=1)))

    assert {invariant.code for invariant in INVARIANTS} - set(report.checked_codes) == {
        "S2",
        "S3",
        "S8",
    }
    assert report.left_out == dict.fromkeys(("S2", "S3", "S8"), LeftOut.HISTORY)


def test_a_safety_check_leaves_out_lateness(shop: Shop) -> None:
    report = check_with_reading(Strictness.SAFETY_ONLY)

    late = {invariant.code for invariant in INVARIANTS if invariant.time_limit}
    assert late == {"M8", "M13", "T6", "T8", "T9", "R4"}
    assert late.isdisjoint(report.checked_codes)
    assert report.left_out == dict.fromkeys(late, LeftOut.LATENESS)


def test_a_payment_is_not_unknown_while_its_order_waits_for_its_customer(
    shop: Shop, settings: Settings
) -> None:
    settings.PAYMENT_GRACE = timedelta(minutes=15)
    order = shop.place("pm_card_authenticationRequired")
    shop.messages.deliver_all()
    move_deadline(order.pk, "authentication_required", now() + timedelta(days=1))
    advance(timedelta(minutes=20))

    def late() -> list[str]:
        return [finding.code for finding in check_with_reading(Strictness.ON_TIME).findings]

    assert "M8" not in late()
    SagaRun.objects.update(waits_for="", waiting_since=None, waiting_until=None)
    assert "M8" in late()


def test_a_full_check_leaves_nothing_out(shop: Shop) -> None:
    assert check_with_reading(Strictness.ON_TIME).left_out == {}


def test_the_documentation_lists_every_invariant() -> None:
    documented = (Path(ROOT) / "docs" / "invariants.md").read_text()

    for invariant in INVARIANTS:
        row = (
            f"| **{invariant.code}** | {invariant.sentence} | {time_limit(invariant)} |"
            f" {how(invariant)} |"
        )
        assert row in documented.splitlines()


def time_limit(invariant: Invariant) -> str:
    if not invariant.time_limit:
        return "at once"
    if days := invariant.time_limit // timedelta(days=1):
        return f"{days} days"
    return f"{invariant.time_limit // timedelta(minutes=1)} min"


def how(invariant: Invariant) -> str:
    """What it compares, whether a constraint enforces it too, and whether only the full check has it."""
    compared = ["provider only"] if invariant.needs_provider else ["ours"]
    if invariant.asks_provider and not invariant.needs_provider:
        compared.append("provider")
    compared += ["E"] * invariant.is_enforced + ["full"] * invariant.sums_history
    return ", ".join(compared)
