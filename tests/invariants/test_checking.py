"""The check: one snapshot of everything, that reads only and finds nothing where nothing is wrong."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.db.utils import InternalError

from invariants import checking
from invariants.catalogue import INVARIANTS
from invariants.checking import LeftOut, Progress, Report, Scope, check
from invariants.invariant import Invariant
from orders.models import Order
from orders.states import OrderStatus
from payments.provider_reconciliation import read_providers
from sandbox.procfile import ROOT
from tests.support.interrupted_reads import read_while
from tests.support.run_clock import DATES, backdate
from tests.support.shop import Shop
from tests.support.storefront_client import everything

pytestmark = pytest.mark.django_db(transaction=True)

NONE = timedelta()
LATELY = Scope(changed_within=timedelta(hours=1))


def check_now(progress: Progress = Progress.SOMETIME, scope: Scope = checking.EVERYTHING) -> Report:
    """Check with the provider and without any grace, as is sound at every moment."""
    return check(reading=read_providers(), grace=NONE, progress=progress, scope=scope)


def test_a_clean_database_has_no_findings_at_any_moment_of_an_orders_life(shop: Shop) -> None:
    seen = set()

    def look() -> None:
        assert check_now().findings == []
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

    report = check_now(Progress.AT_REST)

    assert seen == set(OrderStatus)
    assert report.findings == []
    assert set(report.checked) == {each.code for each in INVARIANTS}
    assert report.orders == {"cancelled": 3}
    assert report.payments == {"refunded": 1, "voided": 1}
    assert report.reading is not None
    assert len(report.reading.balances) == 2


def test_what_moves_after_the_provider_was_read_is_no_finding(shop: Shop) -> None:
    readings = []

    def look() -> None:
        """Compare with the provider of this moment, and with every older reading."""
        readings.append(read_providers())
        for each in readings:
            report = check(reading=each, grace=NONE, progress=Progress.SOMETIME)
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
def test_what_happens_while_the_provider_is_read_is_no_finding(
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
    report = check(reading=reading, grace=NONE, progress=Progress.SOMETIME)

    assert report.findings == []
    assert report.payments == {"refunded": 1}


def test_what_is_under_way_is_a_finding_only_at_rest(shop: Shop) -> None:
    order = shop.place()

    assert check_now(Progress.ON_TIME).findings == []
    at_rest = check_now(Progress.AT_REST).findings

    assert [(each.code, each.subject) for each in at_rest] == [("T6", str(order.pk))]


def test_checking_changes_nothing(shop: Shop) -> None:
    shop.place()
    shop.messages.deliver_all()
    shop.place()
    before = everything()

    check_now(Progress.AT_REST)

    assert everything() == before


def test_the_check_could_not_write_if_it_wanted_to(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE orders_order SET version = 0")

    monkeypatch.setattr(checking.Examination, "count", write)

    with pytest.raises(InternalError, match="read-only transaction"):
        check_now()


def test_the_check_has_one_snapshot(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.place()
    count = checking.Examination.count

    def count_late(self: checking.Examination, table: str, column: str) -> dict[str, int]:
        """Count after somebody else has committed another order."""
        with ThreadPoolExecutor(1) as other:
            other.submit(place_elsewhere, shop).result()
        return count(self, table, column)

    monkeypatch.setattr(checking.Examination, "count", count_late)

    assert check_now().orders == {"placed": 1}
    assert Order.objects.count() == 3


def place_elsewhere(shop: Shop) -> None:
    """Place an order on a connection of this thread's own."""
    shop.place(mugs=1)
    connection.close()


def test_the_check_is_not_made_inside_a_transaction(shop: Shop) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        check()


def test_a_scope_of_what_has_moved_leaves_out_what_has_not(shop: Shop) -> None:
    old, lately, under_way = shop.place(), shop.place(), None
    shop.messages.deliver_all()
    backdate(old.pk)
    under_way = shop.place(mugs=1)
    backdate(under_way.pk)

    recent = check_now(scope=LATELY)
    asked = check_now(scope=Scope(changed_within=timedelta(hours=1), orders=frozenset({old.pk})))

    assert recent.looked_at == frozenset({lately.pk, under_way.pk})
    assert recent.orders == {"confirmed": 1, "placed": 1}
    assert asked.looked_at == frozenset({old.pk, lately.pk, under_way.pk})


def test_an_order_that_was_cancelled_before_its_first_step_has_moved(shop: Shop) -> None:
    order = shop.place()
    shop.cancel(order)
    shop.messages.deliver_all()

    report = check_now(scope=LATELY)

    assert report.orders == {"cancelled": 1}
    assert report.looked_at == frozenset({order.pk})


@pytest.mark.parametrize("witness", DATES)
def test_what_happened_lately_needs_one_witness(shop: Shop, witness: str) -> None:
    order, other = shop.place(mugs=1), shop.place(mugs=1)
    shop.messages.deliver_all()
    backdate(other.pk)
    backdate(order.pk, but=witness)

    assert check_now(scope=LATELY).looked_at == frozenset({order.pk})


def test_an_order_whose_runs_were_lost_does_not_escape_with_them(shop: Shop) -> None:
    order = shop.place()
    shop.messages.deliver_all()
    tamper("DELETE FROM sagas_stepattempt", "DELETE FROM sagas_sagarun")

    findings = check_now(scope=LATELY).findings

    assert [(each.code, each.subject) for each in findings] == [("T10", str(order.pk))]


def tamper(*statements: str) -> None:
    """Do what nothing of ours would, as a superuser whom no trigger stops."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            cursor.execute(statement)


def test_without_a_reading_nothing_is_said_of_the_provider(shop: Shop) -> None:
    report = check()

    assert {each.code for each in INVARIANTS} - set(report.checked) == {"M2", "M6"}
    assert report.left_out == {
        **dict.fromkeys(("M2", "M6"), LeftOut.PROVIDER),
        **dict.fromkeys(("M5", "M7", "M11"), LeftOut.PROVIDER_SIDE),
    }
    assert report.reading is None


def test_sums_of_all_history_are_left_to_the_full_check(shop: Shop) -> None:
    report = check_now(Progress.ON_TIME, Scope(changed_within=timedelta(hours=1)))

    assert {each.code for each in INVARIANTS} - set(report.checked) == {"S2", "S3", "S8"}
    assert report.left_out == dict.fromkeys(("S2", "S3", "S8"), LeftOut.HISTORY)


def test_lateness_that_was_not_asked_for_has_no_answer(shop: Shop) -> None:
    report = check_now(Progress.SOMETIME)

    late = {each.code for each in INVARIANTS if each.by}
    assert late == {"M8", "T6", "T8", "T9", "R4"}
    assert late.isdisjoint(report.checked)
    assert report.left_out == dict.fromkeys(late, LeftOut.LATENESS)


def test_a_check_of_everything_leaves_nothing_out(shop: Shop) -> None:
    assert check_now(Progress.ON_TIME).left_out == {}


def test_the_documentation_has_every_invariant_as_it_is() -> None:
    documented = (Path(ROOT) / "docs" / "invariants.md").read_text()

    for each in INVARIANTS:
        row = f"| **{each.code}** | {each.sentence} | {by_when(each)} | {how(each)} |"
        assert row in documented.splitlines()


def by_when(invariant: Invariant) -> str:
    return f"{invariant.by // timedelta(minutes=1)} min" if invariant.by else "at once"


def how(invariant: Invariant) -> str:
    """Whom it asks, whether a constraint says so too, and whether only the full check asks it."""
    asked = ["provider only"] if invariant.needs_provider else ["ours"]
    if invariant.asks_provider and not invariant.needs_provider:
        asked.append("provider")
    asked += ["E"] * invariant.is_enforced + ["full"] * invariant.sums_history
    return ", ".join(asked)
