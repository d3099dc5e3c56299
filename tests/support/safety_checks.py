"""What must be true of every order at every moment, by our rows and by the provider's books."""

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
from tests.support.provider_ledger import OrderAtBank

HOLDS: Final[Mapping[str, tuple[set[str], ...]]] = {
    OrderStatus.PLACED: (set(), {"held"}),
    OrderStatus.CONFIRMED: ({"confirmed"},),
    OrderStatus.CANCELLING: (set(), {"held"}, {"confirmed"}, {"released"}),
    OrderStatus.CANCELLED: (set(), {"released"}),
}
"""The statuses that an order's reservations may have: all lines have the same one."""

GONE: Final = {"canceled", "succeeded"}
"""States of an intent that can no longer charge a customer."""


KEYS_ARE_KEPT: Final = timedelta(hours=24)


def assert_money_is_safe(orders: list[Order], provider: Mapping[str, OrderAtBank]) -> None:
    """By the provider's books: at most one charge, and no money of an order that is cancelled."""
    stored = dict(
        Payment.objects.exclude(provider_payment_id=None).values_list(
            "provider_payment_id", "status"
        )
    )
    assert set(provider) <= {str(order.pk) for order in orders}
    for order in orders:
        books = provider.get(str(order.pk), OrderAtBank())
        moved = books.held_minor + books.kept_minor
        assert books.charges <= 1, (order.pk, books)
        assert min(books.held_minor, books.kept_minor) >= 0
        assert moved <= order.total_minor, (order.pk, books)
        if order.status == OrderStatus.PLACED:
            assert books.kept_minor == 0, (order.pk, books)
        if order.status == OrderStatus.CONFIRMED:
            assert moved == order.total_minor, (order.pk, books)
        if order.status == OrderStatus.CANCELLED:
            assert moved == 0, (order.pk, books)
            assert {state for pk, state in books.intents.items() if pk in stored} <= GONE
        for payment_id, state in books.intents.items():
            # An intent that we do not know of was never confirmed, and never will be.
            assert payment_id in stored or state in ("requires_confirmation", "canceled")


def assert_asked_once(provider: Mapping[str, OrderAtBank], passed: timedelta) -> None:
    """All attempts ask for one intent while the provider remembers the idempotency key."""
    for order_id, books in provider.items():
        assert len(books.intents) <= 1 + passed // KEYS_ARE_KEPT, (order_id, books)


def assert_stock_is_safe(orders: list[Order]) -> None:
    """Every stock level is the sum of its movements; an order holds all of its lines or none."""
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
        assert set(found) in HOLDS[order.status], (order.pk, order.status, found)
        assert sum(found.values()) in (0, wanted[order.pk])


def assert_runs_are_safe(orders: list[Order]) -> None:
    """Every order that has not ended has a live run, which knows when to wake up."""
    live = {run.subject_id: run for run in SagaRun.objects.filter(status__in=LIVE)}
    asked = Counter(
        StepAttempt.objects.filter(outcome=Outcome.STARTED).values_list("run_id", flat=True)
    )
    for order in orders:
        if order.status == OrderStatus.CANCELLED:
            assert order.pk not in live
        elif order.status != OrderStatus.CONFIRMED:
            assert order.pk in live, (order.pk, order.status)
    for run in live.values():
        assert run.wake_at is not None
        assert asked.pop(run.pk, 0) == (run.leased_until is not None)
    assert not asked
    failed = StepAttempt.objects.filter(outcome=Outcome.FAILED).values_list(
        "step", "error", "detail"
    )
    assert list(failed) == []


def assert_moves_are_safe(orders: list[Order]) -> None:
    """Every transition of an order is allowed and recorded; every event is recorded once."""
    moves: dict[UUID, list[OrderTransition]] = defaultdict(list)
    for move in OrderTransition.objects.order_by("sequence"):
        moves[move.order_id].append(move)
    for order in orders:
        at = OrderStatus.PLACED
        for number, move in enumerate(moves[order.pk], start=1):
            assert (move.sequence, move.source) == (number, at)
            assert move.target in TRANSITIONS[at]
            at = OrderStatus(move.target)
        assert (order.status, order.version) == (at, len(moves[order.pk]))
    told = Counter(OutboxEvent.objects.values_list("key", "name"))
    assert set(told.values()) <= {1}, told
    for order in orders:
        has_ended = order.status == OrderStatus.CANCELLED
        was_confirmed = any(move.target == OrderStatus.CONFIRMED for move in moves[order.pk])
        assert told[order.pk, "order.cancelled"] == has_ended
        assert told[order.pk, "order.confirmed"] == was_confirmed
