"""The list of orders: a page of them, each with where its run stands."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.admin.views import main
from django.db.models import Max
from django.http import HttpRequest

from adminkit.paging import UncountedChangeList
from orders.models import Order, OrderTransition
from sagas.history import NewestRun, newest_runs


class OrderList(UncountedChangeList):
    """Orders, each with where its run stands: two queries more."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        tell_where_they_stand(self.result_list)


def tell_where_they_stand(orders: Sequence[Order]) -> None:
    """Let ``standing`` and ``in_state_since`` answer for each of these orders, in two queries."""
    ids = [each.pk for each in orders]
    runs = newest_runs(ids)
    moves = OrderTransition.objects.filter(order__in=ids).values("order").order_by()
    moved: dict[UUID, datetime] = dict(moves.annotate(last=Max("at")).values_list("order", "last"))
    for each in orders:
        vars(each)["standing"] = runs.get(each.pk)
        vars(each)["in_state_since"] = moved.get(each.pk, each.created_at)


def standing(order: Order) -> NewestRun | None:
    """Where the order's newest run stands; for orders that were told."""
    found: NewestRun | None = vars(order)["standing"]
    return found


def in_state_since(order: Order) -> datetime:
    """When the order came to its state; for orders that were told."""
    since: datetime = vars(order)["in_state_since"]
    return since


def age(length: timedelta) -> str:
    """How long ago, in the largest unit that it has."""
    seconds = max(int(length.total_seconds()), 0)
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def described(narrowed: main.ChangeList) -> str:
    """Which orders a list shows, in words: what was searched for, and every filter that is set."""
    told = [f"search: {narrowed.query}"] if narrowed.query else []
    for name, values in narrowed.filter_params.items():
        if name not in ("q", "o"):
            told.append(f"{name.removesuffix('__exact')}: {', '.join(values)}")
    return "; ".join(told) or "all orders"


def customer_of(order: Order) -> str:
    """What the customer is called; guests have no name."""
    return order.customer.get_username() if order.customer else "guest"
