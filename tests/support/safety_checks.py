"""What must be true of every order at every moment, by our rows and by the provider's ledger.

What must be true once every order has ended is in ``ledger_checks``.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models import Count, Sum

from events.models import OutboxEvent
from inventory.models import Reservation, StockLevel, StockMovement
from orders.models import Order, OrderTransition
from orders.states import TRANSITIONS, OrderStatus
from payments.models import Payment
from sagas.models import LIVE, Outcome, SagaRun, StepAttempt
from tests.support.provider_ledger import OrderMoney

RESERVATIONS: Final[Mapping[str, tuple[set[str], ...]]] = {
    OrderStatus.PLACED: (set(), {"held"}),
    OrderStatus.CONFIRMED: ({"confirmed"},),
    OrderStatus.CANCELLING: (set(), {"held"}, {"confirmed"}, {"released"}),
    OrderStatus.CANCELLED: (set(), {"released"}),
}
"""The statuses that an order's reservations may have: all lines have the same one."""

CLOSED: Final = {"canceled", "succeeded"}
"""States of an intent that can no longer charge a customer."""

KEY_LIFETIME: Final = timedelta(hours=24)


def assert_money_is_safe(orders: list[Order], ledger: Mapping[str, OrderMoney]) -> None:
    """Check the provider's ledger: a charge for each payment at most, no money of a cancelled order."""
    stored = dict(
        Payment.objects.exclude(provider_payment_id=None).values_list(
            "provider_payment_id", "status"
        )
    )
    payments = Counter(Payment.objects.values_list("order_id", flat=True))
    assert set(ledger) <= {str(order.pk) for order in orders}
    for order in orders:
        money = ledger.get(str(order.pk), OrderMoney())
        moved = money.held_minor + money.kept_minor
        assert money.charges <= max(payments[order.pk], 1), (order.pk, money)
        assert min(money.held_minor, money.kept_minor) >= 0
        assert moved <= order.total_minor, (order.pk, money)
        if order.status == OrderStatus.PLACED:
            assert money.kept_minor == 0, (order.pk, money)
        if order.status == OrderStatus.CONFIRMED:
            assert moved == order.total_minor, (order.pk, money)
        if order.status == OrderStatus.CANCELLED:
            assert moved == 0, (order.pk, money)
            assert {state for pk, state in money.intents.items() if pk in stored} <= CLOSED
        for payment_id, state in money.intents.items():
            # An intent whose id we do not have was never confirmed, and cannot be.
            assert payment_id in stored or state in ("requires_confirmation", "canceled")


def assert_one_intent_per_key(ledger: Mapping[str, OrderMoney], passed: timedelta) -> None:
    """Check that a payment asks for one intent while the provider keeps its idempotency key."""
    payments = Counter(map(str, Payment.objects.values_list("order_id", flat=True)))
    for order_id, money in ledger.items():
        most = payments[order_id] * (1 + passed // KEY_LIFETIME)
        assert len(money.intents) <= most, (order_id, money)


def assert_stock_is_safe(orders: list[Order]) -> None:
    """Check each stock level against its movements; an order reserves all of its lines or none."""
    sums: Counter[tuple[int, str]] = Counter()
    for level, kind, total in (
        StockMovement.objects.values_list("stock_level", "kind")
        .annotate(Sum("quantity"))
        .order_by()
    ):
        sums[level, kind] = total
    held: Counter[int] = Counter()
    lines: dict[UUID, Counter[str]] = defaultdict(Counter)
    for order_id, level, quantity, status in Reservation.objects.values_list(
        "order_id", "stock_level", "quantity", "status"
    ):
        lines[order_id][status] += 1
        held[level] += quantity * (status != "released")
    for pk, on_hand, reserved in StockLevel.objects.values_list("pk", "on_hand", "reserved"):
        assert on_hand == sums[pk, "receipt"]
        assert reserved == sums[pk, "reserve"] - sums[pk, "release"] == held[pk]
        assert reserved <= on_hand
    wanted = dict(Order.objects.values_list("pk").annotate(Count("lines")))
    for order in orders:
        found = lines[order.pk]
        assert set(found) in RESERVATIONS[order.status], (order.pk, order.status, found)
        assert sum(found.values()) in (0, wanted[order.pk])


def assert_runs_are_safe(orders: list[Order]) -> None:
    """Check that every order that has not ended has a live run with a time to wake up."""
    live = {run.subject_id: run for run in SagaRun.objects.filter(status__in=LIVE)}
    started = Counter(
        StepAttempt.objects.filter(outcome=Outcome.STARTED).values_list("run_id", flat=True)
    )
    for order in orders:
        if order.status == OrderStatus.CANCELLED:
            assert order.pk not in live
        elif order.status != OrderStatus.CONFIRMED:
            assert order.pk in live, (order.pk, order.status)
    for run in live.values():
        assert run.wake_at is not None
        assert started.pop(run.pk, 0) == (run.leased_until is not None)
    assert not started
    failed = StepAttempt.objects.filter(outcome=Outcome.FAILED).values_list(
        "step", "error", "detail"
    )
    assert list(failed) == []


def assert_transitions_are_safe(orders: list[Order]) -> None:
    """Check that every transition is allowed and recorded, and every event recorded once."""
    transitions: dict[UUID, list[OrderTransition]] = defaultdict(list)
    for transition in OrderTransition.objects.order_by("sequence"):
        transitions[transition.order_id].append(transition)
    for order in orders:
        at = OrderStatus.PLACED
        for number, transition in enumerate(transitions[order.pk], start=1):
            assert (transition.sequence, transition.source) == (number, at)
            assert transition.target in TRANSITIONS[at]
            at = OrderStatus(transition.target)
        assert (order.status, order.version) == (at, len(transitions[order.pk]))
    events = Counter(OutboxEvent.objects.values_list("key", "name", "payload__payment_id"))
    assert set(events.values()) <= {1}, events
    recorded = Counter((key, name) for key, name, _ in events)
    for order in orders:
        has_ended = order.status == OrderStatus.CANCELLED
        was_confirmed = any(
            transition.target == OrderStatus.CONFIRMED for transition in transitions[order.pk]
        )
        assert recorded[order.pk, "order.cancelled"] == has_ended
        assert recorded[order.pk, "order.confirmed"] == was_confirmed
