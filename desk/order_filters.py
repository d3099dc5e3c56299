"""The filters of the list of orders. Each uses an index."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from adminkit.filters import ChoiceFilter
from clock.now import now
from orders.models import Order, OrderTransition
from orders.states import OrderStatus
from sagas.identifiers import first_id_at
from sagas.queries import subjects

COMPENSATING: Final = "-"

_ATTEMPTS: Final = {
    "1": ("1", 1, 1),
    "2-3": ("2 or 3", 2, 3),
    "4-7": ("4 to 7", 4, 7),
    "8": ("8 or more", 8, None),
}

_AGES: Final = {
    "1m": ("1 minute", timedelta(minutes=1)),
    "5m": ("5 minutes", timedelta(minutes=5)),
    "15m": ("15 minutes", timedelta(minutes=15)),
    "1h": ("1 hour", timedelta(hours=1)),
    "1d": ("1 day", timedelta(days=1)),
    "7d": ("7 days", timedelta(days=7)),
}

_CLOCKS_DIFFER_BY: Final = timedelta(hours=1)


class State(ChoiceFilter):
    title = "state"
    parameter_name = "status__exact"
    options = tuple((status.value, status.label) for status in OrderStatus)

    def apply(self, orders: QuerySet[Order], chosen: str) -> QuerySet[Order]:
        return orders.filter(status=chosen)


class HasRun(ChoiceFilter):
    """Whether an order has one of the runs that ``runs`` returns."""

    options = (("yes", "Yes"), ("no", "No"))
    horizontal = True
    runs: Callable[[], QuerySet[Any]]

    def apply(self, orders: QuerySet[Order], chosen: str) -> QuerySet[Order]:
        has_one = Exists(type(self).runs().filter(subject_id=OuterRef("pk")))
        return orders.filter(has_one if chosen == "yes" else ~has_one)


class NeedsAttention(HasRun):
    title = "needs attention"
    parameter_name = "needs_attention"
    runs = staticmethod(subjects.flagged_runs)


class IsPaused(HasRun):
    title = "paused"
    parameter_name = "is_paused"
    runs = staticmethod(subjects.paused_runs)


class CurrentStep(ChoiceFilter):
    title = "current step"
    parameter_name = "step"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        steps = [(step, step) for step in subjects.step_names()]
        return [*steps, (COMPENSATING, "compensating")]

    def apply(self, orders: QuerySet[Order], chosen: str) -> QuerySet[Order]:
        step = "" if chosen == COMPENSATING else chosen
        return orders.filter(pk__in=subjects.subjects_at(step))


class LastError(ChoiceFilter):
    title = "error of the last attempt"
    parameter_name = "error"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        errors = subjects.current_errors()
        chosen = self.used_parameters.get(self.parameter_name)
        # No order may have the chosen error any more: it stays a choice.
        if isinstance(chosen, str) and chosen not in errors:
            errors.append(chosen)
        return [(error, error) for error in errors]

    def apply(self, orders: QuerySet[Order], chosen: str) -> QuerySet[Order]:
        return orders.filter(pk__in=subjects.subjects_with_error(chosen))


class Attempts(ChoiceFilter):
    title = "attempts at its step"
    parameter_name = "attempts"
    options = tuple((key, label) for key, (label, _, _) in _ATTEMPTS.items())

    def apply(self, orders: QuerySet[Order], chosen: str) -> QuerySet[Order]:
        _, at_least, at_most = _ATTEMPTS[chosen]
        return orders.filter(pk__in=subjects.subjects_after(at_least, at_most))


class TimeInState(ChoiceFilter):
    title = "in this state for longer than"
    parameter_name = "age"
    options = tuple((key, label) for key, (label, _) in _AGES.items())

    def apply(self, orders: QuerySet[Order], chosen: str) -> QuerySet[Order]:
        since = now() - _AGES[chosen][1]
        moved = OrderTransition.objects.filter(order=OuterRef("pk"), at__gt=since)
        return orders.filter(~Exists(moved), _until(since))


class PlacedBetween(admin.ListFilter):
    """Placed between two times in UTC; either may be empty."""

    title = "placed"
    template = "desk/orders/placed_filter.html"
    names = ("placed_from", "placed_to")

    def __init__(
        self,
        request: HttpRequest,
        params: dict[str, Any],
        model: type[Any],
        model_admin: admin.ModelAdmin[Any],
    ) -> None:
        super().__init__(request, params, model, model_admin)
        for name in self.names:
            if name in params:
                self.used_parameters[name] = params.pop(name)[-1]
        self.other_parameters = [
            (name, value)
            for name, values in request.GET.lists()
            for value in values
            if name not in (*self.names, "p")
        ]

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.names)

    def choices(self, _: ChangeList) -> Iterator[dict[str, Any]]:
        for name, label in zip(self.names, ("From", "To"), strict=True):
            yield {"name": name, "label": label, "value": self.used_parameters.get(name, "")}

    def queryset(self, request: HttpRequest, orders: QuerySet[Order]) -> QuerySet[Order]:  # noqa: ARG002 - Django's signature
        for name in self.names:
            text = str(self.used_parameters.get(name, ""))
            if not text:
                continue
            moment = _moment(text)
            if moment is None:
                return orders.none()
            orders = orders.filter(_since(moment) if name == "placed_from" else _until(moment))
        return orders


def _moment(text: str) -> datetime | None:
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found


def _since(moment: datetime) -> Q:
    """Match rows since a time: the index of ids, which sort by time, finds them; the column decides.

    An id has the real time, which is behind the clock by what it was moved.
    """
    moved_by = max(now() - timezone.now(), timedelta())
    return Q(created_at__gte=moment, pk__gte=first_id_at(moment - moved_by - _CLOCKS_DIFFER_BY))


def _until(moment: datetime) -> Q:
    return Q(created_at__lte=moment, pk__lt=first_id_at(moment + _CLOCKS_DIFFER_BY))


_CHOICES: Final[tuple[type[ChoiceFilter], ...]] = (
    State,
    NeedsAttention,
    IsPaused,
    CurrentStep,
    LastError,
    Attempts,
    TimeInState,
)

ALL: Final = (*_CHOICES, PlacedBetween)

PARAMETERS: Final = frozenset(
    {str(choice.parameter_name) for choice in _CHOICES} | set(PlacedBetween.names)
)
"""The query parameters that the list accepts, besides search and page."""
