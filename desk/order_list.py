"""The list of orders: a page of orders, each with its newest run."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.admin.views import main
from django.db.models import Max
from django.http import HttpRequest

from adminkit.paging import UncountedChangeList
from clock.now import now
from orders.models import Order, OrderTransition
from sagas.queries.subjects import RunSummary, newest_runs


class OrderList(UncountedChangeList):
    """A page of orders with their newest runs, and how long they are in their state: three queries more."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        attach_newest_runs(self.result_list)
        at = now()
        for order in self.result_list:
            vars(order)["in_state_for"] = at - in_state_since(order)


def attach_newest_runs(orders: Sequence[Order]) -> None:
    """Attach the newest run and the time of the last transition to each order, in two queries."""
    ids = [order.pk for order in orders]
    runs = newest_runs(ids)
    transitions = OrderTransition.objects.filter(order__in=ids).values("order").order_by()
    last_transitions: dict[UUID, datetime] = dict(
        transitions.annotate(last=Max("at")).values_list("order", "last")
    )
    for order in orders:
        vars(order)["newest_run"] = runs.get(order.pk)
        vars(order)["in_state_since"] = last_transitions.get(order.pk, order.created_at)


def newest_run_of(order: Order) -> RunSummary | None:
    """Return the order's newest run. Needs ``attach_newest_runs`` first."""
    found: RunSummary | None = vars(order)["newest_run"]
    return found


def in_state_since(order: Order) -> datetime:
    """Return when the order entered its state. Needs ``attach_newest_runs`` first."""
    since: datetime = vars(order)["in_state_since"]
    return since


def in_state_for(order: Order) -> timedelta:
    """Return how long the order on an ``OrderList`` is in its state."""
    length: timedelta = vars(order)["in_state_for"]
    return length


def age(length: timedelta) -> str:
    """Write a duration in its largest unit."""
    seconds = max(int(length.total_seconds()), 0)
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def describe_filters(changelist: main.ChangeList) -> str:
    """Describe which orders a list shows: its search term and its filters."""
    parts = [f"search: {changelist.query}"] if changelist.query else []
    for name, values in changelist.filter_params.items():
        if name not in ("q", "o"):
            parts.append(f"{name.removesuffix('__exact')}: {', '.join(values)}")
    return "; ".join(parts) or "all orders"


def customer_of(order: Order) -> str:
    """Return the customer's username, or "guest"."""
    return order.customer.get_username() if order.customer else "guest"
