"""Reads everything that the desk shows of one order, in ten queries at most, independent of its size."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef
from django.db.models.functions import JSONObject

import approvals.services
from approvals.models import Approval
from desk.models import OperatorAction
from desk.order_state import OrderState
from events.services import events_about
from invariants.break_store import breaks_about
from inventory.history import LineStock, stock_of
from orders.models import Order, OrderLine, OrderTransition
from payments.admin_queries import PaymentDetail, payment_details
from sagas.queries.runs import runs_of

MAX_APPROVALS_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Line:
    """One order line with its reservations and stock movements. Amounts are in minor units."""

    id: UUID
    sku: str
    name: str
    quantity: int
    unit_price_minor: int
    stock: Sequence[LineStock]

    @property
    def total_minor(self) -> int:
        return self.quantity * self.unit_price_minor


@dataclass(frozen=True, slots=True)
class OrderDetail:
    """One order with its lines, runs, payments, events and staff actions."""

    state: OrderState
    lines: Sequence[Line]
    transitions: Sequence[OrderTransition]
    events: Sequence[tuple[str, datetime]]
    payments: Sequence[PaymentDetail]
    actions: Sequence[OperatorAction]
    approvals: Sequence[Approval]
    """The order's approvals, open and decided, newest first: at most MAX_APPROVALS_SHOWN."""

    @property
    def order(self) -> Order:
        return self.state.order

    @property
    def open_approvals(self) -> Sequence[Approval]:
        """The approvals that the order waits for; empty while it does not wait."""
        is_waiting = self.state.live is not None and self.state.live.wait is not None
        return [approval for approval in self.approvals if approval.is_open and is_waiting]


def order_detail(order_id: UUID) -> OrderDetail:
    """Read one order's detail. Raises Order.DoesNotExist."""
    line_rows = OrderLine.objects.filter(order=OuterRef("pk")).order_by("position").values(
        json=JSONObject(
            id="id",
            sku="sku",
            name="name",
            quantity="quantity",
            unit_price_minor="unit_price_minor",
        )
    )  # fmt: skip
    order = (
        Order.objects.select_related("customer")
        .annotate(line_rows=ArraySubquery(line_rows))
        .get(pk=order_id)
    )
    state = OrderState(order, runs_of(order_id), breaks_about(order_id))
    return OrderDetail(
        state=state,
        lines=_lines(vars(order)["line_rows"]),
        transitions=list(OrderTransition.objects.filter(order=order_id)),
        events=[
            (event.name, event.recorded_at) for event in events_about([order_id]).get(order_id, ())
        ],
        payments=payment_details(order_id),
        actions=list(
            OperatorAction.objects.filter(order=order_id).select_related("operator").order_by("pk")
        ),
        approvals=approvals.services.newest_approvals(
            subject_id=order_id, limit=MAX_APPROVALS_SHOWN
        ),
    )


def _lines(rows: Sequence[dict[str, Any]]) -> list[Line]:
    stock = stock_of([UUID(line["id"]) for line in rows])
    return [
        Line(
            id=UUID(line["id"]),
            sku=line["sku"],
            name=line["name"],
            quantity=line["quantity"],
            unit_price_minor=line["unit_price_minor"],
            stock=[entry for entry in stock if str(entry.line_id) == line["id"]],
        )
        for line in rows
    ]
