"""What must be true of our rows, the stock and the provider once every order has ended."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Model

from events.models import OutboxEvent
from inventory.models import MovementKind, Reservation, ReservationStatus, StockLevel, StockMovement
from orders.models import Order, OrderLine, OrderTransition
from orders.states import OrderStatus
from payments.models import Payment, Refund
from payments.states import PaymentStatus
from sagas.models import LIVE, SagaRun, StepAttempt
from sandbox.stripe_process import SandboxServer

CAPTURED = ("succeeded", PaymentStatus.CAPTURED)
UNDONE = (("canceled", PaymentStatus.VOIDED), ("succeeded", PaymentStatus.REFUNDED))


@dataclass(frozen=True)
class Account:
    """What the provider did for one order. Amounts are in minor units."""

    charges: int
    """How often the issuer accepted a charge."""
    held_minor: int
    kept_minor: int
    """Captured, and not refunded."""


NOTHING_MOVED = Account(charges=0, held_minor=0, kept_minor=0)


def intents_for(ledger: dict[str, Any], order_id: UUID) -> list[dict[str, Any]]:
    """Return the provider's PaymentIntents whose metadata names the order."""
    return [
        each
        for each in ledger["payment_intents"]
        if each["metadata"].get("order_id") == str(order_id)
    ]


def account_of(sandbox_stripe: SandboxServer, order_id: UUID) -> Account:
    """Add up the sandbox's ledger for one order."""
    ledger = sandbox_stripe.ledger()
    intents = intents_for(ledger, order_id)
    ids = {each["id"] for each in intents}
    returned = sum(
        each["amount"]
        for each in ledger["refunds"]
        if each["payment_intent"] in ids and each["status"] == "succeeded"
    )
    accepted = [
        each
        for each in ledger["charges"]
        if each["payment_intent"] in ids and each["status"] == "succeeded"
    ]
    return Account(
        charges=len(accepted),
        held_minor=sum(each["amount_capturable"] for each in intents),
        kept_minor=sum(each["amount_received"] for each in intents) - returned,
    )


def no_run_is_live() -> bool:
    """Return whether every run has ended."""
    return not SagaRun.objects.filter(status__in=LIVE).exists()


def assert_books_balance(sandbox_stripe: SandboxServer) -> None:
    """Check all orders against the provider's ledger and the stock. No run may be live."""
    assert no_run_is_live()
    orders = list(Order.objects.all())
    for order in orders:
        _assert_money_is_right(sandbox_stripe, order)
        _assert_told_once(order)
    _assert_stock_is_conserved(orders)


def our_rows() -> dict[str, list[dict[str, Any]]]:
    """Return every row of ours that processing an order can change."""
    tables: Iterable[type[Model]] = (
        *(Order, OrderTransition, SagaRun, StepAttempt, Payment, Refund),
        *(Reservation, StockLevel, StockMovement, OutboxEvent),
    )
    return {each.__name__: list(each._default_manager.order_by("pk").values()) for each in tables}


def snapshot(sandbox_stripe: SandboxServer) -> dict[str, list[dict[str, Any]]]:
    """Return everything that processing an order can change, ours and the provider's."""
    ledger = sandbox_stripe.ledger()
    kinds = ("payment_intents", "charges", "refunds")
    return {**our_rows(), **{kind: ledger[kind] for kind in kinds}}


def _assert_money_is_right(sandbox_stripe: SandboxServer, order: Order) -> None:
    account = account_of(sandbox_stripe, order.pk)
    states = _states_at_bank_and_with_us(sandbox_stripe, order)
    if order.status == OrderStatus.CONFIRMED:
        assert account == Account(charges=1, held_minor=0, kept_minor=order.total_minor)
        assert states == [CAPTURED]
        assert len(intents_for(sandbox_stripe.ledger(), order.pk)) == 1
        return
    assert order.status == OrderStatus.CANCELLED
    assert account.charges <= 1
    assert (account.held_minor, account.kept_minor) == (0, 0)
    assert all(each in UNDONE for each in states), states
    assert _refunds_with_us(order) == _refunds_at_bank(sandbox_stripe, order)


def _states_at_bank_and_with_us(
    sandbox_stripe: SandboxServer, order: Order
) -> list[tuple[str, str]]:
    """Pair the provider's state of each intent with the payment's status.

    An intent whose id was lost on its way to us was never confirmed: it has not charged, and cannot.
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


def _refunds_with_us(order: Order) -> list[tuple[str, str]]:
    refunds = Refund.objects.filter(payment__order_id=order.pk).order_by("pk")
    return list(refunds.values_list("provider_refund_id", "status"))


def _refunds_at_bank(sandbox_stripe: SandboxServer, order: Order) -> list[tuple[str, str]]:
    ledger = sandbox_stripe.ledger()
    ids = {each["id"] for each in intents_for(ledger, order.pk)}
    return [
        (each["id"], each["status"]) for each in ledger["refunds"] if each["payment_intent"] in ids
    ]


def _assert_told_once(order: Order) -> None:
    events = Counter(OutboxEvent.objects.filter(key=order.pk).values_list("name", flat=True))
    assert set(events.values()) == {1}, events
    ends = {OrderStatus.CONFIRMED: "payment.captured", OrderStatus.CANCELLED: "order.cancelled"}
    assert ends[OrderStatus(order.status)] in events


def _assert_stock_is_conserved(orders: list[Order]) -> None:
    confirmed = [each.pk for each in orders if each.status == OrderStatus.CONFIRMED]
    for level in StockLevel.objects.select_related("product"):
        moved = dict.fromkeys(MovementKind, 0)
        for movement in StockMovement.objects.filter(stock_level=level):
            moved[MovementKind(movement.kind)] += movement.quantity
        sold = OrderLine.objects.filter(order__in=confirmed, sku=level.product.sku)
        waiting = Reservation.objects.filter(
            stock_level=level, status=ReservationStatus.CONFIRMED, order_id__in=confirmed
        )

        assert level.on_hand == moved[MovementKind.RECEIPT]
        assert level.reserved == moved[MovementKind.RESERVE] - moved[MovementKind.RELEASE]
        assert level.reserved == sum(each.quantity for each in sold)
        assert level.reserved == sum(each.quantity for each in waiting)
