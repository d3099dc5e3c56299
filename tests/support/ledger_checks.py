"""What must be true of our rows, the stock and the provider once every order has ended."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.db.models import Model

from events.models import OutboxEvent
from inventory.models import MovementKind, Reservation, ReservationStatus, StockLevel, StockMovement
from orders.models import Order, OrderLine, OrderTransition
from orders.states import OrderStatus
from payments.models import Payment, Refund
from payments.states import PaymentStatus
from sagas.models import LIVE, SagaRun, StepAttempt
from sandbox.stripe_process import SandboxServer
from tests.support.provider_ledger import intents_for, money_of

CAPTURED = ("succeeded", PaymentStatus.CAPTURED)
CLOSED = (("canceled", PaymentStatus.VOIDED), ("succeeded", PaymentStatus.REFUNDED))


def no_run_is_live() -> bool:
    """Return whether every run has ended."""
    return not SagaRun.objects.filter(status__in=LIVE).exists()


def live_runs() -> list[str]:
    """Return where each run is that has not ended, and what it waits for."""
    return [
        f"{run.saga} of {run.subject_id} at {run.step or 'its compensations'}"
        + (f" waits for {run.waits_for} until {run.waiting_until}" if run.waits_for else "")
        for run in SagaRun.objects.filter(status__in=LIVE)
    ]


def assert_ledgers_agree(sandbox_stripe: SandboxServer) -> None:
    """Check all orders against the provider's ledger, the events and the stock. No run may be live."""
    live = live_runs()
    assert not live, f"not ended: {'; '.join(live)}"
    orders = list(Order.objects.all())
    for order in orders:
        _assert_money_is_right(sandbox_stripe, order)
        _assert_events_are_recorded_once(order)
    _assert_stock_is_conserved(orders)


def our_rows() -> dict[str, list[dict[str, Any]]]:
    """Return every row of ours that processing an order can change."""
    tables: Iterable[type[Model]] = (
        *(Order, OrderTransition, SagaRun, StepAttempt, Payment, Refund),
        *(Reservation, StockLevel, StockMovement, OutboxEvent),
    )
    return {
        model.__name__: list(model._default_manager.order_by("pk").values()) for model in tables
    }


def snapshot(sandbox_stripe: SandboxServer) -> dict[str, list[dict[str, Any]]]:
    """Return everything that processing an order can change, ours and the provider's."""
    ledger = sandbox_stripe.ledger()
    kinds = ("payment_intents", "charges", "refunds")
    return {**our_rows(), **{kind: ledger[kind] for kind in kinds}}


def _assert_money_is_right(sandbox_stripe: SandboxServer, order: Order) -> None:
    money = money_of(sandbox_stripe, order.pk)
    states = _intent_and_payment_states(sandbox_stripe, order)
    payments = Payment.objects.filter(order_id=order.pk).count()
    assert money.charges <= payments
    if order.status == OrderStatus.CONFIRMED:
        assert (money.held_minor, money.kept_minor) == (0, order.total_minor)
        replaced = [state for state in states if state != CAPTURED]
        assert len(states) - len(replaced) == 1
        assert all(state in CLOSED for state in replaced), states
        assert len(intents_for(sandbox_stripe.ledger(), order.pk)) == payments
        return
    assert order.status == OrderStatus.CANCELLED
    assert (money.held_minor, money.kept_minor) == (0, 0)
    assert all(state in CLOSED for state in states), states
    assert _our_refunds(order) == _refunds_at_provider(sandbox_stripe, order)


def _intent_and_payment_states(
    sandbox_stripe: SandboxServer, order: Order
) -> list[tuple[str, str]]:
    """Pair the provider's state of each intent with the payment's status.

    An intent whose id was lost on its way to us was never confirmed: it cannot charge.
    """
    ours = dict(
        Payment.objects.filter(order_id=order.pk).values_list("provider_payment_id", "status")
    )
    pairs = []
    for intent in intents_for(sandbox_stripe.ledger(), order.pk):
        if intent["id"] in ours:
            pairs.append((intent["status"], ours[intent["id"]]))
        else:
            assert intent["status"] in ("requires_confirmation", "canceled")
            assert intent["latest_charge"] is None
    return pairs


def _our_refunds(order: Order) -> list[tuple[str, str]]:
    refunds = Refund.objects.filter(payment__order_id=order.pk).order_by("pk")
    return list(refunds.values_list("provider_refund_id", "status"))


def _refunds_at_provider(sandbox_stripe: SandboxServer, order: Order) -> list[tuple[str, str]]:
    ledger = sandbox_stripe.ledger()
    intents = {intent["id"] for intent in intents_for(ledger, order.pk)}
    return [
        (refund["id"], refund["status"])
        for refund in ledger["refunds"]
        if refund["payment_intent"] in intents
    ]


def _assert_events_are_recorded_once(order: Order) -> None:
    events = Counter(OutboxEvent.objects.filter(key=order.pk).values_list("name", flat=True))
    payments = Payment.objects.filter(order_id=order.pk).count()
    assert events.pop("payment.voided", 0) <= payments
    assert set(events.values()) == {1}, events
    last_events = {
        OrderStatus.CONFIRMED: "payment.captured",
        OrderStatus.CANCELLED: "order.cancelled",
    }
    assert last_events[OrderStatus(order.status)] in events


def _assert_stock_is_conserved(orders: list[Order]) -> None:
    confirmed = [order.pk for order in orders if order.status == OrderStatus.CONFIRMED]
    for level in StockLevel.objects.select_related("product"):
        moved = dict.fromkeys(MovementKind, 0)
        for movement in StockMovement.objects.filter(stock_level=level):
            moved[MovementKind(movement.kind)] += movement.quantity
        sold = OrderLine.objects.filter(order__in=confirmed, sku=level.product.sku)
        reserved = Reservation.objects.filter(
            stock_level=level, status=ReservationStatus.CONFIRMED, order_id__in=confirmed
        )

        assert level.on_hand == moved[MovementKind.RECEIPT]
        assert level.reserved == moved[MovementKind.RESERVE] - moved[MovementKind.RELEASE]
        assert level.reserved == sum(line.quantity for line in sold)
        assert level.reserved == sum(reservation.quantity for reservation in reserved)
