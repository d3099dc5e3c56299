"""Negative controls: bugs that are put there, and that the machines must find."""

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
from sagas.definition import Attempt
from tests.properties.test_orders import orders_machine
from tests.properties.test_shelves import Shelves
from tests.support.mutation_checks import examples_until_it_fails
from tests.support.worker_harness import WorkerHarness

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_order_that_keeps_part_of_what_it_cannot_have_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hold = services._reserve_order

    def hold_and_keep(
        order_id: UUID, lines: Sequence[StockRequest], shelves: Mapping[str, Sequence[StockLevel]]
    ) -> tuple[list[Reservation], str]:
        for served in range(len(lines), 0, -1):
            held, lacking = hold(order_id, lines[:served], shelves)
            if not lacking:
                break
        return held, lines[-1].sku if served < len(lines) else lacking

    monkeypatch.setattr(services, "_reserve_order", hold_and_keep)

    assert examples_until_it_fails(Shelves, steps=25)


def test_a_confirmation_that_does_not_count_the_lines_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    confirm = services.confirm

    def confirm_what_there_is(line_counts: Mapping[UUID, int]) -> set[UUID]:
        held = Reservation.objects.filter(status="held")
        there = {each: held.filter(order_id=each).count() for each in line_counts}
        return confirm(there)

    monkeypatch.setattr(services, "confirm", confirm_what_there_is)

    assert examples_until_it_fails(Shelves, steps=25)


def test_a_payment_that_is_closed_on_paper_alone_is_found(
    harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def close_on_paper(payment: Payment, _: Attempt, __: Deadline) -> Output:
        return {"payment_id": str(payment.pk), "status": PaymentStatus.VOIDED}

    monkeypatch.setattr(payment_operations, "_close", close_on_paper)

    assert examples_until_it_fails(orders_machine(harness), steps=30)
