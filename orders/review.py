"""Which orders staff review before their money is taken, and what happens without a decision."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from approvals.states import DefaultAction
from money.amounts import format_amount
from orders.models import Order, OrderLine
from sagas.batch import Output
from sagas.definition import Escalate, Overdue, Proceed, Reject

REVIEW: Final = "order_review"
"""The name of the approvals."""

REVIEW_REJECTED: Final = "review_rejected"
NOT_REVIEWED: Final = "not_reviewed"

OVERDUE: Final[Mapping[DefaultAction, Overdue]] = {
    DefaultAction.REJECT: Reject(NOT_REVIEWED),
    DefaultAction.APPROVE: Proceed({}),
    DefaultAction.ESCALATE: Escalate(settings.REVIEW_TIME),
}
THEN: Final[Mapping[DefaultAction, str]] = {
    DefaultAction.REJECT: "the order is cancelled",
    DefaultAction.APPROVE: "the order goes on",
    DefaultAction.ESCALATE: "the shop is reminded",
}


def default_action() -> DefaultAction:
    """Return what happens past the deadline of a review. Raises ImproperlyConfigured."""
    try:
        return DefaultAction(settings.REVIEW_DEFAULT)
    except ValueError:
        raise ImproperlyConfigured("REVIEW_DEFAULT must be reject, approve or escalate") from None


def review_input(order: Order, lines: Sequence[OrderLine]) -> Output:
    """Return the input of an order's checkout: why it is reviewed, if it is.

    Decided once, when the order is placed. What the shop's own function raises, this raises.
    """
    reason = ""
    if 0 < settings.REVIEW_ABOVE_MINOR < order.total_minor:
        limit = format_amount(settings.REVIEW_ABOVE_MINOR, order.currency)
        reason = f"The total is above {limit}."
    elif settings.REVIEW_FUNCTION:
        reason = _own_function(settings.REVIEW_FUNCTION)(
            order.pk, order.total_minor, order.currency, {line.sku: line.quantity for line in lines}
        )
    return {"review": reason} if reason else {}


ReviewFunction = Callable[[UUID, int, str, Mapping[str, int]], str]


@cache
def _own_function(path: str) -> ReviewFunction:
    function: ReviewFunction = import_string(path)
    return function
