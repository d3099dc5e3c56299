"""Lists at the desk: one page of rows and whether another one follows. Nothing is counted."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views import main
from django.core.paginator import Paginator
from django.db.models import Max
from django.http import HttpRequest
from unfold.views import ChangeList

from orders.models import Order, OrderTransition
from sagas.history import Standing, standings_of

MOST_PAGES: Final = 200
"""What lies deeper is found by its date: PostgreSQL would read all that is skipped."""


class OnePageAhead(Paginator[Any]):
    """Knows no count; who asks for a page reads one row more than it has."""

    count = 0
    template_name = "desk/orders/pagination.html"


class UncountedList(ChangeList):
    """The page of rows that was asked for, and whether another one follows."""

    has_next: bool

    def get_results(self, request: HttpRequest) -> None:  # noqa: ARG002 - Django's signature
        if not 1 <= self.page_num <= MOST_PAGES:
            raise IncorrectLookupParameters
        self.paginator = OnePageAhead([], self.list_per_page)
        begin = (self.page_num - 1) * self.list_per_page
        found = list(self.queryset[begin : begin + self.list_per_page + 1])
        self.has_next = len(found) > self.list_per_page
        self.result_list: Any = found[: self.list_per_page]
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_full_result_count = self.show_admin_actions = True
        self.can_show_all = self.multi_page = False


class OrderList(UncountedList):
    """Orders, each with where its run stands: two queries more."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        tell_where_they_stand(self.result_list)


def tell_where_they_stand(orders: Sequence[Order]) -> None:
    """Let ``standing`` and ``in_state_since`` answer for each of these orders, in two queries."""
    ids = [each.pk for each in orders]
    standings = standings_of(ids)
    moves = OrderTransition.objects.filter(order__in=ids).values("order").order_by()
    moved: dict[UUID, datetime] = dict(moves.annotate(last=Max("at")).values_list("order", "last"))
    for each in orders:
        vars(each)["standing"] = standings.get(each.pk)
        vars(each)["in_state_since"] = moved.get(each.pk, each.created_at)


def standing(order: Order) -> Standing | None:
    """Where the order's newest run stands; for orders that were told."""
    found: Standing | None = vars(order)["standing"]
    return found


def in_state_since(order: Order) -> datetime:
    """When the order came to its state; for orders that were told."""
    since: datetime = vars(order)["in_state_since"]
    return since


def short_id(order_id: UUID) -> str:
    """The beginning of an id that tells it from others, and that the search takes."""
    return str(order_id)[:18]


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
