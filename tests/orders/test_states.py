"""An order's transitions: allowed ones are made and logged, all others are refused."""

from itertools import product
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from orders.errors import IllegalTransition
from orders.models import Cause, Order, OrderTransition
from orders.services import cancel_order
from orders.states import SETTLED, TRANSITIONS, OrderStatus
from sagas.identifiers import new_id
from sagas.models import SagaRun
from tests.support.database import wait_until_blocking
from tests.support.threads import start_thread

MOVES_TO = {
    OrderStatus.PLACED: (),
    OrderStatus.CONFIRMED: (OrderStatus.CONFIRMED,),
    OrderStatus.CANCELLING: (OrderStatus.CANCELLING,),
    OrderStatus.CANCELLED: (OrderStatus.CANCELLING, OrderStatus.CANCELLED),
}
"""The allowed transitions that lead to each status."""

PAIRS = list(product(OrderStatus, OrderStatus))
ALLOWED = [(source, target) for source, target in PAIRS if target in TRANSITIONS[source]]
SAME = [(source, target) for source, target in PAIRS if source == target]
FORBIDDEN = [pair for pair in PAIRS if pair not in ALLOWED and pair not in SAME]


def order_at(customer: User, status: OrderStatus) -> UUID:
    order = Order.objects.create(
        customer=customer, currency="eur", total_minor=1000, payment_method="pm_card_visa"
    )
    for target in MOVES_TO[status]:
        move(Cause("on_its_way"), target, order.pk)
    return order.pk


def move(cause: Cause, target: OrderStatus, *order_ids: UUID) -> list[Order]:
    with transaction.atomic():
        return Order.objects.transition(dict.fromkeys(order_ids, cause), target)


def state_of(order_id: UUID) -> tuple[object, ...]:
    """Return the order's row and its log of transitions."""
    order = Order.objects.filter(pk=order_id).values_list()[0]
    return (order, *OrderTransition.objects.filter(order=order_id).values_list())


def test_the_table_of_allowed_transitions() -> None:
    assert ALLOWED == [
        ("placed", "confirmed"),
        ("placed", "cancelling"),
        ("confirmed", "cancelling"),
        ("cancelling", "cancelled"),
    ]
    assert SETTLED == ("confirmed", "cancelled")


@pytest.mark.parametrize(("source", "target"), ALLOWED)
def test_an_allowed_transition_is_made_and_logged(
    customer: User, source: OrderStatus, target: OrderStatus
) -> None:
    order_id = order_at(customer, source)
    before = len(MOVES_TO[source])

    moved = move(Cause("a_code", "a detail", "bob"), target, order_id)

    order = Order.objects.get()
    last = order.transitions.last()
    assert [order.pk for order in moved] == [order_id]
    assert (order.status, order.version) == (target, before + 1)
    assert last is not None
    assert (last.source, last.target) == (source, target)
    assert (last.sequence, last.cause, last.actor) == (before + 1, "a_code", "bob")
    assert [log.sequence for log in order.transitions.all()] == list(range(1, before + 2))


@pytest.mark.parametrize(("source", "target"), FORBIDDEN)
def test_any_other_transition_is_refused_and_nothing_is_written(
    customer: User, source: OrderStatus, target: OrderStatus
) -> None:
    order_id = order_at(customer, source)
    before = state_of(order_id)

    with pytest.raises(IllegalTransition, match=f"{order_id} cannot go from {source} to {target}"):
        move(Cause("a_code"), target, order_id)

    assert state_of(order_id) == before


@pytest.mark.parametrize(("source", "target"), SAME)
def test_a_move_to_the_current_status_changes_nothing(
    customer: User, source: OrderStatus, target: OrderStatus
) -> None:
    order_id = order_at(customer, source)
    before = state_of(order_id)

    moved = move(Cause("again"), target, order_id)

    assert moved == []
    assert state_of(order_id) == before


def test_the_reason_of_a_cancellation_is_stored_and_kept(customer: User) -> None:
    order_id = order_at(customer, OrderStatus.CONFIRMED)

    move(Cause("out_of_stock", "MUG"), OrderStatus.CANCELLING, order_id)
    move(Cause("compensated", "all"), OrderStatus.CANCELLED, order_id)

    order = Order.objects.get()
    assert (order.reason, order.reason_detail) == ("out_of_stock", "MUG")


def test_a_confirmation_sets_no_reason(customer: User) -> None:
    order_id = order_at(customer, OrderStatus.PLACED)

    move(Cause("paid"), OrderStatus.CONFIRMED, order_id)

    assert Order.objects.get().reason == ""


def test_several_orders_move_together_each_with_its_own_cause(customer: User) -> None:
    first, second = (order_at(customer, OrderStatus.PLACED) for _ in range(2))
    already = order_at(customer, OrderStatus.CANCELLING)
    untouched = order_at(customer, OrderStatus.PLACED)
    before = state_of(already), state_of(untouched)

    with transaction.atomic():
        moved = Order.objects.transition(
            {first: Cause("one"), second: Cause("two"), already: Cause("three")},
            OrderStatus.CANCELLING,
        )

    assert {(order.pk, order.reason) for order in moved} == {(first, "one"), (second, "two")}
    assert dict(Order.objects.filter(pk__in=(first, second)).values_list("pk", "reason")) == {
        first: "one",
        second: "two",
    }
    assert (state_of(already), state_of(untouched)) == before


def test_one_order_that_cannot_move_stops_all(customer: User) -> None:
    ids = [
        order_at(customer, status)
        for status in (OrderStatus.PLACED, OrderStatus.CANCELLED, OrderStatus.CONFIRMED)
    ]
    before = [state_of(order_id) for order_id in ids]

    with pytest.raises(IllegalTransition):
        move(Cause("a_code"), OrderStatus.CANCELLING, *ids)

    assert [state_of(order_id) for order_id in ids] == before


def test_an_unknown_order_does_not_move(customer: User) -> None:
    assert move(Cause("a_code"), OrderStatus.CONFIRMED, new_id()) == []
    assert not OrderTransition.objects.exists()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (OrderStatus.CONFIRMED, OrderStatus.CANCELLING),
        (OrderStatus.CANCELLING, OrderStatus.CONFIRMED),
        (OrderStatus.CONFIRMED, OrderStatus.CONFIRMED),
    ],
)
def test_the_second_of_two_concurrent_moves_sees_the_first(
    customer: User, first: OrderStatus, second: OrderStatus
) -> None:
    order_id = order_at(customer, OrderStatus.PLACED)
    with transaction.atomic():
        Order.objects.transition({order_id: Cause("first")}, first)
        moved = start_thread(move, Cause("second"), second, order_id)
        wait_until_blocking()
    error = moved.exception()

    moves = list(OrderTransition.objects.values_list("sequence", "target", "cause"))
    if second in TRANSITIONS[first]:
        assert len(moved.result()) == 1
        assert moves == [(1, first, "first"), (2, second, "second")]
    elif second == first:
        assert len(moved.result()) == 0
        assert moves == [(1, first, "first")]
    else:
        assert isinstance(error, IllegalTransition)
        assert str(error) == f"order {order_id} cannot go from {first} to {second}"
        assert moves == [(1, first, "first")]


def test_a_cancellation_that_waited_for_another_changes_nothing(customer: User) -> None:
    order_id = order_at(customer, OrderStatus.CONFIRMED)

    with transaction.atomic():
        move(Cause("cancelled_by_customer"), OrderStatus.CANCELLING, order_id)
        move(Cause("compensated"), OrderStatus.CANCELLED, order_id)
        cancelled = start_thread(cancel_order, order_id, reason="cancelled_by_staff", actor="grace")
        wait_until_blocking()
    cancelled.result()

    assert Order.objects.get().reason == "cancelled_by_customer"
    assert list(OrderTransition.objects.values_list("target", flat=True)) == [
        "confirmed",
        "cancelling",
        "cancelled",
    ]
    assert not SagaRun.objects.exists()


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"status": "lost"}, "orders_status_known"),
        ({"total_minor": 0}, "orders_total_is_positive"),
    ],
)
def test_the_database_enforces_the_order_constraints(
    customer: User, changes: dict[str, object], constraint: str
) -> None:
    order_at(customer, OrderStatus.PLACED)

    with pytest.raises(IntegrityError, match=constraint):
        Order.objects.update(**changes)


def test_the_database_refuses_a_second_move_with_the_same_number(customer: User) -> None:
    order_id = order_at(customer, OrderStatus.CONFIRMED)

    with pytest.raises(IntegrityError, match="orders_transitions_in_sequence"):
        OrderTransition.objects.create(
            order_id=order_id, sequence=1, source="placed", target="cancelling", cause="twice"
        )
