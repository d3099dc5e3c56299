"""Negative controls: the state machines find bugs that a test puts into the code."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import pytest

from inventory import services
from inventory.models import Reservation, StockLevel
from inventory.services import StockRequest
from outbound.deadline import Deadline
from payments import payment_operations
from payments.models import Payment
from payments.states import PaymentStatus
from sagas.batch import Output
from sagas.work import Attempt
from tests.properties.test_orders import orders_machine
from tests.properties.test_stock import StockMachine
from tests.support.mutation_checks import examples_until_it_fails
from tests.support.worker_harness import WorkerHarness

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_partial_reservation_that_is_kept_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reserve_order = services._reserve_order

    def reserve_partially(
        order_id: UUID, lines: Sequence[StockRequest], levels: Mapping[str, Sequence[StockLevel]]
    ) -> tuple[list[Reservation], str]:
        for count in range(len(lines), 0, -1):
            held, missing_sku = reserve_order(order_id, lines[:count], levels)
            if not missing_sku:
                break
        return held, lines[-1].sku if count < len(lines) else missing_sku

    monkeypatch.setattr(services, "_reserve_order", reserve_partially)

    assert examples_until_it_fails(StockMachine, steps=25)


@pytest.mark.prove
def test_a_confirmation_with_missing_lines_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    confirm = services.confirm

    def confirm_held_lines(line_counts: Mapping[UUID, int]) -> set[UUID]:
        held = Reservation.objects.filter(status="held")
        held_counts = {order_id: held.filter(order_id=order_id).count() for order_id in line_counts}
        return confirm(held_counts)

    monkeypatch.setattr(services, "confirm", confirm_held_lines)

    assert examples_until_it_fails(StockMachine, steps=25)


@pytest.mark.prove
def test_a_payment_that_is_not_closed_at_the_provider_is_found(
    harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def close_without_provider(payment: Payment, _: Attempt, __: Deadline) -> Output:
        return {"payment_id": str(payment.pk), "status": PaymentStatus.VOIDED}

    monkeypatch.setattr(payment_operations, "_close", close_without_provider)

    assert examples_until_it_fails(orders_machine(harness), steps=30)
